// Bounds on a body: `timeout` cuts it off at a deadline, `shield` keeps cancellation from outside away.
// Invariant (C10): a TimeoutError is thrown only if this very deadline cut the body off; a value that was
// returned stands, an error thrown in cleanup replaces it, and a cancellation from outside passes.

import { checkOptions, milliseconds, optionNames } from '../kernel/arguments.ts';
import { CancelledError, TimeoutError } from '../kernel/errors.ts';
import { type Limit, type ScopeBody, within } from '../kernel/inner-scope.ts';
import type { Co } from '../kernel/operation.ts';
import type { Scope } from '../kernel/scope.ts';
import { Timer } from '../kernel/timers.ts';

/**
 * Runs a body in a scope that is cancelled after `ms` milliseconds. Zero or less is a deadline that has
 * passed: the first operation throws. `Infinity` is none. In cleanup, the `cause` of the CancelledError
 * is the TimeoutError. The body is given its scope, whose `signal` aborts with it.
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
export function timeout<T>(ms: number, body: ScopeBody<T>): Co<T> {
  return within('timeout', false, new Deadline(ms, 'timeout'), body);
}

/** What may be said of a shield. */
export interface ShieldOptions {
  /** Milliseconds until the body is cut off after all, with a TimeoutError. By default it has all its time. */
  timeout?: number | undefined;
}

const OPTIONS = optionNames<ShieldOptions>({ timeout: true });

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
export function shield<T>(body: ScopeBody<T>, options: ShieldOptions = {}): Co<T> {
  checkOptions('shield', options, OPTIONS);
  const { timeout: ms } = options;
  return within('shield', true, ms === undefined ? null : new Deadline(ms, 'shield'), body);
}

/** Cancels its scope when the time is up. */
class Deadline implements Limit {
  readonly #ms: number;
  #timer: Timer | null = null;
  #reason: TimeoutError | null = null;

  constructor(ms: number, what: string) {
    this.#ms = milliseconds(ms, what);
  }

  start(scope: Scope): void {
    const expire = (): void => {
      this.#reason = new TimeoutError(`not done after ${this.#ms} ms`);
      scope.cancel(this.#reason);
    };
    if (this.#ms <= 0) {
      expire();
    } else if (this.#ms < Infinity) {
      this.#timer = new Timer(scope.owner.scheduler.timers, expire);
      this.#timer.start(this.#ms);
    }
  }

  stop(): void {
    this.#timer?.stop();
  }

  error(scope: Scope, isShielded: boolean): unknown {
    if (this.#reason === null || scope.reason !== this.#reason) return undefined;
    const outer = scope.parent!;
    if (outer.isUnwinding && !isShielded) return new CancelledError(outer.reason);
    // It was made where no coroutine ran; the stack that helps is that of the one whose time was up.
    Error.captureStackTrace(this.#reason, within);
    return this.#reason;
  }
}
