// Programs for `co`: the ways to call it.

/* oxlint-disable unicorn/no-thenable, promise/no-callback-in-promise, no-underscore-dangle -- such is what is tried */

import { type Any, broken, type Callback, failing, later, type Program, turns, work } from './programs.ts';

export const calls: Record<string, Program> = {
  'arguments and this': async (co, log) => {
    const self = { name: 'self' };
    const given = await co.call(
      self,
      function* (this: typeof self, ...args: unknown[]): Any {
        log(this === self, args);
        yield function (this: unknown, callback: Callback) {
          log('thunk', this === self);
          callback();
        };
        yield function* (this: unknown): Any {
          log('generator function', this === self);
          yield [
            function* (this: unknown): Any {
              log('in an array', this === self);
            },
            {
              a: [
                [
                  function (this: unknown, callback: Callback) {
                    log('deep', this === self);
                    callback();
                  },
                ],
              ],
            },
          ];
        };
        return 'given';
      },
      1,
      2,
    );
    log(given);
    log(
      await co(function* (this: unknown): Any {
        return this === globalThis;
      }),
    );
    log(
      await co.co(function* (this: unknown): Any {
        return this === co;
      }),
    );
  },
  wrap: async (co, log) => {
    const adder = function* (this: unknown, a: number, b: number): Any {
      log(this === globalThis || (this as { name: string }).name);
      return a + (yield later(b));
    };
    const add = co.wrap(adder);
    log((add as unknown as { __generatorFunction__: unknown }).__generatorFunction__ === adder);
    log(await add.call({ name: 'self' }, 1, 2), await { add, name: 'method' }.add(3, 4).then((sum) => sum));
    log(Object.getPrototypeOf(add(1, 1)) === Promise.prototype);
    const failingFirst = co.wrap(function* (value = broken()): Any {
      log(value);
    });
    try {
      await failingFirst().catch(() => log('rejected'));
    } catch (error) {
      log('thrown', (error as Error).message);
    }
    return co.wrap((() => work(log, 'plain', 1)) as () => Any)();
  },
  'what is no generator function': async (co, log) => {
    const call = co as unknown as (...args: unknown[]) => Promise<unknown>;
    for (const value of [
      undefined,
      null,
      5,
      'text',
      {},
      [() => 'not called'],
      later('promise'),
      failing('rejected'),
      () => 'plain',
      (...args: unknown[]) => args,
      async () => later('async'),
      () => failing('async'),
      () => {
        throw new Error('thrown');
      },
      { then: (resolve: (value: number) => void) => resolve(1) },
      { next: 5 },
      work(log, 'a generator', 1),
      () => function* () {},
    ]) {
      await call(value, 'argument').then(
        (given) => log('given', typeof given === 'function' || given),
        (error) => log('thrown', error.message),
      );
    }
  },
  'the promise is one of its own': (co, log) => {
    const promise = later(1);
    const call = co as unknown as (value: unknown) => Promise<unknown>;
    log(call(promise) === promise, call(promise) instanceof Promise, call(1).constructor === Promise);
  },
  names: (co, log) => {
    log(typeof co, co.default === co, co.co === co, typeof co.wrap);
  },
  'promises of co in co': (co, log) =>
    co(function* (): Any {
      log(yield [co(work, log, 'a', 2), co.wrap(work)(log, 'b', 1), { c: co(work, log, 'c', 3) }]);
      try {
        yield co(function* (): Any {
          yield failing('inner');
        });
      } catch (error) {
        log((error as Error).message);
      }
    }),
  'a program of the old days': (co, log) => {
    const files: Record<string, string> = { a: 'one', b: 'three' };
    const readFile = (name: string) => (callback: Callback) =>
      void turns(1).then(() =>
        name in files ? callback(null, files[name]) : callback(new Error(`no ${name}`)),
      );
    const size = co.wrap(function* (name: string): Any {
      return ((yield readFile(name)) as string).length;
    });
    return co(function* (): Any {
      log(yield Object.keys(files).map((name) => size(name)));
      log(yield { a: readFile('a'), b: size('b') });
      try {
        yield [size('a'), size('c')];
      } catch (error) {
        log((error as Error).message);
      }
    });
  },
};
