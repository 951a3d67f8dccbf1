// Waiting for promises. A promise cannot be unsubscribed from, so each is subscribed to once, however
// often it is waited for: otherwise a `select` in a loop over one long promise would grow for ever (H4). A thenable
// whose `then` begins work, such as a query, is asked once for all who wait at the same time; once somebody
// has its outcome, another `wait` asks it anew, as another `await` would.

import { adopt, isNative, thenOf } from '../kernel/bare-yield.ts';
import { CancelledError, inWords } from '../kernel/errors.ts';
import { kind, Leaf, type Operation } from '../kernel/operation.ts';
import { running } from '../kernel/coroutine.ts';
import type { Scope } from '../kernel/scope.ts';
import { newController } from '../kernel/signals.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';

/** The one subscription to a promise: its outcome, or those who wait for it. */
class Subscription {
  isSettled = false;
  hasFailed = false;
  outcome: unknown = undefined;
  readonly waiters = new WaitQueue<Leaf<unknown, Subscription>>();
  /** Asks a thenable; null once it was asked, and for a native promise. */
  ask: (() => void) | null = null;
  /** The thenable, which is to be forgotten when somebody has the outcome; null for a native promise. */
  thenable: object | null = null;

  /** A native promise is listened to at once, so that its rejection is not called unhandled before somebody waits. */
  follow(promise: Promise<unknown>): void {
    // As for `await`, a `then` that was put on the promise itself does not count.
    Promise.prototype.then.call(
      promise,
      (value) => this.settle(value, false),
      (error: unknown) => this.settle(error, true),
    );
  }

  settle(outcome: unknown, hasFailed: boolean): void {
    this.isSettled = true;
    this.hasFailed = hasFailed;
    this.outcome = outcome;
    for (let one = this.waiters.shift(); one !== null; one = this.waiters.shift()) one.notify();
  }
}

const subscriptions = new WeakMap<object, Subscription>();

/** Undefined for a value that is no promise. */
function subscribe(value: unknown): Subscription | undefined {
  const isPromise = isNative(value);
  const then = isPromise ? undefined : thenOf(value);
  if (!isPromise && then === undefined) return undefined;
  const known = subscriptions.get(value as object);
  if (known !== undefined) return known;
  const subscription = new Subscription();
  subscriptions.set(value as object, subscription);
  if (isPromise) {
    subscription.follow(value);
  } else {
    subscription.thenable = value as object;
    subscription.ask = () => subscription.follow(adopt(value, then!));
  }
  return subscription;
}

/** The promise itself goes on if the wait is cancelled. */
const PROMISE = kind<unknown, Subscription>({
  poll(operation) {
    const { target } = operation;
    if (target.ask !== null) {
      const { ask } = target;
      target.ask = null;
      ask();
    }
    if (!target.isSettled) return false;
    if (target.thenable !== null) {
      subscriptions.delete(target.thenable);
      target.thenable = null;
    }
    if (target.hasFailed) throw target.outcome;
    operation.value = target.outcome;
    return true;
  },
  arm: (operation) => operation.target.waiters.push(operation),
  disarm: (operation) => operation.target.waiters.remove(operation),
  enlist: ({ target }) => target.ask === null,
  describe: () => 'waiting for a promise',
});

type Work<T> = (signal: AbortSignal) => T | PromiseLike<T>;

/** One performance of work. */
interface Job {
  readonly controller: AbortController;
  /** Where it was begun, to say why it is aborted. */
  readonly scope: Scope | undefined;
}

/** Starts work that takes a signal; an earlier performance is without effect. */
const WORK = kind<unknown, Work<unknown>, Job | null>({
  startsWork: true,

  arm(operation) {
    const job: Job = { controller: newController(), scope: running()?.scope };
    operation.item = job;
    const settle = (settled: () => void): void => {
      if (operation.item !== job) return;
      operation.item = null;
      settled();
    };
    const begin = async (): Promise<unknown> => await operation.target(job.controller.signal);
    begin().then(
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
    controller.abort(scope?.isUnwinding === true ? new CancelledError(scope.reason) : undefined);
  },

  describe: ({ target }) =>
    target.name === '' ? 'waiting for a promise' : `waiting for the promise of ${target.name}`,
});

/**
 * Waits for a promise, or for a function that gives one and takes an `AbortSignal`. The function is called
 * when the operation is performed; when the wait is cancelled the signal aborts, with the CancelledError. A
 * promise by itself cannot be stopped: it goes on, and what becomes of it is no longer heard.
 *
 * A promise is whatever `await` takes for one, a function with a `then` included. A lazy one, such as a query of a
 * database, begins when the wait is performed, and once for all who wait for it at the same time; a later `wait`
 * begins it anew, as a later `await` does. To begin it each time, write `wait(() => query)`.
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
  return operationFor(source) as Operation<unknown> as Operation<T>;
}

function operationFor(source: unknown): Operation<unknown> {
  let subscription: Subscription | undefined;
  try {
    subscription = subscribe(source);
  } catch (error) {
    // A getter has thrown: to `await` that is a rejection.
    subscription = new Subscription();
    subscription.settle(error, true);
  }
  if (subscription !== undefined) return new Leaf(PROMISE, subscription, undefined);
  if (typeof source === 'function') return new Leaf(WORK, source as Work<unknown>, null);
  throw new TypeError(`wait expects a promise, or a function that gives one, got ${inWords(source)}`);
}
