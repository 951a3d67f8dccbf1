// Waiting for time, and for one's next turn.

import { core } from './core.ts';
import { inWords } from './errors.ts';
import { FIRED, IDLE, Leaf, type Operation, SUSPENDED, type Suspension } from './operation.ts';
import { currentScheduler } from './run.ts';
import type { Timed, Timers } from './timers.ts';

class SleepOperation extends Leaf<void> implements Timed {
  declare sequence: number;
  declare due: number;
  declare isAbsolute: boolean;
  declare earlier: Timed | null;
  declare later: Timed | null;
  declare timers: Timers;

  constructor(ms: number) {
    super();
    this.sequence = 0;
    this.due = ms;
    this.isAbsolute = false;
    this.earlier = null;
    this.later = null;
    this.timers = currentScheduler().timers;
  }

  poll(): boolean {
    return this.due <= 0;
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

  describe(): string {
    return `sleeping for ${this.due} ms`;
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
  if (typeof ms !== 'number' || Number.isNaN(ms)) {
    throw new TypeError(`sleep expects milliseconds, got ${inWords(ms)}`);
  }
  return new SleepOperation(ms);
}

class PauseOperation extends Leaf<void> {
  poll(): boolean {
    return false;
  }
  arm(): void {
    this.fire();
  }
  disarm(): void {}
  describe(): string {
    return 'pausing';
  }

  /** Suspends without being armed, as one who gives way: so it is queued again at once. */
  override next(sent?: unknown): IteratorResult<Suspension, void> {
    if (this.state !== IDLE || sent !== undefined || core.current === null) return super.next(sent);
    core.current.scope.throwIfCancelled();
    this.state = FIRED;
    core.last = this as Leaf<unknown>;
    return SUSPENDED;
  }
}

/**
 * Lets every other ready coroutine run first, then goes on.
 *
 * @example
 * ```ts
 * import { pause, run } from 'skein';
 *
 * await run(function* () {
 *   for (let row = 0; row < 1000; row++) {
 *     // … a piece of long work …
 *     yield* pause();
 *   }
 * });
 * ```
 */
export function pause(): Operation<void> {
  return new PauseOperation();
}
