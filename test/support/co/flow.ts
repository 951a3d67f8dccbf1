// Programs for `co`: the order of effects, and the ways of errors.

import { type Any, broken, type Callback, failing, later, type Program, work } from './programs.ts';

export const flow: Record<string, Program> = {
  'the generator begins within the call': (co, log) => {
    log('before');
    const promise = co(function* (): Any {
      log('begun');
      const given = yield (callback: Callback) => (log('thunk'), callback(null, 1));
      log('gone on', given);
      yield [];
      log('and on');
    });
    log('after the call');
    return promise;
  },
  'it begins within the call of another, who is not disturbed': (co, log) =>
    co(function* (): Any {
      const inner = co(work, log, 'inner', 2);
      log('outer goes on');
      yield later(1);
      log(yield inner);
    }),
  'whatever is yielded begins within the yield, in order': (co, log) => {
    const promise = co(function* (): Any {
      const starting = (name: string) => (callback: Callback) => (log(name), callback(null, name));
      yield [starting('a'), work(log, 'b', 1), { c: starting('c'), d: [work(log, 'd', 2)] }, starting('e')];
      log('all');
    });
    log('after the call');
    return promise;
  },
  'what ends at once still goes on after the caller': (co, log) => {
    const promises = [
      () => {},
      (callback: Callback) => callback(),
      Promise.resolve(),
      [],
      {},
      (function* () {})(),
      Promise.reject(1),
    ].map((value, index) =>
      co(function* (): Any {
        try {
          yield index === 0 ? later(1) : value;
        } catch {}
        log(index);
      }),
    );
    log('after the calls');
    return Promise.all(promises);
  },
  'an error before the first yield': (co) =>
    co(function* (): Any {
      throw new Error('at once');
    }),
  'an error of the function itself': (co) =>
    co(((): Any => {
      throw new Error('no generator');
    }) as () => Any),
  'an error of a parameter': (co, log) =>
    co(function* (value = broken()): Any {
      log(value);
    }),
  'an error after a yield, through finally': (co, log) =>
    co(function* (): Any {
      try {
        yield later(1);
        throw new Error('thrown');
      } catch (error) {
        log('caught', (error as Error).message);
        yield later(1);
        throw error;
      } finally {
        log('finally', yield later('cleaned up'));
      }
    }),
  'finally replaces an error, and a return': (co, log) =>
    co(function* (): Any {
      log(
        yield function* (): Any {
          try {
            yield failing('lost');
          } finally {
            // oxlint-disable-next-line no-unsafe-finally
            return yield later('of finally');
          }
        },
      );
      try {
        return 'lost';
      } finally {
        yield failing('of finally');
      }
    }),
  'a loop goes on after errors': (co, log) =>
    co(function* (): Any {
      for (let count = 0; count < 5; count++) {
        try {
          log(yield count % 2 === 0 ? failing(`no ${count}`) : later(count));
        } catch (error) {
          log((error as Error).message);
          continue;
        } finally {
          log('finally', count);
        }
      }
    }),
  'an error from deep inside': (co, log) =>
    co(function* (): Any {
      const deep = function* (level: number): Any {
        try {
          return yield level === 0 ? failing('deep') : deep(level - 1);
        } finally {
          log(level);
        }
      };
      yield [deep(3), { a: deep(2) }];
    }),
  'the first error is thrown, the others go on': (co, log) =>
    co(function* (): Any {
      try {
        yield [work(log, 'a', 1, 2, 3), failing('b', 2), work(log, 'c', 4), failing('d', 3)];
      } catch (error) {
        log((error as Error).message);
      }
      log('goes on');
      return later('done', 2);
    }),
  'the promise does not wait for the others, nor stop them': (co, log) => {
    const promise = co(function* (): Any {
      yield { a: work(log, 'a', 4, 1), b: failing('b'), never: () => {} };
    });
    promise.catch(() => log('rejected'));
    return promise;
  },
  'the others go on, though who yielded them has ended well': (co, log) => {
    const promise = co(function* (): Any {
      const inner = function* (): Any {
        try {
          yield [[work(log, 'a', 3, 1), [failing('b')]], new Promise(() => {})];
        } catch {
          return 'caught';
        }
      };
      return [yield inner, yield later('more')];
    });
    return promise.finally(() => log('settled'));
  },
  'many at once': (co, log) =>
    co(function* (): Any {
      const given = yield Array.from({ length: 50 }, (_, index) => work(() => {}, `${index}`, index % 3, 1));
      log(given.join());
    }),
  'very deep': (co, log) =>
    co(function* (): Any {
      const deep = function* (level: number): Any {
        return level === 0 ? later(0) : 1 + (yield deep(level - 1));
      };
      log(yield deep(300));
    }),
  'one generator, driven by two': (co, log) =>
    co(function* (): Any {
      const shared = work(log, 'shared', 1, 3, 5);
      log(yield [shared, shared]);
    }),
  'iterators that are no generators': (co) => co(() => [later(1), later(2, 3)].values()),
};
