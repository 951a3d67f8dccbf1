// What the compiler infers of combinators and interop; `tsc --noEmit` is the judge, and running it shows
// that the values agree.

import { EventEmitter } from 'node:events';
import t from 'tap';
import {
  all,
  allSettled,
  any,
  Channel,
  type Co,
  type Coroutine,
  forEach,
  iterate,
  once,
  type Operation,
  pause,
  race,
  rateLimit,
  retry,
  run,
  singleflight,
  sleep,
  spawn,
  type Task,
  toAsyncIterable,
} from '../../scheduler/index.ts';
import { typed } from '../support/programs/typed.ts';

function* parse(input: string): Co<number> {
  yield* pause();
  return Number(input);
}

function* echo(input: string): Co<string> {
  yield* pause();
  return input;
}

t.test('all keeps tuples, of bodies and of coroutines', async (t) => {
  await run(function* () {
    const worker: Coroutine<string> = spawn(() => echo('worker'));
    const pair = yield* all([() => parse('1'), worker]);
    t.same(typed<[number, string]>()(pair, true), [1, 'worker']);
    const [nothing, text, flag] = yield* all([
      () => sleep(0),
      worker,
      function* () {
        yield* pause();
        return true;
      },
    ]);
    typed<void>()(nothing, true);
    typed<string>()(text, true);
    typed<boolean>()(flag, true);
    typed<[]>()(yield* all([]), true);
  });
});

t.test('all of an array or an iterable of one type gives an array', async (t) => {
  await run(function* () {
    const names = ['1', '2'];
    const numbers = yield* all(names.map((name) => () => parse(name)));
    t.same(typed<number[]>()(numbers, true), [1, 2]);
    const tasks: readonly Task<string>[] = [() => echo('a'), spawn(() => echo('b'))];
    t.same(typed<string[]>()(yield* all(tasks), true), ['a', 'b']);
    const some = new Set([() => parse('1')]);
    t.same(typed<number[]>()(yield* all(some), true), [1]);
  });
});

t.test('allSettled says of each how it ended', async (t) => {
  await run(function* () {
    const [first, second] = yield* allSettled([() => parse('1'), () => echo('a')]);
    typed<PromiseSettledResult<number>>()(first, true);
    typed<PromiseSettledResult<string>>()(second, true);
    if (first.status === 'fulfilled') t.equal(typed<number>()(first.value, true), 1);
    const several = yield* allSettled(new Set([() => echo('a')]));
    typed<PromiseSettledResult<string>[]>()(several, true);
  });
});

t.test('race and any give one of the results', async (t) => {
  await run(function* () {
    const worker = spawn(() => echo('a'));
    const first = yield* race([() => parse('1'), worker]);
    t.ok(typed<string | number>()(first, true));
    const some = yield* any([() => parse('1'), worker]);
    t.ok(typed<string | number>()(some, true));
    t.equal(typed<number>()(yield* race(new Set([() => parse('1')])), true), 1);
    t.equal(typed<number>()(yield* any(new Set([() => parse('1')])), true), 1);
  });
});

t.test('what surrounds a body keeps its types', async (t) => {
  await run(function* () {
    const tried = yield* retry({}, (attempt) => parse(String(typed<number>()(attempt, true))));
    t.equal(typed<number>()(tried, true), 1);
    const shared = singleflight((key: string) => parse(key));
    typed<(key: string) => Co<number>>()(shared, true);
    t.equal(yield* shared('2'), 2);
    typed<Operation<void>>()(rateLimit({ rate: 1 }).take(), true);
    yield* forEach(new Map([['a', 1]]), { concurrency: 1 }, function* ([key, value], index) {
      typed<string>()(key, true);
      typed<number>()(value, true);
      typed<number>()(index, true);
    });
  });
});

t.test('items and events have their types', async (t) => {
  await run(function* () {
    yield* iterate([1, Promise.resolve(2)], function* (item) {
      t.type(typed<number>()(item, true), 'number');
    });
    async function* letters(): AsyncGenerator<string> {
      yield 'a';
    }
    yield* iterate(letters(), function* (item) {
      t.equal(typed<string>()(item, true), 'a');
    });
    typed<AsyncIterable<Buffer>>()(toAsyncIterable(new Channel<Buffer>()), true);
    typed<Operation<unknown[]>>()(once(new EventEmitter(), 'ready'), true);
    typed<Operation<unknown[]>>()(once(process.stdin, 'data'), true);
    typed<Operation<[port: number]>>()(once<[port: number]>(new EventEmitter(), 'ready'), true);
    typed<Operation<unknown[]>>()(once(new EventEmitter<{ ready: [port: number] }>(), 'ready'), true);
    typed<Operation<Event>>()(once(new EventTarget(), 'ready'), true);
    typed<Operation<Event>>()(once(new AbortController().signal, 'abort'), true);
  });
});

t.test('what is no task is refused', async (t) => {
  const wrong: (() => Co<unknown>)[] = [
    // @ts-expect-error a generator is not a body
    () => all([parse('1')]),
    // @ts-expect-error nor is an operation
    () => race([sleep(1)]),
    // @ts-expect-error nor a promise
    () => any([Promise.resolve(1)]),
    // @ts-expect-error concurrency has no default
    () => forEach([1], {}, () => sleep(0)),
    // @ts-expect-error a number is not iterable
    () => iterate(5, () => sleep(0)),
  ];
  for (const each of wrong) await t.rejects(run(each), TypeError);
});
