// Waiting for time: `sleep` counts from each performance, `after` from its creation, `every` from ideal
// moment to ideal moment (T3). All of them are timers themselves, so that waiting makes no further object.

import { inWords } from './errors.ts';
import { Leaf, type Operation } from './operation.ts';
import { currentScheduler } from './run.ts';
import type { Timed, Timers } from './timers.ts';

abstract class TimedOperation extends Leaf<void> implements Timed {
  declare sequence: number;
  declare due: number;
  declare isAbsolute: boolean;
  declare earlier: Timed | null;
  declare later: Timed | null;
  declare timers: Timers;

  constructor(due: number, isAbsolute: boolean, timers: Timers) {
    super();
    this.sequence = 0;
    this.due = due;
    this.isAbsolute = isAbsolute;
    this.earlier = null;
    this.later = null;
    this.timers = timers;
  }

  arm(): void {
    this.timers.arm(this);
  }

  disarm(): void {
    this.timers.cancel(this);
  }

  expire(): void {
    this.fire();
  }
}

class SleepOperation extends TimedOperation {
  poll(): boolean {
    return this.due <= 0;
  }
  describe(): string {
    return `sleeping for ${this.due} ms`;
  }
}

class AfterOperation extends TimedOperation {
  poll(): boolean {
    return this.timers.clock.now() >= this.due;
  }
  describe(): string {
    return `waiting for ${(this.due - this.timers.clock.now()).toFixed()} ms more`;
  }
}

class EveryOperation extends AfterOperation {
  declare period: number;

  constructor(period: number, timers: Timers) {
    super(timers.clock.now() + period, true, timers);
    this.period = period;
  }

  override poll(): boolean {
    const late = this.timers.clock.now() - this.due;
    if (late < 0) return false;
    this.due += (Math.floor(late / this.period) + 1) * this.period;
    return true;
  }

  override expire(): void {
    this.notify();
  }
}

/**
 * Waits for `ms` milliseconds, never less; counted from each time it is performed. Zero or less returns
 * at once; delays of more than 24 days work, and `Infinity` sleeps until it is cancelled.
 *
 * @throws TypeError if `ms` is not a number
 *
 * @example
 * ```ts
 * import { run, sleep } from 'skein';
 *
 * await run(() => sleep(10));
 * ```
 */
export function sleep(ms: number): Operation<void> {
  return new SleepOperation(milliseconds(ms, 'sleep'), false, currentScheduler().timers);
}

/**
 * A case for `select`: is ready once `ms` milliseconds have passed since it was created, and stays so. Made before a loop, it is
 * a deadline for the whole of it.
 *
 * @throws TypeError if `ms` is not a number
 *
 * @example
 * ```ts
 * import { after, Channel, run, select } from 'skein';
 *
 * await run(function* () {
 *   const news = new Channel<string>();
 *   const deadline = after(20);
 *   for (;;) {
 *     const next = yield* select({ news: news.receive(), deadline });
 *     if (next.key === 'deadline') break;
 *   }
 * });
 * ```
 */
export function after(ms: number): Operation<void> {
  const { timers } = currentScheduler();
  return new AfterOperation(timers.clock.now() + milliseconds(ms, 'after'), true, timers);
}

/**
 * Ticks: each performance waits for the next of the moments that lie `ms` milliseconds apart, the first one
 * `ms` after it was created. They are computed from the ideal time, so that delays do not add up; ticks
 * that were missed are dropped. It holds no timer while nobody waits.
 *
 * @throws TypeError if `ms` is not a number above 0
 *
 * @example
 * ```ts
 * import { every, run } from 'skein';
 *
 * await run(function* () {
 *   const tick = every(5);
 *   for (let count = 0; count < 3; count++) yield* tick;
 * });
 * ```
 */
export function every(ms: number): Operation<void> {
  if (!(milliseconds(ms, 'every') > 0)) {
    throw new TypeError(`every expects more than 0 milliseconds, got ${inWords(ms)}`);
  }
  return new EveryOperation(ms, currentScheduler().timers);
}

function milliseconds(ms: number, what: string): number {
  if (typeof ms === 'number' && !Number.isNaN(ms)) return ms;
  throw new TypeError(`${what} expects milliseconds, got ${inWords(ms)}`);
}
