// A token bucket: a rate, with bursts. It keeps no count that a timer has to raise, only the moment at which it was last
// full, and how many were taken since then. When a take is due follows from these two, however often it is computed, so
// nothing drifts. Invariants: first come, first served, so nobody takes while another waits; one timer, for the first
// who waits, and none while nobody does.
//
//   since ──────── taken / rate ────────► full again
//   an n can be taken once at most burst − n are missing: at since + (taken + n − burst) / rate

import { checkOptions, expectWhole, optionNames } from '../kernel/arguments.ts';
import { inWords } from '../kernel/errors.ts';
import { kind, Leaf, type Operation } from '../kernel/operation.ts';
import { Timer } from '../kernel/timers.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';
import { currentScheduler } from '../kernel/scheduler.ts';

/** How to make a rate limiter. */
export interface RateLimitOptions {
  /** Tokens a second: a number above 0. */
  rate: number;
  /** How many tokens are there at most, and at first: a whole number from 1. Default 1. */
  burst?: number | undefined;
}

const OPTIONS = optionNames<RateLimitOptions>({ rate: true, burst: true });

/** A bucket of tokens that fills at a fixed rate; `rateLimit` makes them. */
export class RateLimiter {
  /** Tokens that come in a second. */
  readonly rate: number;
  /** Tokens that are there at most. */
  readonly burst: number;
  readonly #waiting = new WaitQueue<TakeOperation>();
  readonly #timer: Timer;
  readonly #now: () => number;
  /** When it was full for the last time, by the clock. */
  #since = -Infinity;
  /** Tokens taken since then. */
  #taken = 0;

  /** @internal */
  constructor(rate: number, burst: number) {
    const { clock, timers } = currentScheduler();
    this.rate = rate;
    this.burst = burst;
    this.#now = () => clock.now();
    this.#timer = new Timer(timers, () => this.#serve());
  }

  /**
   * Takes `n` tokens, and waits until they are there. Who came first is served first. If it is cancelled or
   * loses in a `select`, nothing was taken.
   *
   * @param n a whole number from 1 to `burst`; by default 1
   * @throws TypeError if `n` is no whole number from 1 to `burst`: more are never there
   */
  take(n = 1): Operation<void> {
    this.#check('take', n);
    return new Leaf<void, RateLimiter, number>(TAKE, this, n);
  }

  /**
   * Takes `n` tokens if they are there now and nobody waits; says whether it did.
   *
   * @throws as `take`
   */
  tryTake(n = 1): boolean {
    this.#check('tryTake', n);
    return this.takeNow(n);
  }

  /** @internal */
  takeNow(n: number): boolean {
    if (this.#waiting.first !== null) return false;
    const now = this.#now();
    if (this.#dueFor(n, now) > now) return false;
    this.#deduct(n, now);
    return true;
  }

  /** @internal */
  join(operation: TakeOperation): void {
    this.#waiting.push(operation);
    if (this.#waiting.first === operation) this.#serve();
  }

  /** @internal */
  leave(operation: TakeOperation): void {
    const wasFirst = this.#waiting.first === operation;
    this.#waiting.remove(operation);
    // The next one may want less, and have it at once.
    if (wasFirst) this.#serve();
  }

  /** @internal */
  giveBack(n: number): void {
    this.#taken = Math.max(this.#taken - n, 0);
    this.#serve();
  }

  /** Serves those whose tokens are there, and sets the timer for the first whose are not. */
  #serve(): void {
    const now = this.#now();
    let { first } = this.#waiting;
    for (; first !== null; { first } = this.#waiting) {
      const due = this.#dueFor(first.item, now);
      if (due > now) {
        this.#timer.startAt(due);
        return;
      }
      this.#deduct(first.item, now);
      this.#waiting.remove(first);
      first.fire();
    }
    this.#timer.stop();
  }

  /** When `n` tokens are there. */
  #dueFor(n: number, now: number): number {
    if (this.#fullAt() <= now) return now;
    return this.#since + ((this.#taken + n - this.burst) * 1000) / this.rate;
  }

  #deduct(n: number, now: number): void {
    // Not at the very moment at which it is full: counting on from `since` adds no error of rounding.
    if (this.#fullAt() < now) {
      this.#since = now;
      this.#taken = 0;
    }
    this.#taken += n;
  }

  #fullAt(): number {
    return this.#since + (this.#taken * 1000) / this.rate;
  }

  #check(what: string, n: number): void {
    // More than the burst are never there.
    expectWhole(what, n, 1, this.burst);
  }
}

/**
 * Limits how often something is done: a bucket that holds `burst` tokens, full at first, into which
 * `rate` tokens a second come. It goes by the clock of the scheduler that it is made in.
 *
 * @throws TypeError for malformed options
 *
 * @example
 * ```ts
 * import { rateLimit, run } from 'skein';
 *
 * const limit = rateLimit({ rate: 200, burst: 2 });
 * await run(function* () {
 *   for (let request = 1; request <= 4; request++) {
 *     yield* limit.take(); // the first two at once, then one every 5 ms
 *     console.log('request', request);
 *   }
 * });
 * ```
 */
export function rateLimit(options: RateLimitOptions): RateLimiter {
  checkOptions('rateLimit', options, OPTIONS);
  const { rate, burst = 1 } = options;
  if (!(Number.isFinite(rate) && rate > 0)) {
    throw new TypeError(`rateLimit expects a rate in tokens a second, above 0, got ${inWords(rate)}`);
  }
  expectWhole('the burst of rateLimit', burst, 1);
  return new RateLimiter(rate, burst);
}

/** Its item is how many tokens it wants. */
type TakeOperation = Leaf<void, RateLimiter, number>;

const TAKE = kind<void, RateLimiter, number>({
  poll: ({ target, item }) => target.takeNow(item),
  arm: (operation) => operation.target.join(operation),
  disarm: (operation) => operation.target.leave(operation),
  /** Tokens that were given and will not be used go back. */
  discard: ({ target, item }) => target.giveBack(item),
  describe: ({ target, item }) => `taking ${item} of ${target.rate} tokens a second`,
});
