// Timers that are armed and cancelled, as most timers are.

import { type Coroutine, type Operation, pause, run, scope, sleep, spawn, timeout } from 'skein';
import { BATCH, duration, PENDING, TIMERS, turn } from '../fixtures.ts';
import type { Meter, Program } from '../meter.ts';

/** `next` arms an operation, and `return` disarms it: no coroutine is needed for that. */
function arm(i: number): Operation<void> {
  const nap = sleep(duration(i));
  nap.next();
  return nap;
}

/** A million timers that are not due while the program runs. */
async function pending(): Promise<Operation<void>[]> {
  const all = Array.from({ length: PENDING }, (_, i) => arm(i));
  await turn();
  return all;
}

export const timers: Record<string, Program> = {
  // Each sleeper is cancelled by its own handle, after all of them have fallen asleep.
  'sleep-cancel': (meter: Meter) =>
    run(function* () {
      const batch: Coroutine<void>[] = [];
      for (let n; (n = meter.next(BATCH)) > 0;) {
        for (let done = 0; done < n; done += BATCH) {
          yield* scope(function* () {
            for (let i = 0; i < BATCH; i++) batch[i] = spawn(() => sleep(duration(i)));
            yield* pause();
            for (let i = 0; i < BATCH; i++) batch[i]!.cancel();
          });
        }
      }
    }),

  'timer-same-turn': async (meter) => {
    const million = await pending();
    for (let n; (n = meter.next()) > 0; await turn()) {
      for (let i = 0; i < n; i++) arm(i).return();
    }
    for (const one of million) one.return();
  },

  // In millions, so that cleaning up after the cancelled ones has its share in every sample.
  'timer-later': async (meter) => {
    const million = await pending();
    const batch: Operation<void>[] = [];
    for (let n; (n = meter.next(PENDING)) > 0;) {
      for (let done = 0; done < n; done += TIMERS) {
        for (let i = 0; i < TIMERS; i++) batch[i] = arm(done + i);
        await turn();
        for (let i = 0; i < TIMERS; i++) batch[i]!.return();
      }
    }
    for (const one of million) one.return();
  },

  timeout: async (meter) => {
    const million = await pending();
    await run(function* () {
      for (let n; (n = meter.next()) > 0;) {
        for (let i = 0; i < n; i++) yield* timeout(duration(i), function* () {});
      }
    });
    for (const one of million) one.return();
  },
};
