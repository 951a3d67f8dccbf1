// Bounds on a body: `timeout` cuts it off at a deadline, `shield` keeps cancellation from outside away.
// Invariant (C10): a TimeoutError is thrown only if this very deadline cut the body off; a value that was
// returned stands, an error thrown in cleanup replaces it, and a cancellation from outside passes.

import { CancelledError, inWords, TimeoutError } from './errors.ts';
import type { Body, Co } from './operation.ts';
import { type Limit, type Scope, within } from './scope.ts';
import type { Timed } from './timers.ts';

/**
 * Runs a body in a scope that is cancelled after `ms` milliseconds. Zero or less is a deadline that has
 * passed: the first operation throws. `Infinity` is none. In cleanup, the `cause` of the CancelledError
 * is the TimeoutError.
 *
 * @returns what the body returns
 * @throws TimeoutError if the deadline cut the body off; what the body throws; TypeError if `ms` is not a
 * number
 *
 * @example
 * ```ts
 * import { run, sleep, timeout, TimeoutError } from 'skein';
 *
 * await run(function* () {
 *   try {
 *     yield* timeout(5, () => sleep(1000));
 *   } catch (error) {
 *     console.log(error instanceof TimeoutError); // true
 *   }
 * });
 * ```
 */
export function timeout<T>(ms: number, body: Body<T>): Co<T> {
  return within('timeout', false, new Deadline(ms, 'timeout'), body);
}

/** What may be said of a shield. */
export interface ShieldOptions {
  /** Milliseconds until the body is cut off after all, with a TimeoutError. By default it has all its time. */
  timeout?: number | undefined;
}

/**
 * Runs a body that cancellation from outside does not reach, and neither what it spawns: for cleanup with
 * operations, in `finally`. After it, the next operation of a cancelled coroutine throws again.
 *
 * @returns what the body returns
 * @throws what the body throws; TimeoutError if its own timeout cut it off
 *
 * @example
 * ```ts
 * import { run, shield, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   const worker = spawn(function* () {
 *     try {
 *       yield* sleep(1000);
 *     } finally {
 *       yield* shield(() => sleep(5), { timeout: 100 }); // say goodbye
 *     }
 *   });
 *   yield* sleep(1);
 *   worker.cancel();
 * });
 * ```
 */
export function shield<T>(body: Body<T>, options: ShieldOptions = {}): Co<T> {
  const { timeout: ms } = options;
  return within('shield', true, ms === undefined ? null : new Deadline(ms, 'shield'), body);
}

/** Cancels its scope when the time is up. */
class Deadline implements Limit, Timed {
  declare sequence: number;
  declare due: number;
  declare isAbsolute: boolean;
  declare earlier: Timed | null;
  declare later: Timed | null;
  declare scope: Scope | null;
  declare reason: TimeoutError | null;

  constructor(ms: number, what: string) {
    if (typeof ms !== 'number' || Number.isNaN(ms)) {
      throw new TypeError(`${what} expects milliseconds, got ${inWords(ms)}`);
    }
    this.sequence = 0;
    this.due = ms;
    this.isAbsolute = false;
    this.earlier = null;
    this.later = null;
    this.scope = null;
    this.reason = null;
  }

  start(scope: Scope): void {
    this.scope = scope;
    if (this.due <= 0) this.expire();
    else if (this.due < Infinity) scope.owner.scheduler.timers.arm(this);
  }

  stop(): void {
    this.scope?.owner.scheduler.timers.cancel(this);
  }

  expire(): void {
    this.reason = new TimeoutError(`not done after ${this.due} ms`);
    this.scope?.cancel(this.reason);
  }

  error(scope: Scope, isShielded: boolean): unknown {
    if (this.reason === null || scope.reason !== this.reason) return undefined;
    const outer = scope.parent!;
    if (outer.isCancelled && !isShielded) return new CancelledError(outer.reason);
    // It was made where no coroutine ran; the stack that helps is that of the one whose time was up.
    Error.captureStackTrace(this.reason, within);
    return this.reason;
  }
}
