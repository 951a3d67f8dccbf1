// Waiting for promises. A promise cannot be unsubscribed from, so each is subscribed to once, however
// often it is waited for: else a `select` in a loop over one long promise would grow for ever (H4).

import { inWords } from './errors.ts';
import { Leaf, type Operation } from './operation.ts';
import { QueuedOperation, WaitQueue } from './wait-queue.ts';

/** The one subscription to a promise: its outcome, or those who wait for it. */
class Subscription {
  isSettled = false;
  hasFailed = false;
  outcome: unknown = undefined;
  readonly waiters = new WaitQueue<PromiseOperation<unknown>>();

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

/** Waits for a promise; the promise itself goes on if the wait is cancelled. */
export class PromiseOperation<T> extends QueuedOperation<T> {
  /** @internal */ declare promise: PromiseLike<T>;
  /** @internal */ declare subscription: Subscription | null;

  constructor(promise: PromiseLike<T>) {
    super();
    this.promise = promise;
    // A promise is listened to at once, so that its rejection is not called unhandled before somebody
    // waits. Another thenable may begin its work when `then` is called: not before it is waited for.
    this.subscription = promise instanceof Promise ? subscribe(promise) : null;
  }

  poll(): boolean {
    const { isSettled, hasFailed, outcome } = (this.subscription ??= subscribe(this.promise));
    if (!isSettled) return false;
    if (hasFailed) throw outcome;
    this.value = outcome;
    return true;
  }

  arm(): void {
    this.subscription!.waiters.push(this as PromiseOperation<unknown>);
  }

  disarm(): void {
    this.subscription!.waiters.remove(this as PromiseOperation<unknown>);
  }

  override enlist(): boolean {
    return this.subscription !== null;
  }

  describe(): string {
    return 'waiting for a promise';
  }
}

/** Starts work that takes a signal, and aborts the signal when the wait is cancelled. */
class WorkOperation<T> extends Leaf<T> {
  /** @internal */ declare work: (signal: AbortSignal) => T | PromiseLike<T>;
  /** @internal Of this performance; null when there is none, so that an earlier one has no effect. */
  declare controller: AbortController | null;

  constructor(work: (signal: AbortSignal) => T | PromiseLike<T>) {
    super();
    this.work = work;
    this.controller = null;
  }

  poll(): boolean {
    return false;
  }

  arm(): void {
    const controller = new AbortController();
    this.controller = controller;
    const settle = (settled: () => void): void => {
      if (this.controller !== controller) return;
      this.controller = null;
      settled();
    };
    new Promise<T>((resolve) => resolve(this.work(controller.signal))).then(
      (value) => settle(() => this.fire(value)),
      (error: unknown) => settle(() => this.fail(error)),
    );
  }

  disarm(): void {
    const { controller } = this;
    this.controller = null;
    controller?.abort();
  }

  override enlist(): boolean {
    return false;
  }

  describe(): string {
    return this.work.name === '' ? 'waiting for a promise' : `waiting for the promise of ${this.work.name}`;
  }
}

/**
 * Waits for a promise, or for a function that gives one and takes an `AbortSignal`. The function is called when
 * the operation is performed; when the wait is cancelled the signal aborts. A promise by itself cannot be
 * stopped: it goes on, and what becomes of it is no longer heard.
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
  if (typeof source === 'function') return new WorkOperation(source);
  if (typeof (source as PromiseLike<T> | null | undefined)?.then === 'function') {
    return new PromiseOperation(source);
  }
  throw new TypeError(`wait expects a promise, or a function that gives one, got ${inWords(source)}`);
}
