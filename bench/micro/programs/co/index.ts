// The package `co`: generators over promises. It has no channels, select, timers or cancellation.

import co from 'co';
import { BATCH, CHAIN, heapInUse, inAll, opening, PARKED, Stopwatch } from '../fixtures.ts';
import type { Program } from '../meter.ts';

type Body<T> = Generator<Promise<unknown>, T, any>;

/** A promise that is settled already is the shortest wait of co. */
const settled = Promise.resolve();

function* nothing(): Body<void> {}

function* deepPauses(depth: number, times: number): Body<void> {
  if (depth > 1) yield* deepPauses(depth - 1, times);
  else for (let i = 0; i < times; i++) yield settled;
}

/** Two coroutines alternate; each waits inside of so many generators. */
function alternate(depth: number): Program {
  return (meter) =>
    co(function* () {
      for (let n; (n = meter.next(2)) > 0;) {
        const half = n / 2;
        yield Promise.all([co(() => deepPauses(depth, half)), co(() => deepPauses(depth, half))]);
      }
    });
}

function* link(from: Promise<number>): Body<number> {
  return 1 + (yield from);
}

export const programs: Record<string, Program> = {
  spawn: (meter) =>
    co(function* () {
      for (let n; (n = meter.next()) > 0;) {
        for (let i = 0; i < n; i++) yield co(nothing);
      }
    }),

  'spawn-batch': (meter) =>
    co(function* () {
      const batch: Promise<void>[] = [];
      for (let n; (n = meter.next(BATCH)) > 0;) {
        for (let done = 0; done < n; done += BATCH) {
          for (let i = 0; i < BATCH; i++) batch[i] = co(nothing);
          for (let i = 0; i < BATCH; i++) yield batch[i]!;
        }
      }
    }),

  switch: alternate(1),
  'depth-10': alternate(10),
  'depth-50': alternate(50),

  // Promises take the place of channels: a value goes through each link once.
  chain: (meter) =>
    co(function* () {
      for (let n; (n = meter.next(CHAIN)) > 0;) {
        for (let links = 0; links < n; links += CHAIN) {
          const { gate, open } = opening<number>();
          let left = gate;
          for (let i = 0; i < CHAIN; i++) {
            const from = left;
            left = co(() => link(from));
          }
          open(0);
          if ((yield left) !== CHAIN) throw new Error('the chain is broken');
        }
      }
    }),

  parked: async () => {
    const { gate, open } = opening<void>();
    function* wait(): Body<void> {
      yield gate;
    }
    const all = Array.from<Promise<void> | null>({ length: PARKED }).fill(null);
    const before = heapInUse();
    const watch = new Stopwatch();
    for (let i = 0; i < PARKED; i++) all[i] = co(wait);
    const parking = watch.lap();
    const bytes = (heapInUse() - before) / PARKED;
    watch.lap();
    open();
    for (let i = 0; i < PARKED; i++) await all[i];
    return { bytes, ...inAll('life', parking, watch.lap()) };
  },
};
