// Promises and streams of others: each is to be taken as `await` and `for await` take it.

import { ReadableStream, TransformStream } from 'node:stream/web';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import {
  after,
  all,
  type Co,
  iterate,
  pause,
  retry,
  run,
  Scheduler,
  select,
  sleep,
  spawn,
  VirtualClock,
  wait,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, virtually } from '../../support/scheduler/virtual.ts';

// oxlint-disable unicorn/no-thenable -- they are what is tried

type Resolve = (value: unknown) => void;
type Then = (resolve: Resolve, reject: Resolve) => unknown;

/** What has become of a thenable, and how often its `then` was read and called. */
class Seen {
  reads = 0;
  calls = 0;

  /** Puts a `then` on an object, or a getter that throws. */
  on<T extends object>(target: T, then: Then): T {
    const called = (resolve: Resolve, reject: Resolve): unknown => {
      this.calls++;
      return then(resolve, reject);
    };
    return Object.defineProperty(target, 'then', {
      get: () => {
        this.reads++;
        return called;
      },
    });
  }
}

const failure = new Error('in then');

function fails(): never {
  throw failure;
}

/** Resolves with a thenable, that with another, and so on. */
function nested(depth: number): object {
  return { then: (resolve: Resolve) => resolve(depth === 0 ? 'innermost' : nested(depth - 1)) };
}

class Sub extends Promise<unknown> {}

/** A promise that begins its work when `then` is called, as that of `p-lazy` does. */
class Lazy extends Promise<unknown> {
  override then(...callbacks: never[]): Promise<never> {
    return Reflect.apply(Promise.prototype.then, Promise.resolve('begun'), callbacks);
  }
}

const KINDS: Record<string, (seen: Seen) => unknown> = {
  'a thenable': (seen) => seen.on({}, (resolve) => setImmediate(resolve, 'later')),
  'one that calls back at once': (seen) => seen.on({}, (resolve) => resolve('at once')),
  'a thenable of thenables': (seen) => seen.on({}, (resolve) => resolve(nested(3))),
  'a thenable of a promise': (seen) => seen.on({}, (resolve) => resolve(Promise.resolve(1))),
  'a thenable of a promise that is rejected': (seen) =>
    seen.on({}, (resolve) => resolve(Promise.reject(failure))),
  'one whose inner thenable throws': (seen) => seen.on({}, (resolve) => resolve({ then: fails })),
  'one whose inner getter throws': (seen) =>
    seen.on({}, (resolve) => resolve(Object.defineProperty({}, 'then', { get: fails }))),
  'one that is rejected with a thenable': (seen) => seen.on({}, (_, reject) => reject(42)),
  'one that resolves with itself': (seen) => {
    const self: object = seen.on({}, (resolve): unknown =>
      seen.calls < 3 ? resolve(self) : resolve('enough'),
    );
    return self;
  },
  'one that calls back twice': (seen) =>
    seen.on({}, (resolve, reject) => {
      resolve('first');
      reject(failure);
      resolve('third');
    }),
  'one that is rejected and then resolved': (seen) =>
    seen.on({}, (resolve, reject) => {
      reject(failure);
      resolve('too late');
    }),
  'one that resolves later and then throws': (seen) =>
    seen.on({}, (resolve) => {
      resolve(new Promise((done) => setImmediate(done, 'stands')));
      throw failure;
    }),
  'one that throws': (seen) => seen.on({}, fails),
  'a getter that throws': () => Object.defineProperty({}, 'then', { get: fails }),
  'a function with a then': (seen) =>
    seen.on(
      () => fails(),
      (resolve) => resolve('not called'),
    ),
  'a class with a then': (seen) => seen.on(class Query extends Sub {}, (resolve) => resolve('not called')),
  'a function whose getter throws': () => Object.defineProperty(() => {}, 'then', { get: fails }),
  'a proxy of a function': (seen) =>
    new Proxy(() => {}, {
      get: (_, key) => {
        if (key !== 'then') return undefined;
        seen.reads++;
        return (resolve: Resolve) => resolve('from afar');
      },
    }),
  'an object without a prototype': (seen) =>
    seen.on(Object.create(null) as object, (resolve) => resolve('bare')),
  'a promise of another realm': () => runInNewContext('Promise.resolve("foreign")'),
  'a rejected one of another realm': () => runInNewContext('Promise.reject(42)'),
  'a function of another realm': () => runInNewContext('Object.assign(() => {}, { then: (f) => f(1) })'),
  'a promise of a subclass': () => Sub.resolve('sub'),
  'a lazy promise': () => new Lazy(() => {}),
  'a promise with a then of its own': (seen) => seen.on(Promise.resolve('the own value'), fails),
  'a promise whose getter throws': () =>
    Object.defineProperty(Promise.resolve('the own value'), 'then', { get: fails }),
  'an object with the prototype of promises': () => Object.create(Promise.prototype),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
};

type Waiting = (value: unknown) => Promise<unknown>;

function* nextOf(value: unknown): Co<unknown> {
  const items: unknown[] = [];
  const answers = [value, { done: true, value: undefined }];
  const next = (): Promise<IteratorResult<unknown>> => answers.shift() as never;
  yield* iterate({ [Symbol.asyncIterator]: () => ({ next }) }, function* (item) {
    items.push(item);
  });
  return items;
}

function* itemOf(iterable: Iterable<unknown>): Co<unknown> {
  let got: unknown;
  yield* iterate(iterable, function* (item) {
    got = item;
  });
  return got;
}

const WAYS: Record<string, Waiting> = {
  wait: (value) => run(() => wait(value as PromiseLike<unknown>)),
  'wait for a function that gives it': (value) => run(() => wait(() => value)),
  'a bare yield': (value) =>
    run(function* () {
      return yield value as never;
    }),
  'a bare yield of an array': (value) =>
    run(function* () {
      return ((yield [value] as never) as unknown[])[0];
    }),
  'a bare yield of an object': (value) =>
    run(function* () {
      return ((yield { value } as never) as { value: unknown }).value;
    }),
  'iterate over an array': (value) => run(() => itemOf([value])),
};

/** What a wait comes to, in words that can be compared. */
async function outcomeOf(make: (seen: Seen) => unknown, waiting: Waiting): Promise<object> {
  const seen = new Seen();
  const value = make(seen);
  const late = new Promise((resolve) => setTimeout(resolve, 5_000, 'nothing').unref());
  const settled = waiting(value).then(
    (fulfilled) => ({ fulfilled }),
    (error: unknown) => ({ error: error instanceof Error && error !== failure ? error.name : error }),
  );
  return { ...((await Promise.race([settled, late])) as object), reads: seen.reads, calls: seen.calls };
}

async function awaited(value: unknown): Promise<unknown> {
  return await value;
}

/** What `co` does with several. */
async function joined(value: unknown): Promise<unknown> {
  return (await Promise.all([value, null]))[0];
}

for (const [way, waiting] of Object.entries(WAYS)) {
  t.test(`${way} takes for a promise what await takes for one, and as await does`, async (t) => {
    for (const [kind, make] of Object.entries(KINDS)) {
      const reference = way.startsWith('a bare yield of') ? joined : awaited;
      t.same(await outcomeOf(make, waiting), await outcomeOf(make, reference), kind);
    }
  });
}

t.test('iterate takes the answers of a source as for await does', async (t) => {
  const step = { done: false, value: 'item' };
  const answers: Record<string, () => unknown> = {
    'a thenable': () => ({ then: (resolve: Resolve) => resolve(step) }),
    'a thenable of thenables': () => ({
      then: (resolve: Resolve) => resolve({ then: (inner: Resolve) => inner(step) }),
    }),
    'a function with a then': () => Object.assign(() => {}, { then: (resolve: Resolve) => resolve(step) }),
    'a promise of another realm': () => runInNewContext('Promise.resolve({ done: false, value: "item" })'),
    'a result as it is': () => step,
    'a result with a truthy end': () => ({ done: 1, value: 'item' }),
    'a promise as the item': () => ({ done: false, value: 42 }),
    'no result': () => 42,
    'a promise of no result': () => Promise.resolve(undefined),
    'one that throws': () => ({ then: fails }),
    'a getter that throws': () => Object.defineProperty({}, 'then', { get: fails }),
  };
  async function forAwait(first: unknown): Promise<unknown> {
    const items: unknown[] = [];
    const steps = [first, { done: true, value: undefined }];
    const next = (): Promise<IteratorResult<unknown>> => steps.shift() as never;
    for await (const item of { [Symbol.asyncIterator]: () => ({ next }) }) items.push(item);
    return items;
  }
  for (const [kind, make] of Object.entries(answers)) {
    const mine = await outcomeOf(make, (value) => run(() => nextOf(value)));
    t.same(mine, await outcomeOf(make, forAwait), kind);
  }
});

/** A query as those of knex and mongoose: each call of its `then` runs it. */
function query(ms: number, ...outcomes: unknown[]): { then: Then; runs: number } {
  return {
    runs: 0,
    then(resolve, reject) {
      const outcome = outcomes[Math.min(this.runs++, outcomes.length - 1)];
      setTimeout(outcome instanceof Error ? reject : resolve, ms, outcome);
    },
  };
}

t.test('a lazy query runs once for each wait, as it does for each await', async (t) => {
  await run(function* () {
    const rows = query(1, 'the first rows', 'the second rows') as never;
    t.equal(yield* wait(rows), 'the first rows');
    t.equal(yield* wait(rows), 'the second rows');
    const flaky = query(1, new Error('connection lost'), 'rows');
    t.equal(yield* retry({ base: 1 }, () => wait(flaky as never)), 'rows');
    t.equal(flaky.runs, 2, 'an error is not the outcome of each later wait');
  });
});

t.test('a lazy query runs once for all who wait at the same time, however often they ask', async (t) => {
  await run(function* () {
    const slow = query(20, 'rows');
    let rounds = 0;
    for (;;) {
      const next = yield* select({ rows: wait(slow as PromiseLike<unknown>), tick: after(3) });
      if (next.key === 'rows') break;
      rounds++;
    }
    t.ok(rounds > 0);
    t.equal(slow.runs, 1);
    const both = query(5, 'rows');
    const waiting = (): Co<unknown> => wait(both as PromiseLike<unknown>) as never;
    t.same(yield* all([waiting, waiting]), ['rows', 'rows']);
    t.equal(both.runs, 1);
  });
});

t.test('iterate cancels a web stream through its reader, and waits for no item', async (t) => {
  const clock = new VirtualClock();
  await new Scheduler({ clock }).run(function* () {
    for (const first of [[], ['the beginning']]) {
      let cancelled = 0;
      const stream = new ReadableStream<string>({
        start: (controller) => first.forEach((chunk) => controller.enqueue(chunk)),
        pull: () => new Promise(() => {}),
        cancel: () => void cancelled++,
      });
      const items: string[] = [];
      const reading = spawn(() =>
        iterate(stream, function* (item) {
          items.push(item);
        }),
      );
      yield* sleep(10);
      const begun = clock.now();
      reading.cancel('enough');
      t.match(yield* errorOf(reading.join()), { name: 'AbortError', cause: 'enough' });
      t.equal(clock.now(), begun, 'at once');
      t.equal(cancelled, 1);
      t.equal(stream.locked, false);
      t.same(items, first);
    }
  });
});

t.test('iterate over a web stream: its end, its error, an error of the body', async (t) => {
  await virtually(function* () {
    const ending = ReadableStream.from([1, 2, 3]);
    const items: number[] = [];
    yield* iterate(ending as ReadableStream<number>, function* (item) {
      yield* pause();
      items.push(item);
    });
    t.same(items, [1, 2, 3]);
    t.equal(ending.locked, false);

    const failing = new ReadableStream({ pull: fails });
    t.equal(yield* errorOf(iterate(failing, forever)), failure);
    t.equal(failing.locked, false);

    const reasons: unknown[] = [];
    const open = new ReadableStream({
      start: (controller) => controller.enqueue('item'),
      cancel: (reason) => void reasons.push(reason),
    });
    const fault = new Error('of the body');
    const body = function* (): Co<void> {
      yield* pause();
      throw fault;
    };
    t.equal(yield* errorOf(iterate(open, body)), fault);
    t.same([reasons.length, open.locked], [1, false]);

    const stubborn = new ReadableStream({
      start: (controller) => controller.enqueue('item'),
      cancel: fails,
    });
    const both = (yield* errorOf(iterate(stubborn, body))) as AggregateError;
    t.same(both.errors, [fault, failure]);

    const locked = new ReadableStream();
    locked.getReader();
    t.match(yield* errorOf(iterate(locked, forever)), { name: 'TypeError' });
  });
});

t.test('iterate cancels what stands behind a web stream', async (t) => {
  const clock = new VirtualClock();
  await new Scheduler({ clock }).run(function* () {
    let cancelled = false;
    const source = new ReadableStream({ cancel: () => void (cancelled = true) });
    const reading = spawn(() => iterate(source.pipeThrough(new TransformStream()), forever));
    yield* sleep(10);
    reading.cancel();
    yield* errorOf(reading.join());
    t.equal(clock.now(), 10, 'nobody has waited for the grace to pass');
    t.ok(cancelled);
  });
});
