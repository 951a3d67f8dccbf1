// Programs for `co`: what may be yielded, and what may not.

/* oxlint-disable unicorn/no-thenable, promise/no-callback-in-promise, no-sparse-arrays -- such is what is tried */

import { runInNewContext } from 'node:vm';
import {
  type Any,
  type Callback,
  failing,
  inShort,
  later,
  type Program,
  thunk,
  turns,
  work,
} from './programs.ts';

/** Logs what each yield gives or throws. */
function each(values: () => Iterable<unknown>): Program {
  return (co, log) =>
    co(function* (): Any {
      for (const value of values()) {
        try {
          log('given', yield value);
        } catch (error) {
          log('thrown', inShort(error));
        }
      }
    });
}

class Point {
  x = () => 'not called';
}

class Walker {
  #left = 2;
  next(sent: unknown): IteratorResult<unknown> {
    return this.#left-- > 0 ? { done: false, value: later(sent) } : { done: true, value: 'walked' };
  }
  throw(error: unknown): never {
    throw error;
  }
}

export const kinds: Record<string, Program> = {
  promises: each(function* () {
    yield later(1);
    yield Promise.resolve(2);
    yield Promise.resolve();
    yield failing('no');
    yield Promise.reject(undefined);
    yield Promise.resolve([() => 'not called']);
    yield runInNewContext('Promise.resolve("of another realm")');
  }),
  thenables: each(function* () {
    yield { then: (resolve: (value: number) => void) => void turns(2).then(() => resolve(1)) };
    yield { then: (_: unknown, reject: (error: unknown) => void) => void turns(2).then(() => reject('no')) };
    yield Object.assign(() => 'never called', { then: (resolve: (value: number) => void) => resolve(3) });
    yield [{ then: (resolve: (value: number) => void) => resolve(4) }];
  }),
  'a thenable that does its work anew each time': (co, log) =>
    co(function* (): Any {
      let queries = 0;
      const query = {
        then(resolve: (value: number) => void) {
          queries++;
          void turns(1).then(() => resolve(queries));
        },
      };
      log(yield query, yield query, yield [query]);
    }),
  'one promise twice': (co, log) =>
    co(function* (): Any {
      const promise = later(1);
      log(yield promise, yield promise, yield [promise, promise]);
    }),
  thunks: each(function* () {
    yield thunk(1);
    yield (callback: Callback) => callback(null, 2);
    yield (callback: Callback) => callback();
    yield (callback: Callback) => callback(null, 1, 2, 3);
    yield (callback: Callback) => callback(null, undefined, undefined);
    yield (callback: Callback) => callback(null, later('of a promise', 2));
    yield (callback: Callback) => callback(null, failing('of a promise', 2));
    yield (callback: Callback) => callback(new Error('no'));
    yield (callback: Callback) => callback('text');
    yield (callback: Callback) => callback(0, 'no error');
    yield (callback: Callback) => callback('', 'no error');
    yield async (callback: Callback) => {
      await turns(1);
      callback(null, 'an async function');
    };
    yield (...given: unknown[]) => (given[0] as Callback)(null, given.length);
    yield Point;
  }),
  'thunks that misbehave': each(function* () {
    yield () => {
      throw new RangeError('before');
    };
    yield (callback: Callback) => {
      callback(null, 'first');
      throw new RangeError('after');
    };
    yield (callback: Callback) => {
      callback(null, 'once');
      callback(null, 'twice');
      callback(new Error('thrice'));
    };
    yield (callback: Callback) => {
      callback(new RangeError('once'));
      callback(null, 'twice');
    };
    yield async (callback: Callback) => {
      await turns(2);
      callback(null, 'late');
      callback(null, 'late and twice');
    };
    yield [(callback: Callback) => (callback(null, 1), callback(null, 2))];
  }),
  arrays: each(function* () {
    yield [];
    yield [later(1, 3), later(2, 1), thunk(3, 2)];
    yield [1, 'two', Object.create(null), null, undefined, false, Symbol.iterator, new Date(0), new Map()];
    yield [[[later('deep')]], [], [[]], { a: [{ b: later('deeper') }] }];
    yield [later(1), , 3];
    yield Object.assign([later(1)], { extra: later(2) });
    yield [later(1), failing('one'), failing('two', 2)];
    yield [failing('two', 2), [failing('one')], later(1)];
    yield [Promise.reject(1), Promise.reject(2)];
    yield [{ a: Promise.reject(1) }, [[Promise.reject(2)]]];
    yield [{ a: Promise.reject(1) }, [Promise.reject(2)]];
    yield [
      () => {
        throw new RangeError();
      },
      Promise.reject(1),
    ];
  }),
  'keys keep their order, whoever is there first': (co, log) =>
    co(function* (): Any {
      const given = yield {
        b: later(1, 3),
        nothing: undefined,
        a: thunk(2, 2),
        zero: 0,
        inner: { y: later(3, 2), x: later(4) },
        2: later(5),
        1: 6,
      };
      log(Object.keys(given), given, Object.keys(given.inner));
    }),
  objects: each(function* () {
    yield {};
    yield { nothing: undefined, null: null, text: 'text', date: new Date(0), point: new Point() };
    yield { list: [later(1), { deep: later(2) }] };
    yield Object.create({ inherited: later(1) }, { own: { value: later(2), enumerable: true } });
    yield Object.create({}, { hidden: { value: later(2) }, shown: { value: 3, enumerable: true } });
    yield { [Symbol.iterator]: later(1), shown: later(2) };
    yield { a: later(1), b: failing('one'), c: failing('two', 2) };
    yield {
      get a() {
        return later('of a getter');
      },
    };
  }),
  generators: (co, log) =>
    co(function* (): Any {
      log(yield work(log, 'generator', 1, 2));
      log(
        yield function* (): Any {
          return yield work(log, 'in a function', 1);
        },
      );
      log(yield new Walker());
      log(yield [work(log, 'a', 3, 1), work(log, 'b', 1, 2)], yield { x: work(log, 'x', 1) });
      log(yield* work(log, 'delegated', 1));
      const done = work(log, 'done');
      log(yield done, yield done);
      log(
        yield runInNewContext('(function* () { return 1; })'),
        yield runInNewContext('(function* () {})()'),
      );
    }),
  'generators that return a promise': (co, log) =>
    co(function* (): Any {
      const returning = function* (): Any {
        return later(1, 2);
      };
      const rejecting = function* (): Any {
        return failing('returned', 2);
      };
      log(yield returning(), yield returning, yield [returning()]);
      for (const value of [rejecting(), rejecting, { a: rejecting }]) {
        try {
          yield value;
        } catch (error) {
          log((error as Error).message);
        }
      }
      return later(2);
    }),
  'what cannot be yielded': each(function* () {
    yield undefined;
    yield null;
    yield 5;
    yield '';
    yield 'text';
    yield true;
    yield 1n;
    yield Symbol('s');
    yield new Date(0);
    yield new Map();
    yield /x/;
    yield new Point();
    yield Buffer.from('x');
  }),
  'what cannot be yielded, and nobody catches it': (co) =>
    co(function* (): Any {
      yield later(1);
      yield 5;
    }),
};
