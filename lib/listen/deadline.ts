// Deadlines of those for whom perhaps nobody waits, such as a client in its handshake: they go by the scheduler's clock, and
// keep no process alive. Timers of a scheduler do, so on the clock of the system it is a timer of Node's own.
// Invariant: like those of a scheduler it expires after a poll for input, so what came in time is not cut off.

import { afterPoll, RealClock } from '../../scheduler/kernel/clock.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { Timer } from '../../scheduler/kernel/timers.ts';

/** The longest delay of a Node timer. */
const LONGEST = 2_147_483_647;

/** Calls back once so many milliseconds have passed; gives a function that takes that back. */
export function expireAfter(scheduler: Scheduler, ms: number, onExpired: () => void): () => void {
  if (ms === Infinity) return () => {};
  if (!(scheduler.clock instanceof RealClock)) {
    const timer = new Timer(scheduler.timers, onExpired);
    timer.start(ms);
    return () => timer.stop();
  }
  let cancelExpiry: (() => void) | null = null;
  const timer = setTimeout(
    () => {
      cancelExpiry = afterPoll(onExpired);
    },
    Math.min(ms, LONGEST),
  );
  timer.unref();
  return () => {
    clearTimeout(timer);
    cancelExpiry?.();
  };
}
