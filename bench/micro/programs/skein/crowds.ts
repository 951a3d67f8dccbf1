// Very many coroutines at once.

import { Channel, type Co, type Coroutine, pause, run, scope, spawn } from 'skein';
import { heapInUse, inAll, Laps, PARKED, shuffled, Stopwatch, WAITERS } from '../fixtures.ts';
import type { Program } from '../meter.ts';

export const crowds: Record<string, Program> = {
  parked: () =>
    run(function* () {
      const gate = new Channel<never>();
      function* wait(): Co<void> {
        yield* gate.receive();
      }
      const before = heapInUse();
      const watch = new Stopwatch();
      let parking = watch.lap();
      let bytes = 0;
      yield* scope(function* () {
        for (let i = 0; i < PARKED; i++) {
          spawn(wait);
        }
        yield* pause();
        parking = watch.lap();
        bytes = (heapInUse() - before) / PARKED;
        watch.lap();
        gate.close();
      });
      return { bytes, ...inAll('life', parking, watch.lap()) };
    }),

  waiters: () =>
    run(function* () {
      const order = shuffled(WAITERS);
      const channel = new Channel<never>();
      function* wait(): Co<void> {
        yield* channel.receive();
      }
      const left = new Laps();
      const unwound = new Laps();
      for (let round = 0; round < 3; round++) {
        const watch = new Stopwatch();
        let leaving = watch.lap();
        yield* scope(function* () {
          const crowd: Coroutine<void>[] = [];
          for (let i = 0; i < WAITERS; i++) crowd.push(spawn(wait));
          yield* pause();
          watch.lap();
          for (const i of order) crowd[i]!.cancel();
          leaving = watch.lap();
        });
        left.add(leaving);
        unwound.add(leaving, watch.lap());
      }
      return { ...left.figures('left'), ...unwound.figures('unwound') };
    }),
};
