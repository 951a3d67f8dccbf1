// Cancelling, and losing in a `select`, at every point of the synchronisation objects.

import t from 'tap';
import {
  after,
  Barrier,
  type Body,
  type Co,
  Condition,
  Latch,
  type Lock,
  Mutex,
  type Operation,
  pause,
  RwLock,
  select,
  Semaphore,
  sleep,
  spawn,
  trySelect,
  WaitGroup,
} from '../../../scheduler/index.ts';
import { everyPoint, type Play } from '../../support/scheduler/every-point.ts';
import { virtually } from '../../support/scheduler/virtual.ts';

/** Visitors of a place with room for so much weight, who must come in the order of their numbers. */
function visitors(
  room: number,
  weights: readonly number[],
  enter: (weight: number) => Operation<Disposable>,
  waiting: () => number,
  isEmpty: () => boolean,
): Play {
  /** Those who had to wait, in the order in which they were let in. */
  const log: number[] = [];
  let came = 0;
  let inside = 0;
  let isCrowded = false;
  let isPassed = false;
  return {
    victims: weights.map((weight, index) => {
      return function* () {
        const operation = enter(weight);
        const hasWaited = noteWaiting(operation);
        using _ = yield* operation;
        if (hasWaited()) log.push(index);
        else isPassed ||= waiting() > 0;
        came++;
        inside += weight;
        isCrowded ||= inside > room;
        try {
          yield* pause();
          yield* pause();
        } finally {
          inside -= weight;
        }
      };
    }),
    verify(_, cancelled) {
      if (isCrowded) return 'too many were inside';
      if (isPassed) return 'one who came later passed those who waited';
      if (!isEmpty() || waiting() > 0) return 'something is held or waited for in the end';
      if (log.some((index, place) => place > 0 && index < log[place - 1]!)) return `came as ${log.join()}`;
      return came < weights.length - cancelled.length ? 'somebody never came in' : undefined;
    },
  };
}

/** Notes whether an operation has suspended: tells those who waited from those who had it at once. */
function noteWaiting(operation: Operation<unknown>): () => boolean {
  let hasWaited = false;
  const { next } = operation;
  operation.next = (sent) => {
    const result = next.call(operation, sent);
    hasWaited ||= result.done !== true;
    return result;
  };
  return () => hasWaited;
}

const scenarios: Record<string, () => Play> = {
  Mutex() {
    const mutex = new Mutex();
    return visitors(
      1,
      [1, 1, 1, 1, 1],
      () => mutex.lock(),
      () => mutex.waiting,
      () => !mutex.isLocked,
    );
  },

  RwLock() {
    const lock = new RwLock();
    const enter = (weight: number) => (weight === 1 ? lock.readLock() : lock.writeLock());
    return visitors(
      9,
      [1, 9, 1, 1, 9, 1],
      enter,
      () => lock.waiting,
      () => !lock.isLocked,
    );
  },

  Semaphore() {
    const semaphore = new Semaphore(3);
    return visitors(
      3,
      [1, 2, 3, 1, 2, 1],
      (weight) => semaphore.acquire(weight),
      () => semaphore.waiting,
      () => semaphore.available === 3,
    );
  },

  'Mutex in select'() {
    const mutexes = [new Mutex(), new Mutex()] as const;
    const inside = [0, 0];
    let isCrowded = false;
    const worker: Body<void> = function* () {
      const won = yield* select({ 0: mutexes[0].lock(), 1: mutexes[1].lock() });
      using _ = won.value;
      const index = Number(won.key);
      isCrowded ||= ++inside[index]! > 1;
      try {
        yield* pause();
        yield* pause();
      } finally {
        inside[index]!--;
      }
    };
    return {
      victims: [worker, worker, worker, worker, worker],
      verify() {
        if (isCrowded) return 'two were inside';
        const isEmpty = mutexes.every((mutex) => !mutex.isLocked && mutex.waiting === 0);
        return isEmpty ? undefined : 'a mutex is held or waited for in the end';
      },
    };
  },

  Condition() {
    const mutex = new Mutex();
    const filled = new Condition(mutex);
    const shelf: number[] = [];
    const end = new Latch();
    let isUnprotected = false;
    const consumer: Body<void> = function* () {
      using lock = yield* mutex.lock();
      try {
        while (shelf.length === 0 && !end.isOpen) yield* filled.wait();
        shelf.pop();
      } finally {
        isUnprotected ||= !lock.isHeld;
      }
      yield* pause();
    };
    const producer: Body<void> = function* () {
      try {
        for (let item = 0; item < 3; item++) {
          yield* pause();
          using _ = yield* mutex.lock();
          shelf.push(item);
          filled.notify();
          yield* pause();
        }
      } catch (error) {
        end.countDown();
        filled.notifyAll();
        throw error;
      }
    };
    return {
      victims: [consumer, consumer, producer, consumer],
      verify() {
        if (isUnprotected) return 'a wait ended without the mutex';
        return mutex.isLocked || mutex.waiting + filled.waiting > 0 ? 'something is left' : undefined;
      },
    };
  },

  Barrier() {
    const barrier = new Barrier(3);
    const places = [0, 0, 0];
    function* arrive(): Co<void> {
      places[yield* barrier.wait()]!++;
    }
    function* worker(): Co<void> {
      for (let round = 0; round < 2; round++) {
        yield* pause();
        yield* arrive();
      }
    }
    /** Makes up the number for those who would wait in vain. */
    const filler: Body<void> = function* () {
      for (let times = 0; times < 4; times++) {
        yield* sleep(1);
        if (barrier.waiting > 0) yield* arrive();
      }
    };
    return {
      victims: [worker, worker, worker, worker, worker],
      others: [filler, filler],
      // Not in the middle of letting a round go: the one that is cancelled there leaves its place empty.
      ways: ['before', 'behind'],
      verify() {
        if (places.some((count) => count !== places[0])) return `places were given ${places.join()} times`;
        return barrier.waiting > 0 ? 'somebody still stands there' : undefined;
      },
    };
  },

  'Latch and WaitGroup'() {
    const latch = new Latch(3);
    const group = new WaitGroup();
    let isEarly = false;
    group.add(2);
    const waiter: Body<void> = function* () {
      yield* latch.wait();
      isEarly ||= !latch.isOpen;
      yield* group.wait();
      isEarly ||= group.count > 0;
    };
    const worker: Body<void> = function* () {
      try {
        yield* pause();
        yield* pause();
      } finally {
        latch.countDown(latch.count > 2 ? 1 : 2);
        group.done();
      }
    };
    return {
      victims: [waiter, worker, waiter, worker, waiter],
      verify() {
        if (isEarly) return 'somebody went on too early';
        return latch.waiting + group.waiting > 0 ? 'somebody is left' : undefined;
      },
    };
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  t.test(
    `${name}: whoever is cancelled, at any point, takes nothing along and holds nobody up`,
    async (t) => {
      const { failures, plays, cancelled } = await everyPoint(scenario);
      t.strictSame(failures.slice(0, 5), []);
      t.ok(plays > 150 && cancelled > 100, `${plays} plays, ${cancelled} cancelled`);
    },
  );
}

t.test('C6: what was handed over to a waiter that is then cancelled arrives', async (t) => {
  const mutex = new Mutex();
  const lock = new RwLock();
  const semaphore = new Semaphore(2);
  const isFree = () => !mutex.isLocked && !lock.isLocked && semaphore.available === 2;
  const pairs: (() => Operation<Disposable>)[][] = [
    [() => mutex.lock(), () => mutex.lock()],
    [() => lock.writeLock(), () => lock.readLock()],
    [() => lock.readLock(), () => lock.writeLock()],
    [() => semaphore.acquire(2), () => semaphore.acquire(2)],
  ];
  await virtually(function* () {
    for (const [first, second] of pairs) {
      const held = yield* spawn(() => first!()).join();
      const waiter = spawn(function* () {
        using _ = yield* second!();
        return 'arrived';
      });
      yield* pause();
      t.equal(waiter.state, 'suspended');
      held[Symbol.dispose]();
      waiter.cancel();
      t.equal(isFree(), false);
      t.equal(yield* waiter.join(), 'arrived');
      t.equal(isFree(), true);
    }
  });
});

t.test('what was handed over and cannot be delivered goes back', async (t) => {
  const mutex = new Mutex();
  const semaphore = new Semaphore(1);
  const lock = mutex.tryLock();
  const permit = semaphore.tryAcquire();
  const waits = [mutex.lock(), semaphore.acquire()] as Operation<Disposable>[];
  for (const wait of waits) t.equal(wait.next().done, false);
  const next = mutex.lock();
  next.next();
  lock?.unlock();
  permit?.release();
  t.equal(semaphore.available, 0);
  for (const wait of waits) t.throws(() => wait.throw(new Error('gone')), { message: 'gone' });
  t.equal(semaphore.available, 1);
  t.equal((next.next().value as Lock).isHeld, true, 'to the next who waits');
  mutex.unlock();

  const condition = new Condition(mutex);
  const log: string[] = [];
  await virtually(function* () {
    const generators = ['a', 'b'].map((name) => {
      return (function* () {
        using _ = yield* mutex.lock();
        yield* condition.wait();
        log.push(name);
      })();
    });
    const [first, second] = generators.map((generator) => spawn(() => generator));
    yield* pause();
    condition.notify();
    generators[0]!.return();
    yield* second!.join();
    yield* first!.join();
  });
  t.strictSame(log, ['b']);
});

/** One of each, so that everybody has to wait, and how each is made to serve. */
function closedDoors() {
  const mutex = new Mutex();
  const lock = new RwLock();
  const semaphore = new Semaphore(1);
  const latch = new Latch();
  const group = new WaitGroup();
  const barrier = new Barrier(2);
  group.add();
  const held = { mutex: mutex.tryLock(), lock: lock.tryWriteLock(), permit: semaphore.tryAcquire() };
  return {
    cases: () => ({
      mutex: mutex.lock(),
      read: lock.readLock(),
      permit: semaphore.acquire(),
      latch: latch.wait(),
      group: group.wait(),
      barrier: barrier.wait(),
    }),
    serve: {
      mutex: () => held.mutex?.unlock(),
      read: () => held.lock?.unlock(),
      permit: () => held.permit?.release(),
      latch: () => latch.countDown(),
      group: () => group.done(),
      barrier: () => spawn(() => barrier.wait()),
    },
    waiting: () => [mutex, lock, semaphore, latch, group, barrier].map((one) => one.waiting),
  };
}

t.test('every wait is a case of select; those that lose leave their queues on the spot', async (t) => {
  const keys = ['mutex', 'read', 'permit', 'latch', 'group', 'barrier'] as const;
  // Locked outside of the coroutine that waits, which would otherwise wait for itself.
  const { cases, waiting } = closedDoors();
  const rounds = keys.map((key) => ({ key, doors: closedDoors() }));
  await virtually(function* () {
    t.equal(trySelect(cases()), undefined);
    const late = spawn(() => select({ ...cases(), late: after(5) }));
    yield* sleep(1);
    t.strictSame(waiting(), [1, 1, 1, 1, 1, 1]);
    t.equal((yield* late.join()).key, 'late');
    t.strictSame(waiting(), [0, 0, 0, 0, 0, 0]);
    for (const { key, doors } of rounds) {
      const first = spawn(() => select(doors.cases()));
      yield* pause();
      doors.serve[key]();
      if (key !== 'barrier') t.strictSame(doors.waiting(), [0, 0, 0, 0, 0, 0]);
      t.equal((yield* first.join()).key, key);
      t.strictSame(doors.waiting(), [0, 0, 0, 0, 0, 0]);
    }
  });
});
