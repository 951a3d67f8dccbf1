// What generators of `skein/co` have beyond those of `co`, being coroutines; and where it differs on purpose.

import { AsyncLocalStorage } from 'node:async_hooks';
import real from 'co';
import t from 'tap';
import co from 'skein/co';
import { runProgram } from '../../support/programs/program.ts';
import {
  CancelledError,
  Channel,
  type Co,
  current,
  DeadlockError,
  dump,
  run,
  sleep,
  spawn,
  suspend,
} from '../../../scheduler/index.ts';
import { type Any, type Callback, caught, one, turns } from '../../support/co/programs.ts';
import { forever, rejectionOf, virtually } from '../../support/scheduler/virtual.ts';

t.test('a generator of skein/co is a coroutine on the scheduler of its caller', async (t) => {
  const log: unknown[] = [];
  await virtually(function* () {
    const outer = current();
    const promise = co(function* worker() {
      log.push(current().name, current() !== outer, dump().find(({ name }) => name === 'worker')?.parent);
      yield* sleep(3_600_000);
      const child = spawn(function* () {
        yield* sleep(1000);
        return 'child';
      });
      log.push(yield* child.join(), yield child, yield sleep(1000));
      return 'done';
    });
    t.equal(current(), outer, 'and the caller is who it was');
    log.push('caller');
    log.push(yield promise);
  });
  t.strictSame(log, ['worker', true, undefined, 'caller', 'child', 'child', undefined, 'done']);
});

t.test('the promise waits for what was spawned, and has its error', async (t) => {
  const log: string[] = [];
  const promise = co(function* (): Co<void> {
    spawn(function* () {
      yield* sleep(2);
      log.push('spawned');
      throw new Error('of a child');
    });
    log.push('returned');
  });
  t.equal((await rejectionOf(promise)).message, 'of a child');
  t.strictSame(log, ['returned', 'spawned']);
});

t.test('a co inside a coroutine is a root of its own: neither disturbs the other', async (t) => {
  const log: unknown[] = [];
  let inner: Promise<string> | undefined;
  await virtually(function* () {
    const waiting = spawn(function* () {
      inner = co(function* (): Co<string> {
        yield* sleep(5);
        log.push('inner goes on');
        return 'inner';
      });
      co(function* () {
        throw new Error('unheard');
      }).catch((error: Error) => log.push(error.message));
      yield inner;
    });
    yield* sleep(1);
    waiting.cancel();
    t.ok((yield* caught(waiting.join())) instanceof CancelledError);
    log.push('outer has ended');
    yield* sleep(10);
  });
  t.equal(await inner, 'inner');
  t.strictSame(log, ['unheard', 'outer has ended', 'inner goes on']);
});

t.test('C4 cancelling it cancels what it has yielded, and waits for that', async (t) => {
  const log: unknown[] = [];
  function* child(name: string): Co<void> {
    try {
      yield* forever();
    } catch (error) {
      log.push(name, (error as Error).name);
      throw error;
    }
  }
  await virtually(function* () {
    let handle = current();
    const promise = co(function* (): Any {
      handle = current();
      try {
        yield [child('a'), { b: child('b') }, forever(), new Promise(() => {})];
      } finally {
        log.push('finally');
      }
    });
    yield* sleep(1);
    t.equal(handle.describe(), 'waiting for 4 yielded values');
    t.equal(dump().filter(({ parent }) => parent === handle.id).length, 3);
    handle.cancel('no longer needed');
    log.push(yield rejectionOf(promise).then(({ cause }) => cause));
    t.equal(dump().length, 1, 'only this one is left');
  });
  const expected = ['a', 'AbortError', 'b', 'AbortError', 'finally', 'no longer needed'];
  t.strictSame(log.toSorted(), expected.toSorted());
  t.equal(log.at(-1), 'no longer needed');
});

t.test('those that go on after an early failure are roots: seen in dumps, and not cancelled', async (t) => {
  const log: unknown[] = [];
  await virtually(function* () {
    const failing = co(function* (): Any {
      yield [
        function* straggler(): Co<void> {
          yield* sleep(10);
          log.push('straggler ends');
        },
        function* (): Co<void> {
          yield* sleep(5);
          throw new Error('early');
        },
      ];
    });
    log.push(yield rejectionOf(failing).then(({ message }) => message));
    const left = dump().find(({ name }) => name === 'straggler');
    t.match(left, { state: 'suspended', parent: undefined, waitingFor: 'sleeping for 10 ms' });
    yield* sleep(20);
    t.notOk(dump().some(({ name }) => name === 'straggler'));
  });
  t.strictSame(log, ['early', 'straggler ends']);
});

t.test('under run they are children still: the scope waits for them, or cancels them', async (t) => {
  const log: unknown[] = [];
  function* straggler(): Co<void> {
    try {
      yield* sleep(10);
      log.push('straggler ends');
    } catch (error) {
      log.push((error as Error).name);
    }
  }
  const early = () => [straggler, Promise.reject(new Error('early'))];
  await virtually(function* () {
    const error = yield* caught(
      spawn(
        function* () {
          yield early();
        },
        { onError: () => {} },
      ).join(),
    );
    log.push((error as Error).message);
  });
  await virtually(function* () {
    try {
      yield early();
    } catch {
      log.push('caught');
    }
  });
  t.strictSame(log, ['AbortError', 'early', 'caught', 'straggler ends']);
});

t.test('starting on the spot, inside a callback that starts a wait, leaves that wait in order', async (t) => {
  const log: unknown[] = [];
  await virtually(function* () {
    const outer = current();
    const given = yield* suspend<string>((resume) => {
      void co(function* (): Co<void> {
        log.push('inner');
        yield* sleep(1);
        resume(null, 'given');
      });
      t.equal(current(), outer);
    });
    spawn(function* () {
      log.push('a child of the outer');
    });
    log.push(given);
  });
  t.strictSame(log, ['inner', 'given', 'a child of the outer']);
});

t.test('an operation that is ready still goes on after the caller of co', async (t) => {
  const log: unknown[] = [];
  const channel = new Channel<number>(2);
  channel.trySend(1);
  const promise = co(function* (): Any {
    log.push(yield* channel.receive());
    log.push(yield sleep(0));
    channel.close();
    try {
      yield channel.send(2);
    } catch (error) {
      log.push((error as Error).name);
    }
  });
  log.push('caller');
  await promise;
  t.strictSame(log, [1, 'caller', undefined, 'ClosedError']);
});

t.test('C6 a value that was received by a bare yield is not lost to a cancellation', async (t) => {
  const channel = new Channel<number>(1);
  channel.trySend(1);
  const log: unknown[] = [];
  let handle: ReturnType<typeof current> | undefined;
  const promise = co(function* (): Any {
    handle = current();
    log.push(yield channel.receive());
    yield [];
  });
  handle?.cancel();
  t.type(await rejectionOf(promise), CancelledError);
  t.strictSame(log, [1]);
});

t.test('C5 in a cancelled scope nothing is begun', async (t) => {
  const log: unknown[] = [];
  const promise = co(function* (): Any {
    current().cancel();
    yield [(callback: Callback) => (log.push('thunk'), callback()), () => log.push('another')];
  });
  t.type(await rejectionOf(promise), CancelledError);
  t.strictSame(log, []);
});

t.test('S3 what cannot be yielded for ever gives way to others', async (t) => {
  let count = 0;
  await run(function* () {
    const stubborn = spawn(function* (): Any {
      for (;;) {
        try {
          yield 5;
        } catch (error) {
          if (error instanceof CancelledError) throw error;
          count++;
        }
      }
    });
    yield* sleep(2);
    stubborn.cancel();
  });
  t.ok(count > 100);
});

t.test('an async generator is refused, where it is run and where it is yielded', async (t) => {
  const wrong = async function* (): AsyncGenerator<number> {
    yield 1;
  };
  const entrances: ((body: () => any) => Promise<unknown>)[] = [run, co, (body) => co(body())];
  for (const enter of entrances)
    await t.rejects(enter(wrong), { name: 'TypeError', message: /async generator/ });
  const inside = co(function* (): Any {
    yield wrong();
  });
  await t.rejects(inside, { name: 'TypeError', message: /async generator/ });
});

t.test('the stack is spared, however deep generators are yielded', async (t) => {
  function* deep(level: number): Any {
    return level === 0 ? 0 : 1 + (yield deep(level - 1));
  }
  t.equal(await co(deep, 10_000), 10_000);
  t.equal(await run(() => deep(10_000)), 10_000);
});

t.test('a coroutine that is yielded is joined, and none waits for itself', async (t) => {
  await virtually(function* () {
    const child = spawn(function* () {
      yield* sleep(1);
      return 'child';
    });
    t.strictSame(yield [child, { child }], ['child', { child: 'child' }]);
    t.equal(yield child, 'child');
    for (const wrong of [current(), [current()]]) {
      t.type(yield* caught(one(wrong)), DeadlockError);
    }
  });
});

t.test('thenables that misbehave do no harm', async (t) => {
  const log: unknown[] = [];
  /* oxlint-disable unicorn/no-thenable -- such is what is tried */
  const twice = { then: (resolve: (value: number) => void) => (resolve(1), resolve(2)) };
  const broken = {
    then() {
      throw new Error('broken');
    },
  };
  const silent = { then: (resolve: (value: number) => void) => void turns(2).then(() => resolve(3)) };
  /* oxlint-enable unicorn/no-thenable */
  await co(function* (): Any {
    log.push(yield twice, yield { silent });
    for (const value of [broken, [broken], { broken }]) {
      log.push(((yield* caught(one(value))) as Error).message);
    }
  });
  t.strictSame(log, [1, { silent: 3 }, 'broken', 'broken', 'broken']);
});

t.test('the context of AsyncLocalStorage is kept, as the promises of co keep it', async (t) => {
  const storage = new AsyncLocalStorage<string>();
  const enter = (which: typeof real): Promise<unknown> =>
    which(function* (): Any {
      const seen = [storage.getStore()];
      yield turns(1);
      seen.push(storage.getStore());
      yield [
        function* (): Any {
          yield turns(1);
          seen.push(storage.getStore());
        },
      ];
      return seen;
    });
  for (const which of [real, co as typeof real]) {
    const [a, b] = await Promise.all([storage.run('a', enter, which), storage.run('b', enter, which)]);
    t.strictSame(
      [a, b],
      [
        ['a', 'a', 'a'],
        ['b', 'b', 'b'],
      ],
    );
  }
});

t.test('a process may end while a co waits for ever, as with co', async (t) => {
  for (const name of ['co', 'skein/co']) {
    const code = `import co from '${name}'; co(function* () { yield new Promise(() => {}); });`;
    const { exited, output } = runProgram(['--input-type=module', '--eval', code]);
    t.equal(await exited, 0, output());
    t.equal(output(), '');
  }
});
