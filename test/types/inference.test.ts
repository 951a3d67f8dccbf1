// What the compiler infers; `tsc --noEmit` is the judge, and running it shows that the values agree.

import t from 'tap';
import {
  type Body,
  type Co,
  type Coroutine,
  current,
  type Operation,
  pause,
  run,
  scope,
  type Scope,
  sleep,
  spawn,
  suspend,
} from '../../scheduler/index.ts';
import { typed } from '../support/programs/typed.ts';

function* parse(input: string): Co<number> {
  yield* pause();
  return Number(input);
}

t.test('yield* gives the type of the operation or the generator', async (t) => {
  await run(function* () {
    const given = yield* suspend<number>((resume) => resume(null, 1));
    t.equal(typed<number>()(given, true), 1);
    const parsed = yield* parse('2');
    t.equal(typed<number>()(parsed, true), 2);
    const joined = yield* spawn(() => parse('3')).join();
    t.equal(typed<number>()(joined, true), 3);
    const optional = yield* suspend<string | null>((resume) => resume(null, null));
    t.equal(typed<string | null>()(optional, true), null);
  });
});

t.test('run, spawn, join and scope keep the type of the body', async (t) => {
  const result = await run(function* () {
    const child = spawn(function* () {
      yield* sleep(0);
      return { port: 9981 };
    });
    typed<Coroutine<{ port: number }>>()(child, true);
    typed<Operation<{ port: number }>>()(child.join(), true);
    const tuple = yield* scope(function* (jobs) {
      typed<Scope>()(jobs, true);
      typed<Coroutine<number>>()(
        jobs.spawn(() => parse('1')),
        true,
      );
      return ['a', 1] as const;
    });
    typed<readonly ['a', 1]>()(tuple, true);
    typed<Coroutine<unknown>>()(current(), true);
    return (yield* child.join()).port;
  });
  t.equal(typed<number>()(result, true), 9981);
  typed<Promise<void>>()(
    run(() => sleep(0)),
    true,
  );
});

t.test('the five lines over a callback interface are typed', async (t) => {
  class Source {
    recv(callback: (data: Buffer | null, error: Error | null) => void): void {
      setImmediate(callback, Buffer.from('data'), null);
    }
    *read(): Co<Buffer | null> {
      return yield* suspend((resume) => this.recv((data, error) => resume(error, data)));
    }
  }
  const data = await run(() => new Source().read());
  t.equal(typed<Buffer | null>()(data, true)?.toString(), 'data');
});

function* fine(): Co<void> {
  yield Promise.resolve();
  yield (callback: (error?: unknown) => void) => callback();
  yield [Promise.resolve(), 5];
  yield { answer: Promise.resolve() };
  yield parse('1');
  yield sleep(0);
}

function* number(): Co<void> {
  // @ts-expect-error a number cannot be waited for
  yield 5;
}

function* text(): Co<void> {
  // @ts-expect-error nor can a string
  yield 'text';
}

function* mistyped(): Co<string> {
  // @ts-expect-error the value is a number
  return yield* parse('1');
}

const body: Body<number> = () => parse('1');

t.test('a bare yield takes what co takes, and no number', async (t) => {
  await run(fine);
  for (const wrong of [number, text]) await t.rejects(run(wrong), TypeError);
});

t.test('what is not a body is refused', async (t) => {
  const wrong: (() => Promise<unknown>)[] = [
    // @ts-expect-error a generator is not a generator function
    () => run(parse('1')),
    // @ts-expect-error nor is an operation
    () => run(sleep(0)),
    // @ts-expect-error a promise is not a generator
    () => run(async () => {}),
    // @ts-expect-error a body has no parameters that nobody gives
    () => run((name: string) => parse(name.toString())),
  ];
  for (const each of wrong) await t.rejects(each(), TypeError);
});

t.test('results have their declared type', (t) => {
  // @ts-expect-error a body of a number is none of a string
  const other: Body<string> = body;
  // @ts-expect-error sleep takes a number
  t.throws(() => sleep('5'), TypeError);
  // @ts-expect-error the value is of the declared type
  suspend<number>((resume) => resume(null, 'text'));
  t.type(other, 'function');
  t.type(mistyped, 'function');
  t.end();
});
