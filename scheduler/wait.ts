// Waiting for promises. A promise cannot be unsubscribed from, so each is subscribed to once, however
// often it is waited for: else a `select` in a loop over one long promise would grow for ever (H4).

import { core } from './core.ts';
import { CancelledError, inWords } from './errors.ts';
import { kind, neverReady } from './kind.ts';
import { Leaf, type Operation } from './operation.ts';
import { isPromise } from './promise-like.ts';
import type { Scope } from './scope.ts';
import { WaitQueue } from './wait-queue.ts';

/** The one subscription to a promise: its outcome, or those who wait for it. */
class Subscription {
  isSettled = false;
  hasFailed = false;
  outcome: unknown = undefined;
  readonly waiters = new WaitQueue<Leaf<unknown, PromiseLike<unknown>, Subscription | null>>();

  constructor(promise: PromiseLike<unknown>) {
    try {
      promise.then(
        (value) => this.#settle(value, false),
        (error: unknown) => this.#settle(error, true),
      );
    } catch (error) {
      // A thenable may throw; to `await` that is a rejection, unless it has called back before.
      this.#settle(error, true);
    }
  }

  #settle(outcome: unknown, hasFailed: boolean): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.hasFailed = hasFailed;
    this.outcome = outcome;
    for (let one = this.waiters.shift(); one !== null; one = this.waiters.shift()) one.notify();
  }
}

const subscriptions = new WeakMap<PromiseLike<unknown>, Subscription>();

function subscribe(promise: PromiseLike<unknown>): Subscription {
  let subscription = subscriptions.get(promise);
  if (subscription === undefined) {
    subscription = new Subscription(promise);
    subscriptions.set(promise, subscription);
  }
  return subscription;
}

/** The promise itself goes on if the wait is cancelled. */
const PROMISE = kind<unknown, PromiseLike<unknown>, Subscription | null>({
  poll(operation) {
    const { isSettled, hasFailed, outcome } = (operation.item ??= subscribe(operation.target));
    if (!isSettled) return false;
    if (hasFailed) throw outcome;
    operation.value = outcome;
    return true;
  },
  arm: (operation) => operation.item!.waiters.push(operation),
  disarm: (operation) => operation.item!.waiters.remove(operation),
  enlist: (operation) => operation.item !== null,
  describe: () => 'waiting for a promise',
});

export function promised(promise: PromiseLike<unknown>): Leaf<unknown> {
  // A promise is listened to at once, so that its rejection is not called unhandled before somebody
  // waits. Another thenable may begin its work when `then` is called: not before it is waited for.
  return new Leaf(PROMISE, promise, promise instanceof Promise ? subscribe(promise) : null) as Leaf<unknown>;
}

type Work<T> = (signal: AbortSignal) => T | PromiseLike<T>;

/** One performance of work. */
interface Job {
  readonly controller: AbortController;
  /** Where it was begun, to say why it is aborted. */
  readonly scope: Scope | undefined;
}

/** Starts work that takes a signal; an earlier performance is without effect. */
const WORK = kind<unknown, Work<unknown>, Job | null>({
  poll: neverReady,

  arm(operation) {
    const job: Job = { controller: new AbortController(), scope: core.current?.scope };
    operation.item = job;
    const settle = (settled: () => void): void => {
      if (operation.item !== job) return;
      operation.item = null;
      settled();
    };
    new Promise<unknown>((resolve) => resolve(operation.target(job.controller.signal))).then(
      (value) => settle(() => operation.fire(value)),
      (error: unknown) => settle(() => operation.fail(error)),
    );
  },

  disarm(operation) {
    const job = operation.item;
    operation.item = null;
    if (job === null) return;
    const { controller, scope } = job;
    // One that has lost in a `select` was not cancelled: then the reason is Node's own.
    controller.abort(scope?.isCancelled === true ? new CancelledError(scope.reason) : undefined);
  },

  enlist: () => false,
  describe: ({ target }) =>
    target.name === '' ? 'waiting for a promise' : `waiting for the promise of ${target.name}`,
});

/**
 * Waits for a promise, or for a function that gives one and takes an `AbortSignal`. The function is called
 * when the operation is performed; when the wait is cancelled the signal aborts, with the CancelledError. A
 * promise by itself cannot be stopped: it goes on, and what becomes of it is no longer heard.
 *
 * @throws what the promise is rejected with, or the function throws; TypeError if it is given neither
 *
 * @example
 * ```ts
 * import { setTimeout } from 'node:timers/promises';
 * import { run, timeout, wait } from 'skein';
 *
 * await run(function* () {
 *   console.log(yield* wait(Promise.resolve(42))); // 42
 *   yield* timeout(100, () => wait((signal) => setTimeout(5, undefined, { signal })));
 * });
 * ```
 */
export function wait<T>(
  source: PromiseLike<T> | ((signal: AbortSignal) => T | PromiseLike<T>),
): Operation<T> {
  if (typeof source === 'function')
    return new Leaf(WORK, source as Work<unknown>, null) as Operation<unknown> as Operation<T>;
  if (isPromise(source)) {
    return promised(source) as Operation<unknown> as Operation<T>;
  }
  throw new TypeError(`wait expects a promise, or a function that gives one, got ${inWords(source)}`);
}
