// Programs over the library's operations, cancelled at every one of their steps.

import { EventEmitter } from 'node:events';
import t from 'tap';
import {
  all,
  allSettled,
  any,
  CancelledError,
  Channel,
  closed,
  type Co,
  forEach,
  iterate,
  once,
  pause,
  race,
  rateLimit,
  retry,
  select,
  shield,
  singleflight,
  sleep,
  spawn,
} from '../../../scheduler/index.ts';
import { type Ending, everyPoint } from '../../support/scheduler/every-point.ts';
import { forever } from '../../support/scheduler/virtual.ts';

/** What is held at the moment: it must be nothing in the end. */
let held = 0;
/** Steps of the programs: each takes something, works, and gives it back with an operation. */
function* work<T>(value: T, ms = 1): Co<T> {
  held++;
  try {
    yield* sleep(ms);
    yield* pause();
    return value;
  } finally {
    yield* shield(() => sleep(1));
    held--;
  }
}

function* failing(ms: number): Co<never> {
  yield* work(undefined, ms);
  throw new Error('expected');
}

interface Program {
  program(): Co<unknown>;
  /** Runs at the same time, and must succeed whatever becomes of the program. */
  beside?(): Co<void>;
  /** What is left behind; looked at when all has ended. */
  left?(): unknown;
}

const programs: Record<string, { expected: unknown; make(): Program }> = {
  all: {
    expected: ['a', 'b', 'worker'],
    make: () => ({
      *program() {
        const worker = spawn(() => work('worker', 2));
        return yield* all([() => work('a'), () => work('b', 3), worker]);
      },
    }),
  },
  'all with an error': {
    expected: 'expected',
    make: () => ({
      *program() {
        try {
          return yield* all([() => work('a', 5), () => failing(2), forever]);
        } catch (error) {
          if (error instanceof CancelledError) throw error;
          return (error as Error).message;
        }
      },
    }),
  },
  allSettled: {
    expected: ['fulfilled', 'rejected'],
    make: () => ({
      *program() {
        return (yield* allSettled([() => work('a', 2), () => failing(1)])).map(({ status }) => status);
      },
    }),
  },
  race: {
    expected: 'first',
    make: () => ({
      *program() {
        const worker = spawn(() => work('worker', 3));
        return yield* race([() => work('first', 2), forever, () => race([forever]), worker]);
      },
    }),
  },
  any: {
    expected: 'second',
    make: () => ({
      *program() {
        return yield* any([() => failing(1), () => work('second', 3), () => any([forever])]);
      },
    }),
  },
  forEach: {
    expected: ['a', 'b', 'c', 'd', 'closed'],
    make: () => {
      const log: string[] = [];
      let isOpen = false;
      function* items(): Generator<string> {
        isOpen = true;
        try {
          yield* ['a', 'b', 'c', 'd'];
        } finally {
          isOpen = false;
          log.push('closed');
        }
      }
      return {
        *program() {
          yield* forEach(items(), { concurrency: 2 }, function* (item) {
            log.push(item);
            yield* work(item);
          });
          return log.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
        },
        left: () => isOpen,
      };
    },
  },
  retry: {
    expected: 'third',
    make: () => ({
      program: () =>
        retry({ base: 5 }, function* (attempt) {
          spawn(() => work('child'));
          if (attempt < 3) yield* failing(1);
          return 'third';
        }),
    }),
  },
  singleflight: {
    expected: ['shared', 'shared', 'other', 'shared'],
    make: () => {
      const shared = singleflight((key: string) => work(key, 2));
      return {
        *program() {
          const pair = yield* all([() => shared('shared'), () => shared('shared'), () => shared('other')]);
          return [...pair, yield* shared('shared')];
        },
        *beside() {
          for (let times = 0; times < 4; times++) {
            if ((yield* shared('shared')) !== 'shared') throw new Error('the result of somebody else');
          }
        },
      };
    },
  },
  rateLimit: {
    expected: 4,
    make: () => {
      const limit = rateLimit({ rate: 1000, burst: 2 });
      let taken = 0;
      return {
        *program() {
          yield* forEach([1, 1, 2], { concurrency: 3 }, function* (count) {
            yield* select({ tokens: limit.take(count), others: limit.take(count) });
            taken += count;
          });
          return taken;
        },
        *beside() {
          for (let times = 0; times < 4; times++) yield* limit.take();
          yield* sleep(2);
          if (!limit.tryTake(2)) throw new Error('tokens were lost');
        },
      };
    },
  },
  once: {
    expected: [1, 2],
    make: () => {
      const emitter = new EventEmitter();
      return {
        *program() {
          spawn(function* () {
            yield* sleep(1);
            emitter.emit('one', 1);
            yield* sleep(1);
            emitter.emit('two', 2);
          });
          const one = once(emitter, 'one');
          const [first] = (yield* select({ one, other: once(emitter, 'other') })).value;
          const [second] = yield* once(emitter, 'two');
          return [first, second];
        },
        left: () => emitter.eventNames().length,
      };
    },
  },
  iterate: {
    expected: [1, 2, 3],
    make: () => {
      const seen: number[] = [];
      let isOpen = false;
      async function* source(): AsyncGenerator<number> {
        isOpen = true;
        try {
          for (let n = 1; n <= 3; n++) {
            await Promise.resolve();
            yield n;
          }
        } finally {
          await Promise.resolve();
          isOpen = false;
        }
      }
      return {
        *program() {
          yield* iterate(source(), function* (n) {
            seen.push(yield* work(n));
          });
          return seen;
        },
        left: () => isOpen,
      };
    },
  },
  'a pipeline over channels': {
    expected: [2, 4, 6],
    make: () => {
      const numbers = new Channel<number>();
      const doubled = new Channel<number>(1);
      return {
        *program() {
          spawn(function* () {
            for (let n = 1; n <= 3; n++) yield* numbers.send(n);
            numbers.close();
          });
          spawn(function* () {
            for (let n; (n = yield* numbers.receive()) !== closed;) yield* doubled.send(2 * n);
            doubled.close();
          });
          const results: number[] = [];
          for (let n; (n = yield* doubled.receive()) !== closed;) results.push(yield* work(n));
          return results;
        },
        left: () => numbers.senders.first ?? numbers.receivers.first ?? doubled.receivers.first,
      };
    },
  },
};

for (const [name, { expected, make }] of Object.entries(programs)) {
  t.test(`${name}: cancelled at any point, it ends clean`, async (t) => {
    let completed = 0;
    const { failures, cancelled, plays } = await everyPoint(() => {
      const { program, beside, left } = make();
      held = 0;
      return {
        victims: [program],
        others: [() => beside?.() ?? work(undefined)],
        // That one came after the cancellation, and is not lost.
        mayFail: (error) => (error as Error).message === 'expected',
        verify([ending]) {
          const { value } = ending as Partial<Extract<Ending, { value: unknown }>>;
          if (value !== undefined) completed++;
          if (held !== 0 || Boolean(left?.())) return `${held} are held, and ${String(left?.())} is left`;
          const isRight = value === undefined || JSON.stringify(value) === JSON.stringify(expected);
          return isRight ? undefined : `gave ${JSON.stringify(value)}`;
        },
      };
    });
    t.same(failures, []);
    t.ok(cancelled > plays / 4 && cancelled >= 5, `cancelled in ${cancelled} of ${plays} plays`);
    t.ok(completed > 0, `completed in ${completed}`);
  });
}
