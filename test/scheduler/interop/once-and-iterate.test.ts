// Events and asynchronous iterables, waited for in coroutines.

import { EventEmitter, on } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate as nextRound } from 'node:timers/promises';
import t from 'tap';
import {
  after,
  CancelledError,
  type Co,
  type Coroutine,
  iterate,
  never,
  once,
  type Operation,
  pause,
  run,
  Scheduler,
  select,
  sleep,
  spawn,
  suspend,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

/** A promise, as an operation that begins to wait when it is performed. */
function until(promise: Promise<unknown>): Operation<unknown> {
  return suspend((resume) => promise.then((value) => resume(null, value), resume));
}

t.test("once gives the arguments of an emitter's event, and leaves no listener", async (t) => {
  const emitter = new EventEmitter();
  await virtually(function* () {
    const waiting = spawn(() => once(emitter, 'ready'));
    yield* pause();
    t.same(emitter.eventNames(), ['ready', 'error']);
    t.equal(waiting.describe(), 'waiting for the event ready');
    emitter.emit('ready', 1, 'two');
    t.same(emitter.eventNames(), []);
    emitter.emit('ready', 3);
    t.same(yield* waiting.join(), [1, 'two']);
  });
});

t.test('once fails with the error of an emitter, unless that is what it waits for', async (t) => {
  const emitter = new EventEmitter();
  const failure = new Error('emitted');
  await virtually(function* () {
    const emit = (): Coroutine<void> =>
      spawn(function* () {
        emitter.emit('error', failure);
      });
    emit();
    t.equal(yield* errorOf(once(emitter, 'ready')), failure);
    emit();
    t.same(yield* once(emitter, 'error'), [failure]);
    t.same(emitter.eventNames(), []);
    t.throws(() => emitter.emit('error', failure), failure, 'nobody listens any more');
  });
});

t.test('once gives the Event of an EventTarget', async (t) => {
  const controller = new AbortController();
  await virtually(function* () {
    spawn(function* () {
      controller.abort();
    });
    const event = yield* once(controller.signal, 'abort');
    t.equal(event.type, 'abort');
    t.equal(event.target, controller.signal);
    const target = new EventTarget();
    const waiting = spawn(() => once(target, 'error'));
    yield* pause();
    target.dispatchEvent(new Event('other'));
    target.dispatchEvent(new Event('error'));
    t.equal((yield* waiting.join()).type, 'error', 'which is no error of its own');
  });
});

t.test('once leaves no listener when it is cancelled or loses in a select', async (t) => {
  const emitter = new EventEmitter();
  const target = new EventTarget();
  let listening = 0;
  let dispatch: ((event: Event) => void) | undefined;
  target.addEventListener = (_: string, listener: unknown) => {
    dispatch = listener as (event: Event) => void;
    listening++;
  };
  target.removeEventListener = () => listening--;
  await virtually(function* () {
    const waiting = [spawn(() => once(emitter, 'ready')), spawn(() => once(target, 'ready'))];
    yield* pause();
    t.equal(listening, 1);
    for (const one of waiting) one.cancel();
    t.same([emitter.eventNames(), listening], [[], 0], 'at once');
    const event = once(emitter, 'ready');
    const dispatched = once(target, 'ready');
    t.match(yield* select({ event, dispatched, late: after(5) }), { key: 'late' });
    t.same([emitter.eventNames(), listening], [[], 0]);
    t.match(yield* select({ event, dispatched, now: after(0) }), { key: 'now' });
    const heard = spawn(() => dispatched);
    yield* pause();
    t.equal(listening, 1);
    dispatch?.(new Event('ready'));
    t.equal(listening, 0);
    t.type(yield* heard.join(), Event);
    spawn(function* () {
      emitter.emit('ready', 1);
      emitter.emit('ready', 2);
    });
    t.same(yield* select({ event, dispatched, never }), { key: 'event', value: [1] });
    t.same([emitter.eventNames(), listening], [[], 0]);
  });
});

t.test('C6 an event that has come is delivered, even if its waiter is cancelled then', async (t) => {
  const emitter = new EventEmitter();
  await virtually(function* () {
    const waiting = spawn(() => once(emitter, 'ready'));
    yield* pause();
    emitter.emit('ready', 1);
    waiting.cancel();
    t.same(yield* waiting.join(), [1]);
  });
});

t.test('once copes with emitters that emit or throw while a listener is added', async (t) => {
  await virtually(function* () {
    const failure = new Error('refused');
    const refusing = new EventEmitter();
    refusing.on('newListener', () => {
      throw failure;
    });
    const wait = once(refusing, 'ready');
    for (let times = 0; times < 2; times++) t.equal(yield* errorOf(wait), failure);
    const eager = new EventEmitter();
    const add = eager.on.bind(eager);
    eager.on = (event, listener) => (event === 'ready' ? (listener('at once'), add(event, listener)) : eager);
    t.same(yield* once(eager, 'ready'), ['at once']);
    t.same(eager.eventNames(), []);
  });
});

t.test('once says what is wrong', (t) => {
  for (const [emitter, event, message] of [
    [undefined, 'ready', /expects an EventEmitter or an EventTarget, got undefined/],
    [{}, 'ready', /got an object/],
    [new EventEmitter(), 5, /the name of an event, got 5/],
    [new EventTarget(), Symbol('ready'), /is a string, got Symbol\(ready\)/],
  ] as const) {
    t.match(
      thrownBy(() => once(emitter as never, event as never)),
      { name: 'TypeError', message },
    );
  }
  t.end();
});

/** Items, and what becomes of their source. */
async function* source(log: string[], count = 3, error?: Error): AsyncGenerator<number> {
  try {
    for (let n = 1; n <= count; n++) {
      await Promise.resolve();
      yield n;
    }
  } finally {
    await nextRound();
    log.push('closed');
    // oxlint-disable-next-line no-unsafe-finally -- an error of the cleanup is what is tried
    if (error !== undefined) throw error;
  }
}

t.test('iterate runs the body for each item, of asynchronous and of ordinary iterables', async (t) => {
  const log: unknown[] = [];
  function* note(item: unknown): Co<void> {
    yield* sleep(1);
    log.push(item);
  }
  await run(function* () {
    yield* iterate(source(log as string[]), note);
    yield* iterate(new Set(['a', Promise.resolve('b')]), note);
    yield* iterate('xy', note);
    yield* iterate([], note);
  });
  t.same(log, [1, 2, 3, 'closed', 'a', 'b', 'x', 'y']);
});

t.test('iterate closes its source when the body fails, and waits for that', async (t) => {
  const log: string[] = [];
  const [body, closing] = [new Error('body'), new Error('closing')];
  function* failing(): Co<void> {
    yield* pause();
    throw body;
  }
  await run(function* () {
    t.equal(yield* errorOf(iterate(source(log), failing)), body);
    t.same(log, ['closed']);
    const both = (yield* errorOf(iterate(source(log, 3, closing), failing))) as AggregateError;
    t.same(both.errors, [body, closing]);
    function* ordinary(): Generator<number> {
      try {
        yield 1;
      } finally {
        log.push('ordinary closed');
      }
    }
    t.equal(yield* errorOf(iterate(ordinary(), failing)), body);
    t.equal(yield* errorOf(iterate([Promise.reject(body)], forever)), body);
    t.equal(log.at(-1), 'ordinary closed');
  });
});

t.test('iterate throws the error of its source, which has ended by it', async (t) => {
  const log: string[] = [];
  const failure = new Error('source');
  let returned = 0;
  const iterator = (next: () => Promise<IteratorResult<number>>): AsyncIterable<number> => ({
    [Symbol.asyncIterator]: () => ({ next, return: () => Promise.reject(new Error(`${++returned}`)) }),
  });
  const thrower = (): never => {
    throw failure;
  };
  await run(function* () {
    t.equal(yield* errorOf(iterate(source(log, 1, failure), () => sleep(0))), failure);
    for (const next of [() => Promise.reject(failure), thrower]) {
      t.equal(yield* errorOf(iterate(iterator(next), forever)), failure);
    }
  });
  t.equal(returned, 0);
});

t.test('iterate: cancellation closes the source and waits until it is closed', async (t) => {
  const log: string[] = [];
  const failure = new Error('closing');
  await run(function* () {
    for (const error of [undefined, failure]) {
      const work = spawn(() => iterate(source(log, 3, error), forever), { onError: () => {} });
      yield* until(nextRound());
      work.cancel('enough');
      yield* pause();
      t.equal(work.state, 'suspended');
      const thrown = yield* errorOf(work.join());
      if (error === undefined) t.match(thrown, { name: 'AbortError', cause: 'enough' });
      else t.equal(thrown, error, 'an error of closing is not lost');
      t.equal(log.pop(), 'closed');
    }
  });
});

t.test('iterate: a source that produces its next item is closed when it has come so far', async (t) => {
  const log: string[] = [];
  let produce!: () => void;
  async function* slow(): AsyncGenerator<number> {
    try {
      await new Promise<void>((resolve) => {
        produce = resolve;
      });
      log.push('produced');
      yield 1;
    } finally {
      log.push('closed');
    }
  }
  await run(function* () {
    const work = spawn(() => iterate(slow(), forever));
    yield* pause();
    work.cancel();
    yield* sleep(2);
    t.equal(work.state, 'suspended');
    produce();
    t.ok((yield* errorOf(work.join())) instanceof CancelledError);
    t.same(log, ['produced', 'closed']);
  });
});

t.test('iterate leaves a source behind that does not close within the grace', async (t) => {
  async function* stuck(): AsyncGenerator<number> {
    await new Promise(() => {});
  }
  const clock = new VirtualClock();
  await new Scheduler({ clock }).run(function* () {
    for (const [grace, expected] of [
      [undefined, 5000],
      [10, 10],
      [0, 0],
    ] as const) {
      const work = spawn(() => iterate(stuck(), forever, { grace }));
      yield* pause();
      const begin = clock.now();
      work.cancel('enough');
      t.match(yield* errorOf(work.join()), { name: 'AbortError', cause: 'enough' });
      t.equal(clock.now() - begin, expected);
    }
  });
});

t.test('iterate: a stream and an events iterator are closed at once', async (t) => {
  const stream = new PassThrough();
  const emitter = new EventEmitter();
  const clock = new VirtualClock();
  await new Scheduler({ clock }).run(function* () {
    const seen: string[] = [];
    const reading = spawn(() =>
      iterate(stream, function* (chunk: Buffer) {
        seen.push(chunk.toString());
      }),
    );
    stream.write('data');
    yield* until(nextRound());
    const listening = spawn(() => iterate(on(emitter, 'tick') as AsyncIterable<unknown[]>, forever));
    yield* pause();
    t.same(seen, ['data']);
    for (const one of [reading, listening]) one.cancel();
    for (const one of [reading, listening]) t.match(yield* errorOf(one.join()), { name: 'AbortError' });
    t.ok(stream.destroyed);
    t.same(emitter.eventNames(), []);
    t.equal(clock.now(), 0, 'nobody had to wait for the grace to pass');
  });
});

t.test('iterate says what is wrong', async (t) => {
  await virtually(function* () {
    t.match(yield* errorOf(iterate(5 as never, forever)), {
      name: 'TypeError',
      message: /iterable, .* got 5/,
    });
    t.match(yield* errorOf(iterate(undefined as never, forever)), { name: 'TypeError' });
    t.match(yield* errorOf(iterate([1], undefined as never)), { name: 'TypeError', message: /body/ });
    t.match(yield* errorOf(iterate([1], forever, { grace: -1 })), { name: 'TypeError', message: /grace/ });
  });
});
