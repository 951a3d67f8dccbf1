import t from 'tap';
import {
  CancelledError,
  type Co,
  current,
  pause,
  run,
  sleep,
  spawn,
  suspend,
} from '../../../scheduler/index.ts';
import { kind } from '../../../scheduler/kernel/operation.ts';
import { Leaf } from '../../../scheduler/kernel/operation.ts';
import { forever, virtually } from '../../support/scheduler/virtual.ts';

/** Collects unhandled rejections until the test is over. */
function watchRejections(t: Tap): unknown[] {
  const seen: unknown[] = [];
  const onRejection = (reason: unknown): void => void seen.push(reason);
  const others = process.rawListeners('unhandledRejection') as ((reason: unknown) => void)[];
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', onRejection);
  t.teardown(() => {
    process.off('unhandledRejection', onRejection);
    for (const other of others) process.on('unhandledRejection', other);
  });
  return seen;
}
type Tap = { teardown(handler: () => void): void };

function later<T>(value: T, ms = 1): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, ms, value));
}

function* answer(value: number): Co<number> {
  yield* sleep(1);
  return value;
}

/** What a bare yield of the value gives, or the error that it throws. */
function yielded(value: unknown): Promise<unknown> {
  return run(function* (): Generator<any, unknown, unknown> {
    try {
      return yield value;
    } catch (error) {
      return { thrown: error };
    }
  });
}

const failure = new Error('yielded');

t.test('S6 a promise gives its value or throws its error', async (t) => {
  t.equal(await yielded(later(1)), 1);
  t.equal(await yielded(Promise.resolve()), undefined);
  t.strictSame(await yielded(Promise.reject(failure)), { thrown: failure });
  // oxlint-disable-next-line unicorn/no-thenable
  const thenable = { then: (onValue: (value: string) => void) => onValue('at once') };
  t.equal(await yielded(thenable), 'at once');
});

t.test('S6 a thunk gives what its callback is given', async (t) => {
  type Callback = (error?: unknown, ...values: unknown[]) => void;
  t.equal(await yielded((callback: Callback) => callback(null, 1)), 1);
  t.equal(await yielded((callback: Callback) => setImmediate(callback, null, 2)), 2);
  t.equal(await yielded((callback: Callback) => callback()), undefined);
  t.strictSame(await yielded((callback: Callback) => callback(null, 1, 2, 3)), [1, 2, 3]);
  t.strictSame(await yielded((callback: Callback) => callback(failure)), { thrown: failure });
  t.strictSame(
    await yielded(() => {
      throw failure;
    }),
    { thrown: failure },
  );
});

t.test('S6 a thunk that calls back with a falsy error has not failed', async (t) => {
  for (const error of [false, 0, '']) {
    t.equal(await yielded((callback: (error: unknown, value: number) => void) => callback(error, 1)), 1);
  }
});

t.test('S6 an array is waited for at once, its other elements pass through', async (t) => {
  const functions = [
    function* () {
      return yield* answer(4);
    },
  ];
  const result = await yielded([later(1, 5), later(2), answer(3), ...functions, 5, 'six', null]);
  t.strictSame(result, [1, 2, 3, 4, 5, 'six', null]);
});

t.test('S6 an object is waited for at once, however deep', async (t) => {
  const result = await yielded({
    promise: later(1),
    thunk: (callback: (error: null, value: number) => void) => callback(null, 2),
    nested: { list: [answer(3), [later(4)]], plain: 'text' },
    generator: answer(5),
    nothing: undefined,
  });
  t.strictSame(result, {
    promise: 1,
    thunk: 2,
    nested: { list: [3, [4]], plain: 'text' },
    generator: 5,
    nothing: undefined,
  });
  t.strictSame(await yielded({}), {});
  t.strictSame(await yielded([]), []);
});

t.test('S6 an error in an array or object is thrown at the yield', async (t) => {
  t.strictSame(await yielded([later(1), Promise.reject(failure)]), { thrown: failure });
  t.strictSame(
    await yielded({
      deep: [
        (function* (): Co<void> {
          yield* sleep(1);
          throw failure;
        })(),
      ],
    }),
    { thrown: failure },
  );
});

t.test('S6 generators and generator functions run as children', async (t) => {
  t.equal(await yielded(answer(1)), 1);
  t.equal(
    await yielded(function* (): Co<number> {
      return yield answer(2);
    }),
    2,
  );
});

t.test('S6 the error of a yielded generator goes to the yield, not to the scope', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    spawn(function* () {
      yield* sleep(5);
      log.push('sibling');
    });
    try {
      yield (function* (): Co<void> {
        yield* sleep(1);
        throw failure;
      })();
    } catch (error) {
      t.equal(error, failure);
      log.push('caught');
    }
    t.equal(current().cancelled, false);
    yield* sleep(1);
    log.push('goes on');
  });
  t.strictSame(log, ['caught', 'goes on', 'sibling']);
});

t.test('S6 an operation is performed', async (t) => {
  t.equal(await yielded(suspend<number>((resume) => resume(null, 1))), 1);
  t.equal(await yielded(suspend<number>((resume) => void setImmediate(() => resume(null, 2)))), 2);
  t.equal(await yielded(pause()), undefined);
  t.strictSame(await yielded([sleep(1), suspend<number>((resume) => resume(null, 3))]), [undefined, 3]);
});

t.test('S6 what cannot be waited for is a TypeError at the yield', async (t) => {
  for (const [value, words] of [
    [undefined, 'undefined'],
    [null, 'null'],
    [5, '5'],
    ['text', '"text"'],
    [new Map(), 'an instance of Map'],
    [Object.create(null), 'an object'],
  ] as const) {
    t.match(await yielded(value), {
      thrown: { name: 'TypeError', message: new RegExp(`^cannot wait for ${words}: `) },
    });
  }
});

t.test(
  'S6 a TypeError at the yield runs finally, and fails the coroutine if nobody catches it',
  async (t) => {
    const log: string[] = [];
    const promise = run(function* (): Generator<any, void, unknown> {
      try {
        yield 5;
      } finally {
        log.push('finally');
      }
    });
    await t.rejects(promise, { name: 'TypeError' });
    t.strictSame(log, ['finally']);
  },
);

t.test('S6 an error in making what is waited for is thrown at the yield', async (t) => {
  // oxlint-disable-next-line unicorn/consistent-function-scoping
  const broken = function* (value = fail()): Co<void> {
    yield* sleep(value);
  };
  function fail(): number {
    throw failure;
  }
  t.strictSame(await yielded(broken), { thrown: failure });
});

const read = (name: string) => (callback: (error: Error | null, text?: string) => void) => {
  setImmediate(() => (name === 'none' ? callback(new Error(`no ${name}`)) : callback(null, name)));
};

function* sizes(names: string[]): Generator<any, number[], any> {
  const texts = yield names.map(read);
  return texts.map((text: string) => text.length);
}

t.test('S6 a program written for co runs unchanged', async (t) => {
  const result = await run(function* (): Generator<any, unknown, any> {
    const log: unknown[] = [];
    log.push(yield sizes(['a', 'bcd']));
    log.push(yield* sizes(['ef']));
    try {
      yield { good: read('good'), bad: read('none') };
    } catch (error) {
      log.push((error as Error).message);
    }
    return log;
  });
  t.strictSame(result, [[1, 3], [2], 'no none']);
});

t.test('C4 a coroutine is cancelled at a bare yield', async (t) => {
  const log: string[] = [];
  const values: unknown[] = [
    new Promise(() => {}),
    () => {},
    [new Promise(() => {}), forever()],
    { deep: forever() },
    (function* (): Co<void> {
      try {
        yield* forever();
      } finally {
        log.push('yielded generator');
      }
    })(),
    forever(),
  ];
  await virtually(function* () {
    const waiters = values.map((value, index) =>
      spawn(function* (): Generator<any, void, unknown> {
        try {
          yield value;
          log.push('not reached');
        } catch (error) {
          if (error instanceof CancelledError) log.push(`waiter ${index}`);
        }
        try {
          yield Promise.resolve();
          log.push('not reached');
        } catch (error) {
          if (error instanceof CancelledError) log.push(`again ${index}`);
        }
      }),
    );
    yield* sleep(1);
    for (const waiter of waiters) {
      t.equal(waiter.state, 'suspended');
      waiter.cancel();
      t.equal(waiter.state, 'ready');
    }
  });
  const expected = values.flatMap((_, index) => [`waiter ${index}`, `again ${index}`]);
  t.strictSame(log.toSorted(), [...expected, 'yielded generator'].toSorted());
});

t.test('C4 a promise that settles after its wait was cancelled is without effect', async (t) => {
  const rejections = watchRejections(t);
  await run(function* () {
    let reject!: (error: Error) => void;
    const promise = new Promise<void>((_, no) => (reject = no));
    const child = spawn(function* () {
      yield promise;
    });
    yield* pause();
    child.cancel();
    reject(failure);
    yield* sleep(2);
    t.equal(child.state, 'cancelled');
  });
  t.strictSame(rejections, []);
});

t.test('C5 yielding an array in a cancelled scope leaves no unhandled rejection', async (t) => {
  const rejections = watchRejections(t);
  await run(function* () {
    const child = spawn(function* () {
      current().cancel();
      yield [sleep(1), answer(1)];
    });
    yield* sleep(2);
    t.equal(child.state, 'cancelled');
  });
  await later(undefined);
  t.strictSame(rejections, []);
});

t.test('S6 a promise that is yielded is never an unhandled rejection, though one gives way', async (t) => {
  const rejections = watchRejections(t);
  let caught = 0;
  await run(function* () {
    for (let count = 0; count < 30_000; count++) {
      try {
        yield Promise.reject(failure);
      } catch {
        caught++;
      }
    }
  });
  await later(undefined);
  t.equal(caught, 30_000);
  t.equal(rejections.length, 0);
});

t.test('a bare yield waits in the order of the ready queue', async (t) => {
  const log: string[] = [];
  const READY = kind<string>({
    poll(operation) {
      operation.value = 'value';
      return true;
    },
    arm: () => {},
    disarm: () => {},
    describe: () => 'ready',
  });
  await virtually(function* () {
    spawn(function* () {
      log.push('other');
    });
    log.push(yield new Leaf(READY, undefined, undefined));
    yield pause();
    log.push('after a pause');
  });
  t.strictSame(log, ['value', 'other', 'after a pause']);
});
