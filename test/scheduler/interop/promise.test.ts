import t from 'tap';
import {
  type Co,
  BusyError,
  CancelledError,
  Channel,
  pause,
  run,
  select,
  sleep,
  spawn,
  timeout,
  wait,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { everyPoint } from '../../support/scheduler/every-point.ts';
import { unhandledDuring } from '../../support/scheduler/unhandled.ts';
import { forever, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

type Settle<T> = (value: T) => void;

/** A promise with its two ends, and how often it was subscribed to. */
function counted<T>(): { promise: Promise<T>; resolve: Settle<T>; reject: Settle<unknown>; calls: number } {
  let resolve!: Settle<T>;
  let reject!: Settle<unknown>;
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  const made = { promise, resolve, reject, calls: 0 };
  counting.set(promise, made);
  return made;
}

// Nothing on the promise itself: that would make it another kind of promise.
const counting = new WeakMap<object, { calls: number }>();
const { then: subscribe } = Promise.prototype;
// oxlint-disable-next-line no-extend-native, unicorn/no-thenable -- it counts who subscribes
Promise.prototype.then = function then(this: Promise<unknown>, ...callbacks: never[]) {
  const count = counting.get(this);
  if (count !== undefined) count.calls++;
  return Reflect.apply(subscribe, this, callbacks);
} as typeof Promise.prototype.then;
t.teardown(() => {
  // oxlint-disable-next-line no-extend-native, unicorn/no-thenable
  Promise.prototype.then = subscribe;
});

t.test('wait gives what a promise is fulfilled with and throws what it is rejected with', async (t) => {
  await virtually(function* () {
    t.equal(yield* wait(Promise.resolve(42)), 42);
    t.equal(yield* wait(sleepFor(5)), 5);
    const failure = new Error('rejected');
    t.equal(yield* errorOf(wait(Promise.reject(failure))), failure);
    const operation = wait(Promise.resolve('again'));
    for (let count = 0; count < 3; count++) t.equal(yield* operation, 'again');
  });
});

async function sleepFor(ms: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
}

t.test('H4: wait subscribes once per promise, however often it is waited for', async (t) => {
  const long = counted<string>();
  await virtually(function* () {
    const ticks = new Channel<number>();
    spawn(function* () {
      for (let count = 0; count < 100; count++) yield* ticks.send(count);
      long.resolve('at last');
    });
    let selected = 0;
    for (;;) {
      const next = yield* select({ long: wait(long.promise), tick: ticks.receive() });
      if (next.key === 'long') break;
      selected++;
    }
    t.equal(selected, 100);
    const others = [0, 1, 2].map(() => spawn(() => wait(long.promise)));
    for (const other of others) t.equal(yield* other.join(), 'at last');
  });
  t.equal(long.calls, 1);
});

t.test('several who wait for one promise are woken in their order', async (t) => {
  const log: number[] = [];
  await virtually(function* () {
    const { promise, resolve } = counted<number>();
    const waiters = [0, 1, 2].map((index) =>
      spawn(function* () {
        yield* wait(promise);
        log.push(index);
      }),
    );
    yield* sleep(1);
    waiters[1]!.cancel();
    resolve(1);
    yield* errorOf(waiters[1]!.join());
  });
  t.strictSame(log, [0, 2]);
});

t.test('a rejection is handled from when wait is called, and thrown whenever it is performed', async (t) => {
  const failure = new Error('early');
  const unhandled = await unhandledDuring(() =>
    run(function* () {
      const failing = counted<never>();
      const operation = wait(failing.promise);
      failing.reject(failure);
      yield* sleep(2);
      t.equal(yield* errorOf(operation), failure);
      t.equal(yield* errorOf(operation), failure);
      const abandoned = counted<never>();
      const waiter = spawn(() => wait(abandoned.promise));
      yield* pause();
      yield* pause();
      waiter.cancel();
      abandoned.reject(failure);
      t.ok((yield* errorOf(waiter.join())) instanceof CancelledError);
    }),
  );
  t.strictSame(unhandled, []);
});

t.test('C6: an outcome that came before the cancellation is delivered', async (t) => {
  for (const outcome of ['value', 'error']) {
    await virtually(function* () {
      const { promise, resolve, reject } = counted<string>();
      const waiter = spawn(() => wait(promise), { onError: () => {} });
      yield* sleep(1);
      if (outcome === 'value') resolve('value');
      else reject(new Error('error'));
      // The waiter was told in a microtask that comes before this one.
      yield* wait(Promise.resolve());
      waiter.cancel();
      if (outcome === 'value') t.equal(yield* waiter.join(), 'value');
      else t.match(yield* errorOf(waiter.join()), { message: 'error' });
    });
  }
});

t.test('a thenable that is no promise is not started before it is waited for', async (t) => {
  let started = 0;
  const lazy: PromiseLike<string> = {
    // oxlint-disable-next-line unicorn/no-thenable
    then(onFulfilled) {
      started++;
      return Promise.resolve('made').then(onFulfilled);
    },
  };
  await virtually(function* () {
    const operation = wait(lazy);
    const ready = new Channel<string>(1);
    ready.trySend('first');
    const selected = yield* select({ lazy: operation, ready: ready.receive() });
    t.equal(selected.key, 'ready');
    yield* sleep(1);
    t.equal(started, 0, 'losing a select does not start it');
    t.strictSame(yield* select({ lazy: operation, ready: ready.receive() }), { key: 'lazy', value: 'made' });
    t.equal(yield* operation, 'made');
    t.equal(started, 1);
    t.equal(yield* wait(lazy), 'made');
  });
  t.equal(started, 2, 'another wait is another await');
});

t.test('a thenable may call back at once, twice, or throw', async (t) => {
  const failure = new Error('in then');
  let calls = 0;
  const thenables: Record<string, (resolve: Settle<string>, reject: Settle<unknown>) => void> = {
    value: (resolve, reject) => {
      resolve('value');
      resolve('second');
      reject(failure);
    },
    late: (resolve) => {
      resolve('late');
      throw failure;
    },
    failing: () => {
      calls++;
      throw failure;
    },
  };
  await virtually(function* () {
    const waits = Object.entries(thenables).map(([name, then]) => {
      // oxlint-disable-next-line unicorn/no-thenable
      return [name, { then } as unknown as PromiseLike<string>] as const;
    });
    for (let count = 0; count < 2; count++) {
      for (const [name, thenable] of waits) {
        if (name === 'failing') t.equal(yield* errorOf(wait(thenable)), failure);
        else t.equal(yield* wait(thenable), name);
      }
    }
  });
  t.equal(calls, 2, 'once for each wait');
});

t.test('wait refuses what is neither a promise nor a function', async (t) => {
  for (const [source, words] of [
    [42, '42'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{}, 'an object'],
    [[], 'an array'],
    [sleep(1), 'an operation'],
  ]) {
    t.match(
      thrownBy(() => wait(source as never)),
      {
        name: 'TypeError',
        message: `wait expects a promise, or a function that gives one, got ${String(words)}`,
      },
    );
  }
});

t.test('wait calls a function when it is performed, each time anew', async (t) => {
  let calls = 0;
  await virtually(function* () {
    const work = wait(async (signal) => {
      t.ok(signal instanceof AbortSignal);
      t.equal(signal.aborted, false);
      return ++calls;
    });
    yield* sleep(1);
    t.equal(calls, 0);
    t.equal(yield* work, 1);
    t.equal(yield* work, 2);
    t.equal(yield* wait(() => 'a plain value'), 'a plain value');
    const failure = new Error('at once');
    const failing = wait(() => {
      throw failure;
    });
    t.equal(yield* errorOf(failing), failure);
    t.equal(yield* errorOf(wait(async () => Promise.reject(failure))), failure);
  });
});

t.test(
  'C4: the signal of the function aborts when the wait is cancelled; what comes later is not heard',
  async (t) => {
    const unhandled = await unhandledDuring(async () => {
      for (const ending of ['fulfilled', 'rejected', 'never']) {
        const signals: AbortSignal[] = [];
        const { promise, resolve, reject } = counted<string>();
        await virtually(function* () {
          const worker = spawn(() =>
            wait(function fetchAll(signal) {
              signals.push(signal);
              return promise;
            }),
          );
          yield* sleep(1);
          t.equal(worker.describe(), 'waiting for the promise of fetchAll');
          t.equal(signals[0]?.aborted, false);
          worker.cancel();
          t.equal(signals[0]?.aborted, true, 'at once');
          t.match(signals[0]?.reason, { name: 'AbortError' });
          if (ending === 'fulfilled') resolve('too late');
          if (ending === 'rejected') reject(new Error('too late'));
          t.ok((yield* errorOf(worker.join())) instanceof CancelledError);
          yield* sleep(1);
        });
      }
    });
    t.strictSame(unhandled, []);
  },
);

t.test('a signal that has served does not abort later', async (t) => {
  await virtually(function* () {
    let signal!: AbortSignal;
    const worker = spawn(function* () {
      yield* wait((given) => (signal = given));
      yield* forever();
    });
    yield* sleep(1);
    worker.cancel();
    t.equal(signal.aborted, false);
    yield* errorOf(worker.join());
  });
});

t.test('an outcome of an earlier performance is not taken for that of a later one', async (t) => {
  await virtually(function* () {
    const outcomes: Settle<string>[] = [];
    const work = wait(() => new Promise<string>((resolve) => outcomes.push(resolve)));
    yield* errorOf(timeout(5, () => work));
    outcomes[0]!('of the first');
    const second = spawn(() => work);
    yield* sleep(1);
    t.equal(second.state, 'suspended');
    const { message } = yield* errorOf(work);
    t.equal(message, 'somebody is waiting for a promise already; one at a time');
    t.equal(outcomes.length, 2, 'it was not begun again');
    outcomes[1]!('of the second');
    t.equal(yield* second.join(), 'of the second');
  });
});

t.test(
  'one operation performed by two at once is a BusyError, two operations on one promise are not',
  async (t) => {
    await virtually(function* () {
      const { promise, resolve } = counted<number>();
      const operation = wait(promise);
      const first = spawn(() => operation);
      const second = spawn(() => operation, { onError: () => {} });
      const third = spawn(() => wait(promise));
      t.ok((yield* errorOf(second.join())) instanceof BusyError);
      resolve(42);
      t.equal(yield* first.join(), 42);
      t.equal(yield* third.join(), 42);
    });
  },
);

t.test('a function that starts is a losing case of select: its signal aborts', async (t) => {
  await virtually(function* () {
    let signal: AbortSignal | undefined;
    const news = new Channel<string>();
    spawn(function* () {
      yield* sleep(1);
      yield* news.send('news');
    });
    const work = wait((given) => {
      signal = given;
      return new Promise<void>(() => {});
    });
    t.equal((yield* select({ work, news: news.receive() })).key, 'news');
    t.equal(signal?.aborted, true);
  });
});

t.test('the signal of work says why it is not waited for any more', async (t) => {
  await virtually(function* () {
    const reasons: unknown[] = [];
    const work = (signal: AbortSignal): Promise<never> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason);
          reject(signal.reason as Error);
        });
      });
    const worker = spawn(() => wait(work));
    yield* pause();
    worker.cancel('enough');
    t.ok(reasons[0] instanceof CancelledError);
    t.match(reasons[0], { cause: 'enough' });
    t.equal((yield* select({ work: wait(work), late: sleep(5) })).key, 'late');
    t.match(reasons[1], { name: 'AbortError' }, 'one that has lost was not cancelled');
    t.notOk(reasons[1] instanceof CancelledError);
    yield* errorOf(timeout(5, () => wait(work)));
    t.match(reasons[2], { name: 'AbortError', cause: { name: 'TimeoutError' } });
    t.equal(reasons.length, 3);
  });
});

t.test('C6: a wait that is cancelled at any point leaves nothing that waits', async (t) => {
  let aborted = 0;
  function* program(): Co<number> {
    const first = yield* wait(Promise.resolve(1));
    return yield* wait((signal) => {
      signal.addEventListener('abort', () => aborted++);
      return Promise.resolve(first + 1);
    });
  }
  const { failures } = await everyPoint(() => ({
    victims: [program],
    verify: ([ending]) => ('value' in ending! && ending.value !== 2 ? 'has a wrong value' : undefined),
  }));
  t.strictSame(failures, []);
  t.ok(aborted > 0);
});
