// Effection: tasks that start, end, take turns and sleep.

import { action, type Operation, race, run, sleep, spawn, type Task, withResolvers } from 'effection';
import { BATCH, duration, heapInUse, pendingTimers } from '../fixtures.ts';
import type { Program } from '../meter.ts';

/** Fewer than the others have: a million of its tasks would take 10 GB. */
const PARKED = 20_000;

function* nothing(): Operation<void> {}

/** Goes on at once, after the others that are ready: there is no operation of its own for that. */
const pause = action<void>((resolve) => {
  resolve();
  return () => {};
});

function* deepPauses(depth: number, times: number): Operation<void> {
  if (depth > 1) yield* deepPauses(depth - 1, times);
  else for (let i = 0; i < times; i++) yield* pause;
}

/** Two tasks alternate; each waits inside of so many generators. */
function alternate(depth: number): Program {
  return async (meter) => {
    await run(function* () {
      for (let n; (n = meter.next(2)) > 0;) {
        const half = n / 2;
        const one = yield* spawn(() => deepPauses(depth, half));
        const other = yield* spawn(() => deepPauses(depth, half));
        yield* one;
        yield* other;
      }
    });
  };
}

export const tasks: Record<string, Program> = {
  spawn: async (meter) => {
    await run(function* () {
      for (let n; (n = meter.next()) > 0;) {
        for (let i = 0; i < n; i++) yield* yield* spawn(nothing);
      }
    });
  },

  'spawn-batch': async (meter) => {
    await run(function* () {
      const batch: Task<void>[] = [];
      for (let n; (n = meter.next(BATCH)) > 0;) {
        for (let done = 0; done < n; done += BATCH) {
          for (let i = 0; i < BATCH; i++) batch[i] = yield* spawn(nothing);
          for (let i = 0; i < BATCH; i++) yield* batch[i]!;
        }
      }
    });
  },

  switch: alternate(1),
  'depth-10': alternate(10),
  'depth-50': alternate(50),

  // A spawned task falls asleep before its spawner goes on.
  'sleep-cancel': async (meter) => {
    await run(function* () {
      const batch: Task<void>[] = [];
      for (let n; (n = meter.next(BATCH)) > 0;) {
        for (let done = 0; done < n; done += BATCH) {
          for (let i = 0; i < BATCH; i++) batch[i] = yield* spawn(() => sleep(duration(i)));
          for (let i = 0; i < BATCH; i++) yield* batch[i]!.halt();
        }
      }
    });
  },

  // Its sleeps are Node's timers, so the million that is pending is made of these.
  timeout: async (meter) => {
    const million = pendingTimers();
    await run(function* () {
      for (let n; (n = meter.next()) > 0;) {
        for (let i = 0; i < n; i++) yield* race([nothing(), sleep(duration(i))]);
      }
    });
    for (const one of million) clearTimeout(one);
  },

  parked: async () =>
    run(function* () {
      const gate = withResolvers<void>();
      function* wait(): Operation<void> {
        yield* gate.operation;
      }
      const all = Array.from<Task<void> | null>({ length: PARKED }).fill(null);
      const before = heapInUse();
      for (let i = 0; i < PARKED; i++) all[i] = yield* spawn(wait);
      const bytes = (heapInUse() - before) / PARKED;
      gate.resolve();
      return { bytes };
    }),
};
