// Scopes own coroutines: a scope ends after its children do, and a child's error becomes its own. Every
// coroutine is a scope, and `scope` opens further ones inside it; all stand in one tree of intrusive
// links, walked in loops, so that its depth is bounded by memory alone. Invariants: a cancellation is
// pushed down to every descendant, stopping at shields, so that a leaf checks one field;
// the whole tree is marked before any disarm hook runs, since those are user code (C11).

import type { AsyncContext } from './async-context.ts';
import type { SpawnOptions } from './arguments.ts';
import type { Coroutine } from './coroutine.ts';
import { CancelledError, ClosedError, isCancelledError } from './errors.ts';
import { type Body, runAs } from './operation.ts';
import { newController } from './signals.ts';
import { reportUncaught } from './warnings.ts';

/** The body runs. */
const OPEN = 0;
/** The body has ended, children live. */
const DRAINING = 1;
export const ENDED = 2;

/** One object for all that a call of `cancel` has reached. */
interface Cancellation {
  readonly reason: unknown;
  /** All that waited were interrupted; false if the stack has overflowed meanwhile, so that it has to be done again. */
  isEnforced: boolean;
}

/** The mark of a scope that has only daemons left: they are cancelled, and it is not. */
const OVER: Cancellation = { reason: undefined, isEnforced: true };

/**
 * @internal What few scopes have; made when the first of it is needed, so that the others do not bear the fields. Whoever
 * runs many coroutines that are alike derives from it, in place of an object of options and closures for each.
 */
export class Extras {
  /** The name that was given. */
  name: string | undefined = undefined;
  onError: ((error: unknown) => void) | undefined = undefined;
  /** Values of `local`, by what they belong to. */
  locals: ReadonlyMap<object, unknown> | null = null;
  /** The context of AsyncLocalStorage that the coroutine runs in. */
  context: AsyncContext | null = null;
  /** Behind `signal`. */
  controller: AbortController | null = null;

  nameOf(): string | undefined {
    return this.name;
  }

  /** In the coroutine's last step, before its error is handled; it may spawn siblings. */
  onEnd?(coroutine: Coroutine<unknown>): void;

  /** Whether the error of a coroutine that has failed goes no further; one that is thrown here takes its place (C2a). */
  handles(coroutine: Coroutine<unknown>): boolean {
    return this.onError !== undefined && tellError(coroutine, this.onError);
  }
}

/** @internal Gives its error to an `onError`, and then true; one that gives a generator has run nothing. */
export function tellError(coroutine: Coroutine<unknown>, onError: (error: unknown) => unknown): true {
  const result = runAs(coroutine, onError, coroutine.error());
  if (typeof (result as Iterator<unknown> | undefined)?.next !== 'function') return true;
  const message = `the onError of ${coroutine.name} is a generator function, which nobody runs`;
  throw new TypeError(message, { cause: coroutine.error() });
}

/**
 * Owns the coroutines that are spawned into it.
 *
 * @example
 * ```ts
 * import { run, scope, sleep } from 'skein';
 *
 * await run(() =>
 *   scope(function* (jobs) {
 *     for (const ms of [3, 1, 2]) jobs.spawn(() => sleep(ms));
 *   }),
 * ); // after 3 ms, when the last one has ended
 * ```
 */
export class Scope {
  /** @internal The coroutine whose body runs in this scope. */
  declare owner: Coroutine<unknown>;
  /** @internal */ declare parent: Scope | null;
  /** @internal Children: coroutines, and the scopes that the owner has opened inside. */
  declare firstChild: Scope | null;
  /**
   * @internal The elder brother; for the first child, the last one. A field for the last child beside
   * `firstChild` would cost each spawn a second store of a young object in an old one: a write barrier, 4 ns.
   */
  declare before: Scope | null;
  /** @internal */ declare after: Scope | null;
  /** @internal Children that have not ended and are waited for: all but daemons. */
  declare live: number;
  /** @internal */ declare cancellation: Cancellation | null;
  /** @internal */ declare phase: number;
  /** @internal The errors of the body and of the children, in the order of their coming, each once. */
  declare errors: Set<unknown> | null;
  /** @internal What the body returned; if it was cut off, the error that it ended with. */
  declare value: unknown;
  /** @internal */ declare cutOff: boolean;
  /** @internal */ declare extras: Extras | null;

  /** @internal */
  constructor(parent: Scope | null) {
    this.parent = parent;
    this.firstChild = null;
    this.before = null;
    this.after = null;
    this.live = 0;
    this.phase = OPEN;
    this.errors = null;
    this.value = undefined;
    this.cutOff = false;
    // Last, beside what a coroutine adds: these are looked at on every resume.
    this.cancellation = null;
    this.extras = null;
  }

  /** @internal */
  get isUnwinding(): boolean {
    return this.cancellation !== null;
  }

  /** @internal Whether cancellation from outside stops here. */
  get isShield(): boolean {
    return false;
  }

  /** @internal What `cancel` was given. */
  get reason(): unknown {
    return this.cancellation?.reason;
  }

  /** Whether this scope was cancelled, by itself or from outside: operations in it throw. */
  get cancelled(): boolean {
    return this.cancellation !== null && this.cancellation !== OVER;
  }

  /**
   * Aborts when this scope is cancelled, with the same error as its operations: for `fetch` and whatever
   * else takes an `AbortSignal`. It does not abort when the scope ends by itself.
   */
  get signal(): AbortSignal {
    const extras = (this.extras ??= new Extras());
    extras.controller ??= newController();
    if (this.cancelled) extras.controller.abort(new CancelledError(this.reason));
    return extras.controller.signal;
  }

  /**
   * Starts a coroutine that this scope waits for. It is queued, never run on the spot.
   *
   * @param body a generator function; what it returns is the value of `join`
   * @throws TypeError if `body` is not a function; ClosedError if the scope has ended
   */
  spawn<T>(body: Body<T>, options?: SpawnOptions): Coroutine<T> {
    if (this.phase === ENDED) throw new ClosedError('cannot spawn into a scope that has ended');
    return this.owner.scheduler.spawn(this, body, options);
  }

  /**
   * Cancels the body and every child: what they wait for is disarmed at once, and each of their
   * operations throws a `CancelledError`, now and later. A coroutine that has not started yet does start, so
   * that it can give back what it was handed, and its first operation throws. Does nothing in a scope that
   * has ended.
   *
   * @param reason becomes the `cause` of the errors
   */
  cancel(reason?: unknown): void {
    if (this.phase === ENDED || this.cancellation?.isEnforced === true) return;
    const cancellation = { reason, isEnforced: false };
    for (const hit of markTree(this, cancellation)) hit.enforce();
    cancellation.isEnforced = true;
  }

  /** @internal It was cancelled, and the whole tree is marked: now user code may run. */
  enforce(): void {
    const controller = this.extras?.controller;
    if (controller !== null && controller !== undefined) {
      try {
        runAs(this.owner, (reason) => controller.abort(reason), new CancelledError(this.reason));
      } catch (error) {
        reportUncaught('a signal could not be aborted', error);
      }
    }
    if (this.owner.scope === this) this.owner.interrupt();
  }

  /** @internal */
  throwIfCancelled(): void {
    if (this.isUnwinding) throw new CancelledError(this.reason);
  }

  /** @internal From now on it waits for this coroutine, unless that is a daemon. */
  take(child: Coroutine<unknown>): void {
    this.adopt(child);
    if (!child.isDaemon) this.live++;
  }

  /** @internal */
  adopt(child: Scope): void {
    child.cancellation = this.cancellation === OVER ? { ...OVER } : this.cancellation;
    const first = this.firstChild;
    if (first === null) {
      this.firstChild = child;
      child.before = child;
    } else {
      const last = first.before!;
      last.after = child;
      child.before = last;
      first.before = child;
    }
  }

  /** @internal Does nothing for one that stands here no longer. */
  release(child: Scope): void {
    const { before, after } = child;
    if (before === null) return;
    if (child === this.firstChild) this.firstChild = after;
    else before.after = after;
    // The one that follows; after the last that is the first, which looks back at the last.
    const next = after ?? this.firstChild;
    if (next !== null) next.before = before;
    child.before = null;
    child.after = null;
  }

  /** @internal The body has ended with an error. */
  bodyThrew(error: unknown): void {
    if (this.isUnwinding && isCancelledError(error)) {
      this.cutOff = true;
      this.value = error;
    } else {
      this.addError(error);
    }
  }

  /** @internal The body has ended; true when no child is left to wait for. */
  isDrainedAfterBody(): boolean {
    this.phase = DRAINING;
    return this.isDrained();
  }

  /** @internal A child has ended; true when this scope has ended with it. */
  childEnded(child: Coroutine<unknown>, failed: boolean, error: unknown): boolean {
    this.release(child);
    if (!child.isDaemon) this.live--;
    if (failed) this.addError(error);
    return this.phase === DRAINING && this.isDrained();
  }

  /** @internal The outcome of a scope that has ended: its value, or its error thrown. */
  outcome(): unknown {
    if (this.errors !== null) throw this.error();
    if (this.cutOff) throw this.value;
    return this.value;
  }

  /** @internal */
  error(): unknown {
    const errors = this.errors ?? new Set();
    if (errors.size === 1) return this.firstError;
    const aggregate = new AggregateError(errors, `${errors.size} coroutines of one scope failed`);
    // One for all who ask, so that whoever catches and throws it again adds nothing new.
    if (this.phase === ENDED) this.errors = new Set([aggregate]);
    return aggregate;
  }

  /** @internal The error that came first; undefined if there is none. */
  get firstError(): unknown {
    return this.errors?.values().next().value;
  }

  /** @internal An error that came from inside: the whole scope is cancelled by it (C2). */
  addError(error: unknown): void {
    (this.errors ??= new Set()).add(error);
    this.cancel(error);
  }

  /** @internal */
  isDrained(): boolean {
    if (this.live > 0) return false;
    // Those that are left are daemons.
    if (this.firstChild !== null) {
      if (!this.isUnwinding) cancelDaemons(this);
      return false;
    }
    this.phase = ENDED;
    return true;
  }
}

// A plain function, not a private method: that would put a brand on each scope that is made.
function cancelDaemons(scope: Scope): void {
  const cancellation = { ...OVER, isEnforced: false };
  const hits = markTree(scope, cancellation);
  scope.cancellation = OVER;
  try {
    for (const hit of hits) if (hit !== scope) hit.enforce();
  } catch (error) {
    scope.cancellation = null;
    throw error;
  }
  cancellation.isEnforced = true;
}

/** Marks a scope and what is below it down to shields; gives those scopes where something is to be done. */
function markTree(root: Scope, cancellation: Cancellation): Scope[] {
  const hit: Scope[] = [];
  let node = root;
  for (;;) {
    // The scope that is cancelled may itself be a shield: it protects from what is outside.
    if (node.cancellation?.isEnforced !== true && (node === root || !node.isShield)) {
      node.cancellation = cancellation;
      const { owner } = node;
      const isWaiting = owner.scope === node && owner.op !== null;
      if (isWaiting || node.extras !== null) hit.push(node);
      if (node.firstChild !== null) {
        node = node.firstChild;
        continue;
      }
    }
    while (node !== root && node.after === null) node = node.parent!;
    if (node === root) return hit;
    node = node.after!;
  }
}

/** @internal How many children a scope waits for, in words. */
export function childrenOf(parent: Scope): string {
  let count = 0;
  for (let child = parent.firstChild; child !== null; child = child.after) count++;
  return count === 1 ? 'waiting for a child' : `waiting for ${count} children`;
}
