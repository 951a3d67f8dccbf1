// Scopes that are opened in the middle of a coroutine: by `scope`, and by `timeout` and `shield`, which are scopes with a
// limit and with a wall around them. Invariant: one that is left before it has ended (its generator was ended by `return`,
// the stack overflowed, an outer one was left before it) is closed all the same: what was spawned in it is cancelled and
// goes to the scope around it, which waits for it and fails. Leaving may be cut short itself, by the end of the stack; then
// the next scope around it, or the end of the coroutine, closes what is still open.

import { type Coroutine, running } from './coroutine.ts';
import { inWords } from './errors.ts';
import { ARMED, type Co, kind, Leaf, type Operation, type Suspension } from './operation.ts';
import { childrenOf, ENDED, Scope } from './scope.ts';

const take: (...values: unknown[]) => void = () => {};

/** Kept, since making one takes longer than the rest: of the size that was asked for last. */
let filler: unknown[] = [];

/** @throws RangeError unless so many values of eight bytes still fit on the stack: where arguments are put */
export function expectRoom(values: number): void {
  if (filler.length !== values) filler = Array.from({ length: values });
  take(...filler);
}

/** What runs in a scope that is opened for it, and is given that scope. */
export type ScopeBody<T> = (scope: Scope) => Co<T> | Operation<T>;

/** A scope that is opened inside of a coroutine. */
export class InnerScope extends Scope {
  /** @internal What has opened it: the name of a function. */
  declare what: string;
  /** @internal Neither left nor closed: it is the owner's current scope, or around that. */
  declare isOpen: boolean;
  /** @internal */ declare isShielded: boolean;
  /** @internal */ declare limit: Limit | null;
  /** @internal What the owner waits with for its children. */
  declare drain: Drain | null;

  /** @internal */
  constructor(owner: Coroutine<unknown>, what: string, isShielded: boolean, limit: Limit | null) {
    super(owner.scope);
    this.owner = owner;
    this.what = what;
    this.isOpen = true;
    this.isShielded = isShielded;
    this.limit = limit;
    this.drain = null;
    owner.scope.adopt(this);
    if (isShielded) this.cancellation = null;
  }

  override get isShield(): boolean {
    return this.isShielded;
  }
}

const DRAIN = kind<void, InnerScope>({
  poll: ({ target }) => target.phase === ENDED || target.isDrainedAfterBody(),
  arm(operation) {
    operation.target.drain = operation as Drain;
  },
  disarm(operation) {
    operation.target.drain = null;
  },
  describe: ({ target }) => childrenOf(target),
  isFirm: true,
});

/** Where a coroutine stands while it looks for its children: a scope that is never cancelled. */
const unreachable = new Scope(null);

/** Waits for the children of a scope, also when that is cancelled (C1). */
class Drain extends Leaf<void, InnerScope, undefined> {
  override next(): IteratorResult<Suspension, void> {
    const { owner } = this.target;
    // Whoever runs coroutines wakes it before it asks again; this is somebody who has forgotten that it is to wait.
    if (this.state === ARMED && this.waiter === null) throw leftOpen(this.target);
    const { scope: current } = owner;
    owner.scope = unreachable;
    try {
      return super.next();
    } finally {
      owner.scope = current;
    }
  }
}

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

/** @internal Runs a body in a scope of its own: what `scope`, `timeout`, `shield`, `all` and others have in common. */
export function* within<T>(
  what: string,
  isShielded: boolean,
  limit: Limit | null,
  body: ScopeBody<T>,
): Co<T> {
  const owner = running();
  if (owner === null) throw new TypeError(`${what} needs a running coroutine: call it inside of run`);
  const outer = owner.scope;
  const inner = new InnerScope(owner, what, isShielded, limit);
  owner.scope = inner;
  let hasThrown = false;
  try {
    limit?.start(inner);
    try {
      inner.value = yield* begin(what, body, inner);
    } catch (error) {
      hasThrown = true;
      inner.bodyThrew(error);
    }
    closeInside(inner, hasThrown);
    hasThrown = false;
    if (inner.phase !== ENDED) yield* new Drain(DRAIN, inner, undefined);
  } catch (error) {
    hasThrown = true;
    throw error;
  } finally {
    if (inner.phase === ENDED && owner.scope === inner) leave(inner, outer);
    else if (inner.isOpen) close(inner, hasThrown);
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

/** Goes back to the scope around one that has ended. */
function leave(inner: InnerScope, outer: Scope): void {
  inner.limit?.stop();
  outer.release(inner);
  // Last, since the calls before may overflow the stack: then it is open still, and is closed from outside.
  inner.isOpen = false;
  inner.owner.scope = outer;
}

/** @internal The body of a scope has ended: closes those that it has opened, and has not waited for. */
export function closeInside(outer: Scope, hasThrown: boolean): void {
  let inner = outer.owner.scope;
  if (inner === outer || (outer instanceof InnerScope && !outer.isOpen)) return;
  while (inner.parent !== outer) inner = inner.parent!;
  close(inner as InnerScope, hasThrown);
}

/**
 * Closes a scope that has not ended, and those that are open inside. Their children are cancelled and go to the scope
 * around it, and so do their errors. Unless an error is on its way already, that scope fails.
 */
function close(inner: InnerScope, hasThrown: boolean): void {
  // In the middle of it an overflow would lose a child: it has to come now, or not at all.
  expectRoom(ROOM);
  const { owner } = inner;
  const outer = inner.parent!;
  const error = leftOpen(inner);
  inner.cancel(error);
  while (inner.isOpen) {
    const open = owner.scope as InnerScope;
    // A shield inside was not reached from outside.
    open.cancel(error);
    const { errors } = open;
    open.limit?.stop();
    moveChildren(open, outer);
    open.parent!.release(open);
    open.phase = ENDED;
    open.errors = new Set([error]);
    open.isOpen = false;
    owner.scope = open.parent!;
    // Another coroutine may have been given its generator, and wait.
    open.drain?.notify();
    errors?.forEach((one) => outer.addError(one));
  }
  if (!hasThrown) outer.addError(error);
}

/** What closing takes of the stack is far less, in values of eight bytes. */
const ROOM = 2_000;

function leftOpen({ owner, what }: InnerScope): TypeError {
  const which = what === 'scope' ? 'a scope' : `the scope of ${what}`;
  return new TypeError(`${owner.name} has left ${which} open: is yield* missing?`);
}

/** Each keeps its own cancellation. */
function moveChildren(from: Scope, to: Scope): void {
  for (let child = from.firstChild; child !== null; child = from.firstChild) {
    const { cancellation } = child;
    from.release(child);
    to.adopt(child);
    child.parent = to;
    child.cancellation = cancellation;
  }
  to.live += from.live;
  from.live = 0;
}
