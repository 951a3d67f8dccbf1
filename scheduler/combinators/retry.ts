// Trying again what may succeed later. The pause is drawn at random from the whole of a range that doubles
// ("full jitter": Exponential Backoff And Jitter, AWS Architecture Blog, 2015), so that those who failed
// together do not come back together. Invariants: a cancellation is never retried; each attempt is a scope
// of its own, so that nothing of it is left when the next one begins.

import { checkOptions, expectWhole, optionNames } from '../kernel/arguments.ts';
import { inWords, isCancelledError } from '../kernel/errors.ts';
import { within } from '../kernel/inner-scope.ts';
import { type Co, core, type Operation } from '../kernel/operation.ts';
import { currentScheduler } from '../kernel/scheduler.ts';
import { sleep } from '../time/sleep.ts';

/** How often and how soon to try again; all are optional. The defaults are those of the AWS SDKs. */
export interface RetryPolicy {
  /** Attempts in all, the first one included: a whole number, 1 or more, or `Infinity`. Default 3. */
  attempts?: number | undefined;
  /** The longest pause after the first attempt, in milliseconds; it doubles with each further one. Default 100. */
  base?: number | undefined;
  /** The longest pause of all, in milliseconds. Default 20,000. */
  cap?: number | undefined;
  /**
   * Whether to try again after this error of this attempt, the first being 1; not asked after the last one.
   * By default every error is retried. What it throws ends the attempts.
   */
  when?: ((error: unknown, attempt: number) => boolean) | undefined;
}

const OPTIONS = optionNames<RetryPolicy>({ attempts: true, base: true, cap: true, when: true });

const ATTEMPTS = 3;
const BASE = 100;
const CAP = 20_000;

/**
 * Runs a body until it succeeds. Between two attempts it pauses for a random time from 0 up to `base`, then
 * up to twice that, and so on, but not more than `cap`; the scheduler's generator draws it.
 *
 * @param body is given the number of the attempt, from 1
 * @throws the error of the last attempt as it is (`when` has seen those before); CancelledError at once;
 * TypeError for malformed arguments
 *
 * @example
 * ```ts
 * import { retry, run } from 'skein';
 *
 * const answer = await run(() =>
 *   retry({ attempts: 5, base: 1 }, function* (attempt) {
 *     if (attempt < 3) throw new Error('not yet');
 *     return attempt;
 *   }),
 * );
 * console.log(answer); // 3
 * ```
 */
export function* retry<T>(policy: RetryPolicy, body: (attempt: number) => Co<T> | Operation<T>): Co<T> {
  checkOptions('retry', policy, OPTIONS);
  const { attempts = ATTEMPTS, base = BASE, cap = CAP, when } = policy;
  checkPolicy(attempts, base, cap, when);
  if (typeof body !== 'function') throw new TypeError(`retry expects a body, got ${inWords(body)}`);
  const { random } = currentScheduler();
  let longest = Math.min(base, cap);
  for (let attempt = 1; ; attempt++) {
    try {
      return yield* within('retry', false, null, () => body(attempt));
    } catch (error) {
      // In a cancelled scope the pause would throw, and this error be lost.
      const isCancelled = isCancelledError(error) || core.current?.scope.isUnwinding === true;
      if (isCancelled || attempt >= attempts || (when !== undefined && !when(error, attempt))) throw error;
    }
    yield* sleep(random.next() * longest);
    longest = Math.min(longest * 2, cap);
  }
}

function checkPolicy(attempts: number, base: unknown, cap: unknown, when: unknown): void {
  if (attempts !== Infinity) expectWhole('the attempts of retry', attempts, 1);
  for (const [name, ms] of Object.entries({ base, cap })) {
    if (Number.isFinite(ms) && (ms as number) >= 0) continue;
    throw new TypeError(`retry expects ${name} in milliseconds, 0 or more, got ${inWords(ms)}`);
  }
  if (when !== undefined && typeof when !== 'function') {
    throw new TypeError(`retry expects when to be a function, got ${inWords(when)}`);
  }
}
