// Coroutines that start, end and take turns.

import { type Co, type Coroutine, pause, run, spawn } from 'skein';
import { BATCH } from '../fixtures.ts';
import type { Meter, Program } from '../meter.ts';

function* nothing(): Co<void> {}

function* pauses(times: number): Co<void> {
  for (let i = 0; i < times; i++) yield* pause();
}

/** Calls itself until it is `depth` calls deep, and pauses there. */
function* deepPauses(depth: number, times: number): Co<void> {
  if (depth === 1) yield* pauses(times);
  else yield* deepPauses(depth - 1, times);
}

/** Two coroutines alternate; each pauses inside of `depth` generators. */
function alternate(depth: number): Program {
  return (meter) =>
    run(function* () {
      for (let n; (n = meter.next(2)) > 0;) {
        const half = n / 2;
        const one = spawn(() => (depth === 1 ? pauses(half) : deepPauses(depth - 1, half)));
        const other = spawn(() => (depth === 1 ? pauses(half) : deepPauses(depth - 1, half)));
        yield* one.join();
        yield* other.join();
      }
    });
}

export const coroutines: Record<string, Program> = {
  spawn: (meter: Meter) =>
    run(function* () {
      for (let n; (n = meter.next()) > 0;) {
        for (let i = 0; i < n; i++) yield* spawn(nothing).join();
      }
    }),

  'spawn-batch': (meter: Meter) =>
    run(function* () {
      const batch: Coroutine<void>[] = [];
      for (let n; (n = meter.next(BATCH)) > 0;) {
        for (let done = 0; done < n; done += BATCH) {
          for (let i = 0; i < BATCH; i++) batch[i] = spawn(nothing);
          for (let i = 0; i < BATCH; i++) yield* batch[i]!.join();
        }
      }
    }),

  switch: alternate(1),
  'depth-10': alternate(10),
  'depth-50': alternate(50),
};
