// Effect: very many fibers at once.

import { Deferred, Effect, Fiber, Queue } from 'effect';
import { heapInUse, inAll, Laps, PARKED, shuffled, Stopwatch, WAITERS } from '../fixtures.ts';
import type { Program } from '../meter.ts';

export const crowds: Record<string, Program> = {
  parked: () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>();
        const wait = Effect.gen(function* () {
          yield* Deferred.await(gate);
        });
        const all = Array.from<Fiber.Fiber<void> | null>({ length: PARKED }).fill(null);
        const before = heapInUse();
        const watch = new Stopwatch();
        for (let i = 0; i < PARKED; i++) all[i] = yield* Effect.forkChild(wait);
        yield* Effect.yieldNow;
        const parking = watch.lap();
        const bytes = (heapInUse() - before) / PARKED;
        watch.lap();
        yield* Deferred.succeed(gate, undefined);
        for (let i = 0; i < PARKED; i++) yield* Fiber.join(all[i]!);
        return { bytes, ...inAll('life', parking, watch.lap()) };
      }),
    ),

  waiters: () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const order = shuffled(WAITERS);
        const queue = yield* Queue.bounded<number>(0);
        const wait = Effect.gen(function* () {
          yield* Queue.take(queue);
        });
        const left = new Laps();
        const unwound = new Laps();
        for (let round = 0; round < 3; round++) {
          const crowd: Fiber.Fiber<void>[] = [];
          for (let i = 0; i < WAITERS; i++) crowd.push(yield* Effect.forkChild(wait));
          yield* Effect.yieldNow;
          const watch = new Stopwatch();
          for (const i of order) crowd[i]!.interruptUnsafe();
          const leaving = watch.lap();
          yield* Fiber.awaitAll(crowd);
          left.add(leaving);
          unwound.add(leaving, watch.lap());
        }
        return { ...left.figures('left'), ...unwound.figures('unwound') };
      }),
    ),
};
