import t from 'tap';
import {
  type Co,
  Condition,
  current,
  Mutex,
  pause,
  sleep,
  spawn,
  timeout,
  TimeoutError,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { virtually } from '../../support/scheduler/virtual.ts';

t.test('a condition gives the mutex up while it waits, and has it again afterwards', async (t) => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  const log: string[] = [];
  const items: number[] = [];
  await virtually(function* () {
    function* consumer(name: string): Co<void> {
      using lock = yield* mutex.lock();
      while (items.length === 0) {
        yield* changed.wait();
        t.ok(lock.isHeld, 'the same lock');
      }
      log.push(`${name} ${items.shift()}`);
      yield* sleep(1);
    }
    for (const name of ['a', 'b', 'c']) spawn(() => consumer(name));
    yield* sleep(1);
    t.equal(mutex.isLocked, false);
    t.equal(changed.waiting, 3);
    items.push(1);
    changed.notify();
    yield* sleep(1);
    t.strictSame(log, ['a 1']);
    items.push(2, 3);
    changed.notify(2);
    yield* sleep(1);
    t.strictSame(log, ['a 1', 'b 2'], 'the mutex still keeps them apart');
  });
  t.strictSame(log, ['a 1', 'b 2', 'c 3']);
  changed.notify();
  t.equal(changed.waiting, 0, 'a notice that nobody waits for is not kept');
});

t.test('notifyAll wakes all who wait, in order', async (t) => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  const log: number[] = [];
  await virtually(function* () {
    for (let index = 0; index < 4; index++) {
      spawn(function* () {
        using _ = yield* mutex.lock();
        yield* changed.wait();
        log.push(index);
      });
    }
    yield* sleep(1);
    changed.notifyAll();
  });
  t.strictSame(log, [0, 1, 2, 3]);
});

t.test('a cancelled wait throws only when it has the mutex again', async (t) => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  const log: string[] = [];
  await virtually(function* () {
    const waiter = spawn(function* waiter() {
      using lock = yield* mutex.lock();
      try {
        yield* changed.wait();
      } finally {
        log.push(`cleans up ${mutex.isLocked && lock.isHeld ? 'with' : 'without'} the mutex`);
      }
    });
    yield* pause();
    {
      using _ = yield* mutex.lock();
      waiter.cancel();
      yield* sleep(5);
      t.equal(waiter.state, 'suspended');
      t.match(waiter.describe(), /^locking a mutex \(held by coroutine-\d+\)$/);
      t.equal(changed.waiting, 0);
      log.push('unlocks');
    }
    yield* pause();
    yield* pause();
    t.equal(waiter.state, 'cancelled');
  });
  t.strictSame(log, ['unlocks', 'cleans up with the mutex']);
  t.equal(mutex.isLocked, false);
});

t.test(
  'a notice that came before the cancellation is acted on (C6), one that came after goes to the next',
  async (t) => {
    for (const isNoticeFirst of [true, false]) {
      const mutex = new Mutex();
      const changed = new Condition(mutex);
      const log: string[] = [];
      await virtually(function* () {
        const waiters = ['a', 'b'].map((name) =>
          spawn(function* () {
            using _ = yield* mutex.lock();
            yield* changed.wait();
            log.push(name);
          }),
        );
        yield* pause();
        if (isNoticeFirst) changed.notify();
        waiters[0]!.cancel();
        if (!isNoticeFirst) changed.notify();
        yield* sleep(1);
        waiters[1]!.cancel();
      });
      t.strictSame(log, [isNoticeFirst ? 'a' : 'b']);
    }
  },
);

t.test('a condition can be waited for with a timeout, mutex and all', async (t) => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  await virtually(function* () {
    using lock = yield* mutex.lock();
    const other = spawn(() => mutex.lock());
    spawn(function* () {
      yield* sleep(20);
      (yield* other.join()).unlock();
    });
    const error = yield* errorOf(timeout(10, () => changed.wait()));
    t.ok(error instanceof TimeoutError);
    t.ok(lock.isHeld);
    yield* sleep(1);
  });
  t.equal(mutex.isLocked, false);
});

t.test('waiting for a condition without its mutex is an error, and disturbs nobody', async (t) => {
  const mutex = new Mutex({ name: 'jobs' });
  const changed = new Condition(mutex, { name: 'jobs changed' });
  t.throws(() => new Condition({} as Mutex), {
    name: 'TypeError',
    message: 'Condition expects a Mutex, got an object',
  });
  t.throws(() => changed.notify(0), TypeError);
  t.throws(() => changed.wait().next(), /code outside of every coroutine waits for jobs changed without/);
  await virtually(function* holder() {
    const waiter = spawn(function* waiter() {
      return yield* errorOf(changed.wait());
    });
    t.match(yield* waiter.join(), {
      name: 'StateError',
      message: 'waiter waits for jobs changed without holding jobs',
    });
    using lock = yield* mutex.lock();
    t.match(yield* spawn(() => errorOf(changed.wait())).join(), { name: 'StateError' });
    t.ok(lock.isHeld);
    current().cancel();
    t.match(yield* errorOf(changed.wait()), { name: 'AbortError' });
    t.ok(lock.isHeld, 'one that is cancelled before does not let go');
  });
});

t.test('a wait that must give way does not miss a notice in between', async (t) => {
  const mutex = new Mutex();
  const changed = new Condition(mutex);
  await virtually(function* () {
    for (let streak = 0; streak < 130; streak++) {
      const waiter = spawn(function* () {
        using _ = yield* mutex.lock();
        for (let left = streak; left > 0; left--) yield* sleep(0);
        yield* changed.wait();
      });
      const notifier = spawn(function* () {
        using _ = yield* mutex.lock();
        changed.notify();
      });
      yield* notifier.join();
      yield* pause();
      yield* pause();
      if (waiter.state !== 'done') {
        t.fail(`after ${streak} operations: ${waiter.describe()}`);
        waiter.cancel();
      }
    }
  });
  t.equal(mutex.isLocked, false);
});
