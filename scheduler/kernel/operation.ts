// The one trap: every wait of every coroutine passes through `Leaf.next`; only `pause` has a shorter way.
// A leaf is its own iterator; when ready it returns without suspending and without allocating, otherwise it
// arms itself and returns SUSPENDED, not knowing who waits: whoever receives that result attaches itself to
// `core.last`. What an operation does stands in its kind, a table of functions: so all of them have one shape
// (ARCHITECTURE.md, "One shape for all operations"). Invariants: an armed operation is woken or disarmed exactly
// once; what has arrived is delivered even if a cancellation came after it (C6); waking queues, and never resumes (S2).
//
//            poll: ready                       fire, fail, notify
//   IDLE ──────────────► result   ARMED ───────────────────────────► FIRED | FAILED | WOKEN
//    │ poll: not ready              ▲ │                                  │ next
//    └──────────── arm ─────────────┘ └──── cancel: disarm ──► IDLE      └──► result, IDLE

import type { AsyncContext } from './async-context.ts';
import { BusyError } from './errors.ts';
import { warnOfSwallowing } from './warnings.ts';

/** What operations know of the coroutine that performs them. */
export interface Runner extends Waiter {
  readonly name: string;
  readonly scope: {
    readonly cancellation: object | null;
    readonly isUnwinding: boolean;
    readonly reason: unknown;
    throwIfCancelled(): void;
  };
  readonly scheduler: { isTurnSpent(): boolean };
  readonly extras: { readonly context: AsyncContext | null } | null;
}

/** The registers of this thread. Every leaf reads them at each step, so they stand in one flat object. */
interface Registers {
  /** The coroutine whose generator is being resumed; null outside of every coroutine. */
  current: Runner | null;
  /** The operation that returned the suspended result last: whoever received it attaches itself here. */
  last: Leaf<unknown> | null;
  /** Leafs that the running coroutine may still perform in a row. */
  streak: number;
  /** Leafs and resumes until the clock is read again. */
  untilClock: number;
  /** How often the ready queue was run. */
  drains: number;
}

export const core: Registers = { current: null, last: null, streak: 0, untilClock: 0, drains: 0 };

/**
 * @internal Calls what a coroutine has left with others (a hook, a listener, its `onError`) as that coroutine would:
 * with its values of `local`, in its context of AsyncLocalStorage, whoever the caller is.
 */
export function runAs<A, R>(coroutine: Runner, call: (argument: A) => R, argument: A): R {
  const { current } = core;
  const context = coroutine.extras?.context ?? null;
  core.current = coroutine;
  try {
    if (context === null) return call(argument);
    return context.runInAsyncScope(call as (this: unknown, argument: A) => R, undefined, argument);
  } finally {
    core.current = current;
  }
}

/** What the operations of one kind do. */
export interface Behaviour<T, Target, Item> {
  /** Completes at once if it can: leaves the result in `value` and returns true. By default it never can. */
  poll?(operation: Leaf<T, Target, Item>): boolean;
  /** Registers with what is waited for. */
  arm(operation: Leaf<T, Target, Item>): void;
  /** As `poll`, and as `arm` if that gives nothing, for what need not look twice; it settles nothing within the call. */
  pollOrArm?(operation: Leaf<T, Target, Item>): boolean;
  /** Takes back what `arm` did. */
  disarm(operation: Leaf<T, Target, Item>): void;
  /** The wait in words, for dumps: "reading from 127.0.0.1:52100". */
  describe(operation: Leaf<T, Target, Item>): string;
  /** Makes the error to throw of what `fail` was given; runs in the leaf, on the user's stack. */
  raise?(operation: Leaf<T, Target, Item>, error: unknown): unknown;
  /** The result has arrived, and nobody will take it. */
  discard?(operation: Leaf<T, Target, Item>, value: T): void;
  /** Its timer has expired. By default that is the result. */
  expire?(operation: Leaf<T, Target, Item>): void;
  /**
   * Arming it starts what it waits for. So it is armed at once where others give way first: the event that it is about
   * may come before the coroutine is resumed. Default false.
   */
  startsWork?: boolean;
  /**
   * Becomes a case of a `select`. False if polling or arming it would start something: it then waits until no other case
   * is ready (H4). By default that is what `startsWork` says.
   */
  enlist?(operation: Leaf<T, Target, Item>): boolean;
  /** Goes on waiting when its coroutine is cancelled. Default false. */
  isFirm?: boolean;
}

export interface Kind<T, Target, Item> extends Required<Omit<Behaviour<T, Target, Item>, 'pollOrArm'>> {
  pollOrArm: ((operation: Leaf<T, Target, Item>) => boolean) | null;
}

// One function for all kinds that have it, so that calls of it can be inlined.
const yes = (): boolean => true;
const no = (): boolean => false;

/** Completes a behaviour with what is usual. One literal, so that the tables, too, have one shape. */
export function kind<T, Target = undefined, Item = undefined>(
  behaviour: Behaviour<T, Target, Item>,
): Kind<T, Target, Item> {
  const startsWork = behaviour.startsWork ?? false;
  return {
    poll: behaviour.poll ?? no,
    pollOrArm: behaviour.pollOrArm ?? null,
    arm: behaviour.arm,
    disarm: behaviour.disarm,
    describe: behaviour.describe,
    raise: behaviour.raise ?? ((_, error) => error),
    discard: behaviour.discard ?? (() => {}),
    expire: behaviour.expire ?? ((operation) => operation.fire(undefined as T)),
    startsWork,
    enlist: behaviour.enlist ?? (startsWork ? no : yes),
    isFirm: behaviour.isFirm ?? false,
  };
}

/** What a suspended leaf yields; outside the scheduler it is a thunk, so that `co` can wait for it too. */
export type Suspension = (callback: (error?: unknown, value?: unknown) => void) => void;

export type Thunk = (callback: (error?: any, ...values: any[]) => void) => unknown;

/** What code written for `co` yields; elements of arrays and values of objects that are none pass through. */
export type Yieldable =
  | PromiseLike<unknown>
  | Thunk
  | Operation<unknown>
  | Generator<any, any, any>
  | (() => Generator<any, any, any>)
  | readonly unknown[]
  | { readonly [key: string]: unknown };

/**
 * The type of a coroutine's generator. Its operations are performed with `yield*`; a bare `yield` is
 * there for code written for `co` and is not typed.
 *
 * @example
 * ```ts
 * import { type Co, type Connection } from 'skein';
 *
 * function* echo(conn: Connection): Co<void> {
 *   for (let data; (data = yield* conn.read()) !== null; ) yield* conn.write(data);
 * }
 * ```
 */
export type Co<T> = Generator<Suspension | Yieldable, T, any>;

/** What a coroutine runs: a generator function, or a function that gives a generator or an operation. */
export type Body<T> = () => Co<T> | Operation<T>;

/** Whoever waits for an operation: a coroutine, a `select`, or a callback of `co`. */
export interface Waiter {
  /** Queues the one who waits; runs nothing on the caller's stack. */
  wake(operation: Leaf<unknown>): void;
}

/** As IDLE, and not performed since it was handed out: a kind that tells of a missing `yield*` sets it. */
export const NEW = -1;
export const IDLE = 0;
export const ARMED = 1;
/** Look again: what was waited for can be taken now. */
export const WOKEN = 2;
/** `value` is the result. */
export const FIRED = 3;
/** `value` is the error. */
export const FAILED = 4;

/** The finished result, used again by every leaf; `yield*` reads its value at once. */
const DONE: { done: true; value: unknown } = { done: true, value: undefined };

/** The suspended result: one for all, known by identity at any depth of `yield*`. */
export const SUSPENDED: IteratorYieldResult<Suspension> = Object.freeze({
  done: false as const,
  value: (callback: (error?: unknown) => void) => {
    // `co` asks right after `next` returned, so the last to suspend is the one that it waits for.
    const operation = core.last;
    if (operation === null || operation.state !== ARMED) queueMicrotask(callback);
    else operation.waiter = new Callback(callback);
  },
});

/** @internal For those who take an iterable of a user's, and are given a coroutine's generator. */
export function suspendedSource(what: string): TypeError {
  return new TypeError(
    `the source of ${what} has performed an operation: a generator that waits is no iterable`,
  );
}

/** A driver that is no scheduler, such as `co`. */
class Callback implements Waiter {
  readonly #callback: () => void;
  constructor(callback: () => void) {
    this.#callback = callback;
  }
  wake(): void {
    queueMicrotask(this.#callback);
  }
}

/**
 * Something a coroutine can wait for: performed with `yield*`, described in dumps, cancellable at any
 * time. It may be performed again after it has finished; performing it twice at once is a `BusyError`.
 *
 * @example
 * ```ts
 * import { run, sleep } from 'skein';
 *
 * await run(function* () {
 *   const nap = sleep(5);
 *   yield* nap;
 *   yield* nap; // another 5 ms
 * });
 * ```
 */
export interface Operation<T> {
  /** What `yield*` asks for: the operation itself. */
  [Symbol.iterator](): Iterator<Suspension, T, unknown>;
  /** Performs it: a result that is done has its value, any other gives way to the scheduler. */
  next(sent?: unknown): IteratorResult<Suspension, T>;
  /** Ends the wait, as `generator.throw` on the coroutine asks. */
  throw(error: unknown): IteratorResult<Suspension, T>;
  /** Ends the wait, as `generator.return` on the coroutine asks. */
  return(value: T): IteratorResult<Suspension, T>;
}

/**
 * An operation that suspends by itself, of any kind. Users see `Operation`: a member that a generator lacks
 * would end TypeScript's inference from `return yield* suspend(…)`.
 */
export class Leaf<T, Target = unknown, Item = unknown> implements Operation<T> {
  /** @internal */ declare state: number;
  /** @internal Set by whoever received SUSPENDED; kept until the result is taken. */
  declare waiter: Waiter | null;
  /** @internal The result, or the error, from its arrival until it is taken. */
  declare value: unknown;
  /** @internal */ declare kind: Kind<T, Target, Item>;
  /** @internal What it is performed on. */
  declare target: Target;
  /** @internal What else its kind has to know. */
  declare item: Item;
  /** @internal Where it stands; null in no queue. */
  declare queue: object | null;
  /** @internal */ declare ahead: Leaf<unknown> | null;
  /** @internal */ declare behind: Leaf<unknown> | null;

  constructor(behaviour: Kind<T, Target, Item>, target: Target, item: Item) {
    this.state = IDLE;
    this.waiter = null;
    this.value = undefined;
    this.kind = behaviour;
    this.target = target;
    this.item = item;
    this.queue = null;
    this.ahead = null;
    this.behind = null;
  }

  [Symbol.iterator](): Iterator<Suspension, T, unknown> {
    return this;
  }

  next(): IteratorResult<Suspension, T> {
    if (probe !== null) return note(this, probe);
    if (this.state <= IDLE) {
      this.state = IDLE;
      if (mustGiveWay()) return giveWay(this);
      const behaviour = this.kind;
      if (behaviour.pollOrArm === null) return behaviour.poll(this) ? finish(this) : park(this);
      return behaviour.pollOrArm(this) ? finish(this) : suspended(this);
    }
    if (this.state === ARMED || (this.waiter !== null && isElsewhere(this.waiter))) {
      core.current?.scope.throwIfCancelled();
      if (this.state === ARMED && this.waiter === null) throw stepped(this);
      throw new BusyError(`somebody is ${this.describe()} already; one at a time`);
    }
    return take(this);
  }

  throw(error: unknown): IteratorResult<Suspension, T> {
    leave(this);
    throw error;
  }

  return(value: T): IteratorResult<Suspension, T> {
    leave(this);
    return { done: true, value };
  }

  /** @internal The result has arrived. */
  fire(value: T): void {
    settle(this, FIRED, value);
  }

  /** @internal The wait has failed. */
  fail(error: unknown): void {
    settle(this, FAILED, error);
  }

  /** @internal What was waited for can be taken now, by polling again. */
  notify(): void {
    settle(this, WOKEN, undefined);
  }

  /** @internal Ends the wait without a result. A hook that throws makes the operation fail (C11). */
  cancel(): void {
    const { state, value } = this;
    this.state = IDLE;
    this.waiter = null;
    this.value = undefined;
    try {
      if (state === FIRED) this.kind.discard(this, value as T);
      else if (state === ARMED || state === WOKEN) this.kind.disarm(this);
    } catch (error) {
      this.state = FAILED;
      this.value = error;
    }
  }

  /** @internal */
  describe(): string {
    return this.kind.describe(this);
  }
}

/** @internal Hands the result in `value` over. */
export function finish<T>(operation: Leaf<T>): IteratorReturnResult<T> {
  operation.state = IDLE;
  DONE.value = operation.value;
  operation.value = undefined;
  return DONE as IteratorReturnResult<T>;
}

// Plain functions, not private methods: those would put a brand on each operation that is made.
function settle(operation: Leaf<unknown>, state: number, value: unknown): void {
  if (operation.state !== ARMED) return;
  operation.state = state;
  operation.value = value;
  operation.waiter?.wake(operation);
}

/** Its generator is ended from outside. Whoever waited for it would wait for ever: it is woken, and finds it ended. */
function leave(operation: Leaf<unknown>): void {
  const { waiter } = operation;
  const wasArmed = operation.state === ARMED;
  operation.cancel();
  operation.state = IDLE;
  if (wasArmed && waiter !== core.current) waiter?.wake(operation);
}

/** Nobody waits for it, so it does not wait any more either: what comes is for others. */
function stepped(operation: Leaf<unknown>): BusyError {
  const what = operation.describe();
  operation.cancel();
  operation.state = IDLE;
  return new BusyError(`an operation was stepped by hand while it was ${what}: is yield* missing?`);
}

function arm(operation: Leaf<unknown>): void {
  operation.state = ARMED;
  try {
    operation.kind.arm(operation);
  } catch (error) {
    operation.state = IDLE;
    throw error;
  }
}

function park<T>(operation: Leaf<T>): IteratorResult<Suspension, T> {
  arm(operation);
  // Arming runs user code in `suspend`, which may have had its answer on the spot.
  return operation.state === ARMED ? suspended(operation) : take(operation);
}

/** It is armed: whoever receives this attaches itself to it. */
function suspended<T>(operation: Leaf<T>): IteratorResult<Suspension, T> {
  operation.state = ARMED;
  DONE.value = undefined;
  core.last = operation;
  return SUSPENDED;
}

/** @internal Takes what has arrived. A cancellation that came later does not count, unless there is nothing (C6). */
export function take<T>(operation: Leaf<T>): IteratorResult<Suspension, T> {
  operation.waiter = null;
  if (operation.state === FIRED) return finish(operation);
  if (operation.state === FAILED) {
    const error = operation.value;
    operation.state = IDLE;
    operation.value = undefined;
    throw operation.kind.raise(operation, error);
  }
  operation.state = IDLE;
  if (operation.kind.poll(operation)) return finish(operation);
  if (core.current?.scope.isUnwinding === true) {
    // There was nothing: it ends as if it had been cancelled while armed, its place in a queue included.
    operation.state = ARMED;
    operation.cancel();
    if (operation.state !== IDLE) return take(operation);
    core.current.scope.throwIfCancelled();
  }
  return park(operation);
}

/** True when the coroutine must give way first (S3), even one that catches its cancellation in a loop (C5). */
function mustGiveWay(): boolean {
  const { current } = core;
  if (current === null) return false;
  if ((--core.streak >= 0 && --core.untilClock > 0) || !isSpent(current)) {
    if (current.scope.cancellation !== null) current.scope.throwIfCancelled();
    return false;
  }
  if (current.scope.cancellation !== null && core.streak < 0) warnOfSwallowing(current);
  return true;
}

/** Suspends. What starts work does so now. */
function giveWay<T>(operation: Leaf<T>): IteratorResult<Suspension, T> {
  if (operation.kind.startsWork && core.current?.scope.isUnwinding === false) arm(operation);
  core.last = operation;
  return SUSPENDED;
}

/** Whether the running coroutine has used up its operations in a row, or the time of the turn. */
function isSpent(current: Runner): boolean {
  // Below zero it was told to give way and was resumed by somebody else, as in `[...operation]`.
  if (core.streak < -1) return false;
  return core.streak < 0 || current.scheduler.isTurnSpent();
}

/** Notes the stack of a leaf that is resumed only to be asked for it; null while nobody asks. */
let probe: (() => void) | null = null;

/** @internal Until it is called with null, a leaf that is resumed calls `noteStack`, and suspends again. */
export function probeWith(noteStack: (() => void) | null): void {
  probe = noteStack;
}

/** Answers a probe: suspends again, and is as it was. */
function note<T>(operation: Leaf<T>, noteStack: () => void): IteratorResult<Suspension, T> {
  noteStack();
  core.last = operation;
  return SUSPENDED;
}

/** Whether another than the running coroutine waits, and takes the result itself. */
function isElsewhere(waiter: Waiter): boolean {
  return core.current !== null && waiter !== core.current && !(waiter instanceof Callback);
}

/**
 * Has an error that is made in a leaf begin with the user's line that performed it, not with our frames:
 * there are ten, and they should be the user's.
 */
export function atLeaf<E extends Error>(error: E): E {
  if (core.current === null) return error;
  Error.captureStackTrace(error, Leaf.prototype.next);
  // Made outside of a leaf, as for the callback of `send` in a coroutine: then all frames are the user's.
  if (!error.stack?.includes('\n    at ')) Error.captureStackTrace(error, atLeaf);
  return error;
}
