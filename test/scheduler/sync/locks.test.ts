import t from 'tap';
import {
  type Co,
  Condition,
  DeadlockError,
  type Lock,
  Mutex,
  type Operation,
  pause,
  RwLock,
  sleep,
  spawn,
  StateError,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { rejectionOf, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

t.test('a mutex lets one in at a time, first come, first served', async (t) => {
  const mutex = new Mutex();
  const log: string[] = [];
  function* worker(name: string): Co<void> {
    using lock = yield* mutex.lock();
    log.push(`${name} in`);
    yield* sleep(1);
    log.push(`${name} out`);
    t.ok(lock.isHeld);
  }
  await virtually(function* () {
    for (const name of ['a', 'b', 'c']) spawn(() => worker(name));
    yield* pause();
    t.equal(mutex.isLocked, true);
    t.equal(mutex.waiting, 2);
  });
  t.strictSame(log, ['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
  t.equal(mutex.isLocked, false);
});

t.test('a mutex that is unlocked belongs to the first who waits, at that moment', async (t) => {
  const mutex = new Mutex();
  const log: string[] = [];
  await virtually(function* () {
    const lock = yield* mutex.lock();
    spawn(function* waiter() {
      using _ = yield* mutex.lock();
      log.push('waiter');
    });
    yield* pause();
    lock.unlock();
    t.equal(mutex.isLocked, true);
    t.equal(mutex.tryLock(), undefined, 'nobody passes by trying');
    using _ = yield* mutex.lock();
    log.push('passer-by');
  });
  t.strictSame(log, ['waiter', 'passer-by']);
});

t.test('a lock may be unlocked before its using block ends, but not twice by hand', async (t) => {
  const mutex = new Mutex({ name: 'jobs' });
  await virtually(function* () {
    {
      using lock = yield* mutex.lock();
      lock.unlock();
      t.equal(lock.isHeld, false);
      const error = thrownBy(() => lock.unlock()) as StateError;
      t.ok(error instanceof StateError);
      t.equal(error.code, 'ERR_STATE');
      t.match(error.message, /cannot unlock jobs: this lock is not held any more/);
      spawn(function* () {
        yield* mutex.lock();
      });
      yield* pause();
    }
    t.equal(mutex.isLocked, true, 'the end of the block leaves alone whoever has it now');
  });
});

t.test('a mutex is unlocked by the coroutine that locked it', async (t) => {
  const mutex = new Mutex({ name: 'jobs' });
  t.match(thrownBy(() => mutex.unlock()).message, 'cannot unlock jobs: it is not locked');
  t.ok(thrownBy(() => mutex.unlock()) instanceof StateError);
  await virtually(function* () {
    yield* mutex.lock();
    const thief = spawn(function* thief() {
      return thrownBy(() => mutex.unlock());
    });
    const error = yield* thief.join();
    t.ok(error instanceof StateError);
    t.match(error.message, /thief cannot unlock jobs: it is held by coroutine-\d+/);
    mutex.unlock();
    t.equal(mutex.isLocked, false);
  });
});

t.test('the lock itself can be handed to another coroutine or a callback', async (t) => {
  const mutex = new Mutex();
  await virtually(function* () {
    const lock = yield* mutex.lock();
    spawn(function* () {
      lock.unlock();
    });
    yield* pause();
    t.equal(mutex.isLocked, false);
  });
  const outside = mutex.tryLock();
  await virtually(function* owner() {
    t.match(thrownBy(() => mutex.unlock()).message, 'it is held outside of every coroutine');
    const waiter = spawn(() => mutex.lock());
    yield* pause();
    t.equal(waiter.describe(), 'locking a mutex (held outside of every coroutine)');
    outside?.unlock();
    t.equal((yield* waiter.join()).isHeld, true);
  });
});

t.test('locking again what one holds is a DeadlockError that names the coroutine', async (t) => {
  const mutex = new Mutex({ name: 'jobs' });
  const table = new RwLock({ name: 'table' });
  await virtually(function* () {
    const worker = spawn(function* worker() {
      using _ = yield* mutex.lock();
      t.match(yield* errorOf(mutex.lock()), {
        code: 'ERR_DEADLOCK',
        message: 'worker locks jobs, which it holds',
      });
      t.equal(mutex.tryLock(), undefined);
      for (const first of ['readLock', 'writeLock'] as const) {
        using lock = yield* table[first]();
        for (const second of ['readLock', 'writeLock'] as const) {
          const error = yield* errorOf(table[second]());
          t.ok(error instanceof DeadlockError, `${first}, then ${second}`);
          t.match(error.message, /worker locks table for (reading|writing), which it holds already/);
        }
        t.equal(table.tryReadLock(), undefined);
        t.equal(table.tryWriteLock(), undefined);
        t.ok(lock.isHeld);
      }
    });
    yield* worker.join();
  });
});

t.test('a read-write lock lets many readers in, or one writer', async (t) => {
  const lock = new RwLock();
  const log: string[] = [];
  function* visit(name: string, way: 'readLock' | 'writeLock'): Co<void> {
    using _ = yield* lock[way]();
    log.push(`${name}: ${lock.readers} read${lock.isWriteLocked ? ', 1 writes' : ''}`);
    yield* sleep(1);
  }
  await virtually(function* () {
    spawn(() => visit('a', 'readLock'));
    spawn(() => visit('b', 'readLock'));
    spawn(() => visit('c', 'writeLock'));
    spawn(() => visit('d', 'readLock'));
    spawn(() => visit('e', 'readLock'));
    spawn(() => visit('f', 'writeLock'));
    spawn(() => visit('g', 'readLock'));
    yield* pause();
    t.equal(lock.waiting, 5);
    t.equal(lock.isLocked, true);
  });
  t.strictSame(log, [
    'a: 1 read',
    'b: 2 read',
    'c: 0 read, 1 writes',
    'd: 2 read',
    'e: 2 read',
    'f: 0 read, 1 writes',
    'g: 1 read',
  ]);
  t.equal(lock.isLocked, false);
});

t.test(
  'a reader who comes after a waiting writer waits behind it, and goes on when the writer leaves',
  async (t) => {
    const lock = new RwLock();
    await virtually(function* () {
      using _ = yield* lock.readLock();
      const writer = spawn(() => lock.writeLock());
      const reader = spawn(() => lock.readLock());
      yield* pause();
      t.equal(lock.waiting, 2, 'no barging');
      t.equal(
        yield* spawn(function* () {
          return lock.tryReadLock();
        }).join(),
        undefined,
      );
      writer.cancel();
      t.equal(lock.readers, 2, 'let in at the moment the writer left');
      (yield* reader.join()).unlock();
      t.equal(lock.readers, 1);
    });
  },
);

t.test('a read-write lock is unlocked by whoever holds it, once', async (t) => {
  const table = new RwLock({ name: 'table' });
  const outside = [table.tryReadLock(), table.tryReadLock()];
  t.match(
    thrownBy(() => table.unlock()),
    { message: /code outside of every coroutine does not hold it/ },
  );
  t.equal(table.tryWriteLock(), undefined);
  for (const lock of outside) lock?.unlock();
  await virtually(function* visitor() {
    t.match(
      thrownBy(() => table.unlock()),
      { name: 'StateError', message: 'cannot unlock table: visitor does not' },
    );
    const lock = yield* table.writeLock();
    table.unlock();
    t.equal(table.isLocked, false);
    t.throws(() => lock.unlock(), StateError);
    const second = table.tryWriteLock();
    t.equal(table.isWriteLocked, true);
    second?.unlock();
    t.equal(table.isWriteLocked, false);
  });
});

t.test('I1: those who wait say for what, who has it, and how many there are', async (t) => {
  const mutex = new Mutex({ name: 'jobs' });
  const table = new RwLock({ name: 'table' });
  const changed = new Condition(mutex, { name: 'change' });
  await virtually(function* () {
    const gone = spawn(function* keeper(): Co<Lock[]> {
      return [yield* mutex.lock(), yield* table.readLock()];
    });
    const [lock, reading] = yield* gone.join();
    const waits: (() => Operation<Lock>)[] = [
      () => mutex.lock(),
      () => mutex.lock(),
      () => table.writeLock(),
    ];
    const waiters = waits.map((wait) => spawn(wait));
    yield* pause();
    t.equal(waiters[0]!.describe(), 'locking jobs (held by keeper, which has ended, 2 waiting)');
    t.equal(waiters[2]!.describe(), 'locking table for writing (read by keeper)');
    const outside = [1, 2, 3].map(() => spawn(() => table.readLock()));
    yield* pause();
    t.equal(outside[0]!.describe(), 'locking table for reading (read by keeper, 4 waiting)');
    reading!.unlock();
    t.match(outside[0]!.describe(), /^locking table for reading \(written by coroutine-\d+, 3 waiting\)$/);
    lock!.unlock();
    for (const waiter of waiters) (yield* waiter.join()).unlock();
    const patient = spawn(function* () {
      using _ = yield* mutex.lock();
      yield* changed.wait();
    });
    yield* pause();
    t.equal(patient.describe(), 'waiting for change');
    patient.cancel();
  });
});

t.test('an unhandled misuse fails its coroutine like any error', async (t) => {
  const error = await rejectionOf(
    virtually(function* () {
      const mutex = new Mutex();
      yield* mutex.lock();
      yield* mutex.lock();
    }),
  );
  t.ok(error instanceof DeadlockError);
});
