// What the compiler infers of `select`; `tsc --noEmit` is the judge, and running it shows that the values agree.

import t from 'tap';
import {
  after,
  Channel,
  closed,
  type empty,
  every,
  never,
  type Operation,
  run,
  select,
  type Selected,
  sleep,
  spawn,
  trySelect,
  wait,
} from '../../scheduler/index.ts';
import { typed } from '../support/programs/typed.ts';

/** A channel that has a value already. */
function filled<T>(value: T): Channel<T> {
  const channel = new Channel<T>(1);
  channel.trySend(value);
  return channel;
}

t.test('what select gives is a union, told apart by its key', (t) =>
  run(function* () {
    const names = filled('Ada');
    const first = yield* select({
      name: names.receive(),
      late: after(50),
      count: spawn(function* () {
        yield* sleep(50);
        return 5;
      }).join(),
      flag: wait(new Promise<boolean>(() => {})),
    });
    type Expected =
      | { readonly key: 'name'; readonly value: string | typeof closed }
      | { readonly key: 'late'; readonly value: void }
      | { readonly key: 'count'; readonly value: number }
      | { readonly key: 'flag'; readonly value: boolean };
    typed<Expected>()(first, true);
    switch (first.key) {
      case 'name':
        if (first.value === closed) throw new Error('closed');
        t.equal(typed<string>()(first.value, true).toUpperCase(), 'ADA');
        break;
      case 'late':
        typed<void>()(first.value, true);
        break;
      case 'count':
        typed<number>()(first.value, true);
        break;
      case 'flag':
        typed<boolean>()(first.value, true);
        break;
      default:
        typed<never>()(first, true);
    }
  }),
);

t.test('closed is in the type of receive, empty only in that of tryReceive', (t) =>
  run(function* () {
    const names = filled('Ada');
    typed<string | typeof closed | typeof empty>()(names.tryReceive(), true);
    names.close();
    t.equal(typed<string | typeof closed>()(yield* names.receive(), true), closed);
    // @ts-expect-error a string, or closed
    const name: string = yield* names.receive();
    t.equal(name, closed);
  }),
);

t.test('a case that is switched off drops out', (t) =>
  run(function* () {
    const names = filled('Ada');
    const first = yield* select({ name: names.receive(), off: never });
    typed<{ readonly key: 'name'; readonly value: string | typeof closed }>()(first, true);
    // @ts-expect-error there is no such key
    t.not(first.key === 'off', true);
    typed<Selected<{ off: typeof never }>>()(undefined as never, true);
  }),
);

t.test('a case that may be switched off keeps the type of its operation', (t) =>
  run(function* () {
    const names = filled('Ada');
    const isListening = names.length > 0;
    const operation = isListening ? names.receive() : never;
    const first = yield* select({ name: operation, tick: every(50) });
    typed<
      | { readonly key: 'name'; readonly value: string | typeof closed }
      | { readonly key: 'tick'; readonly value: void }
    >()(first, true);
    t.equal(first.value, 'Ada');
  }),
);

t.test('trySelect gives the same, or undefined', (t) => {
  const numbers = filled(5);
  const first = trySelect({ put: numbers.send(6), got: numbers.receive() });
  typed<
    | { readonly key: 'put'; readonly value: void }
    | { readonly key: 'got'; readonly value: number | typeof closed }
    | undefined
  >()(first, true);
  if (first?.key === 'got' && first.value !== closed) t.equal(typed<number>()(first.value, true), 5);
  t.end();
});

t.test('a select is an operation; spawned, its join may be a case of another', (t) =>
  run(function* () {
    const numbers = filled(5);
    const inner = select({ number: numbers.receive(), late: sleep(50) });
    type Inner =
      | { readonly key: 'number'; readonly value: number | typeof closed }
      | { readonly key: 'late'; readonly value: void };
    typed<Operation<Inner>>()(inner, true);
    const outer = yield* select({ inner: spawn(() => inner).join() });
    typed<{ readonly key: 'inner'; readonly value: Inner }>()(outer, true);
    t.strictSame(outer, { key: 'inner', value: { key: 'number', value: 5 } });
  }),
);

t.test('cases of a record whose keys are not known have a string as their key', (t) =>
  run(function* () {
    const cases: Record<string, Operation<number | typeof closed>> = { one: filled(1).receive() };
    const first = yield* select(cases);
    typed<{ readonly key: string; readonly value: number | typeof closed }>()(first, true);
    t.equal(first.key, 'one');
  }),
);

t.test('what is not an operation is no case', (t) => {
  // @ts-expect-error a promise has to be waited for
  t.throws(() => select({ answer: Promise.resolve(5) }), TypeError);
  // @ts-expect-error nor is a body
  t.throws(() => select({ work: () => sleep(5) }), TypeError);
  // @ts-expect-error cases have keys
  t.throws(() => select([5]), TypeError);
  t.end();
});
