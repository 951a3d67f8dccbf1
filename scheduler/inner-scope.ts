// Scopes that are opened in the middle of a coroutine: by `scope`, and by `timeout` and `shield`, which are
// scopes with a limit and with a wall around them.

import { core } from './core.ts';
import type { Coroutine } from './coroutine.ts';
import { inWords } from './errors.ts';
import { kind } from './kind.ts';
import { type Co, Leaf, type Operation } from './operation.ts';
import { childrenOf, ENDED, Scope } from './scope.ts';

/** What runs in a scope that is opened for it, and is given that scope. */
export type ScopeBody<T> = (scope: Scope) => Co<T> | Operation<T>;

/** A scope that is opened inside of a coroutine. */
export class InnerScope extends Scope {
  /** @internal */ declare isShielded: boolean;
  /** @internal What the owner waits with for its children. */
  declare drain: Leaf<void, InnerScope, undefined> | null;

  /** @internal */
  constructor(parent: Scope | null, isShielded: boolean) {
    super(parent);
    this.isShielded = isShielded;
    this.drain = null;
    if (isShielded) this.cancellation = null;
  }

  override get isShield(): boolean {
    return this.isShielded;
  }
}

/** Where a coroutine stands while it waits for its children: this wait cannot be cancelled (C1). */
const waitingForChildren = new InnerScope(null, true);
waitingForChildren.phase = ENDED;

const DRAIN = kind<void, InnerScope>({
  poll: ({ target }) => target.phase === ENDED || target.isDrainedAfterBody(),
  arm(operation) {
    operation.target.drain = operation;
  },
  disarm(operation) {
    operation.target.drain = null;
  },
  describe: ({ target }) => childrenOf(target),
});

/**
 * Opens a scope inside the running coroutine: `spawn` in its body spawns into it, and it ends after
 * its children have ended. The first error cancels body and children and is thrown after all have
 * ended; several become an `AggregateError`.
 *
 * @throws what the body or a child throws; CancelledError once, if `cancel` was called on the scope
 * while its body ran
 */
export function scope<T>(body: ScopeBody<T>): Co<T> {
  return within('scope', false, null, body);
}

/** @internal What may end a scope from inside, by cancelling it. */
export interface Limit {
  start(scope: Scope): void;
  stop(): void;
  /** The error to throw in place of the CancelledError that cut the body off; undefined for none. */
  error(scope: Scope, isShielded: boolean): unknown;
}

/** @internal Runs a body in a scope of its own: what `scope`, `timeout` and `shield` have in common. */
export function* within<T>(
  what: string,
  isShielded: boolean,
  limit: Limit | null,
  body: ScopeBody<T>,
): Co<T> {
  const owner = core.current;
  if (owner === null) throw new TypeError(`${what} needs a running coroutine: call it inside of run`);
  const outer = owner.scope;
  const inner = new InnerScope(outer, isShielded);
  inner.owner = owner;
  owner.scope = inner;
  limit?.start(inner);
  try {
    try {
      inner.value = yield* begin(what, body, inner);
    } catch (error) {
      inner.bodyThrew(error);
    }
    owner.scope = waitingForChildren;
    yield* new Leaf(DRAIN, inner, undefined);
  } finally {
    limit?.stop();
    owner.scope = outer;
    outer.release(inner);
  }
  if (limit !== null && inner.cutOff && inner.errors === null) {
    const error = limit.error(inner, isShielded);
    if (error !== undefined) throw error;
  }
  return inner.outcome() as T;
}

function begin<T>(what: string, body: ScopeBody<T>, inner: Scope): Co<T> | Operation<T> {
  if (typeof body !== 'function') {
    throw new TypeError(`${what} expects a generator function, got ${inWords(body)}`);
  }
  const begun = body(inner);
  if (typeof begun?.next === 'function') return begun;
  throw new TypeError(`${what} expects a generator function, but it returned ${inWords(begun)}`);
}

/**
 * @internal Closes the scopes that a body has begun and left behind, such as `scope(…).next()` without an
 * end: what was spawned in them is cancelled, and the coroutine waits for it.
 */
export function closeAbandoned(coroutine: Coroutine<unknown>): void {
  let child = coroutine.firstChild;
  while (child !== null) {
    let { after } = child;
    if (child.owner === coroutine) {
      child.cancel();
      handOver(child, coroutine);
      ({ after } = child);
      coroutine.release(child);
    }
    child = after;
  }
  coroutine.scope = coroutine;
  coroutine.bodyThrew(new TypeError(`${coroutine.name} has left a scope open: is yield* missing?`));
}

/** Puts the children of an inner scope behind those of its coroutine. */
function handOver(inner: Scope, coroutine: Coroutine<unknown>): void {
  for (let child = inner.firstChild; child !== null; child = inner.firstChild) {
    const { cancellation } = child;
    inner.release(child);
    coroutine.adopt(child);
    child.parent = coroutine;
    child.cancellation = cancellation;
  }
  coroutine.live += inner.live;
}
