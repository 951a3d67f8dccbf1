// Effect: fibers that start, end, take turns and sleep, with its default scheduler.

import { Effect, Fiber } from 'effect';
import { BATCH, duration, pendingTimers } from '../fixtures.ts';
import type { Program } from '../meter.ts';

const nothing = Effect.gen(function* () {});

function deepPauses(depth: number, times: number): Effect.Effect<void> {
  return Effect.gen(function* () {
    if (depth > 1) yield* deepPauses(depth - 1, times);
    else for (let i = 0; i < times; i++) yield* Effect.yieldNow;
  });
}

/** Two fibers alternate; each yields inside of so many generators. A resume does not pass through these. */
function alternate(depth: number): Program {
  return (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        for (let n; (n = meter.next(2)) > 0;) {
          const one = yield* Effect.forkChild(deepPauses(depth, n / 2));
          const other = yield* Effect.forkChild(deepPauses(depth, n / 2));
          yield* Fiber.join(one);
          yield* Fiber.join(other);
        }
      }),
    );
}

export const fibers: Record<string, Program> = {
  spawn: (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        for (let n; (n = meter.next()) > 0;) {
          for (let i = 0; i < n; i++) yield* Fiber.join(yield* Effect.forkChild(nothing));
        }
      }),
    ),

  'spawn-batch': (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const batch: Fiber.Fiber<void>[] = [];
        for (let n; (n = meter.next(BATCH)) > 0;) {
          for (let done = 0; done < n; done += BATCH) {
            for (let i = 0; i < BATCH; i++) batch[i] = yield* Effect.forkChild(nothing);
            for (let i = 0; i < BATCH; i++) yield* Fiber.join(batch[i]!);
          }
        }
      }),
    ),

  switch: alternate(1),
  'depth-10': alternate(10),
  'depth-50': alternate(50),

  'sleep-cancel': (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const batch: Fiber.Fiber<void>[] = [];
        for (let n; (n = meter.next(BATCH)) > 0;) {
          for (let done = 0; done < n; done += BATCH) {
            for (let i = 0; i < BATCH; i++) batch[i] = yield* Effect.forkChild(Effect.sleep(duration(i)));
            yield* Effect.yieldNow;
            yield* Fiber.interruptAll(batch);
          }
        }
      }),
    ),

  // Its sleeps are Node's timers, so the million that is pending is made of these.
  timeout: (meter) => {
    const million = pendingTimers();
    return Effect.runPromise(
      Effect.gen(function* () {
        for (let n; (n = meter.next()) > 0;) {
          for (let i = 0; i < n; i++) yield* Effect.timeout(nothing, duration(i));
        }
        for (const one of million) clearTimeout(one);
      }),
    );
  },
};
