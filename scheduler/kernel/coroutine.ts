// The life of a coroutine: its handle, how it begins, who waits for its end, and how it ends. Its fields are plain and
// assigned in the constructor: private and class fields cost 20 ns an object (ARCHITECTURE.md). Invariants: an end that
// has begun is completed, and whatever is called on the way may throw, which is reported; its outcome never changes, so
// no joiner can miss it; ending is a loop, since coroutines may be nested deeper than the thread's stack.

import type { SpawnOptions } from './arguments.ts';
import { captureContext } from './async-context.ts';
import { DeadlockError, inWords } from './errors.ts';
import type { InnerScope } from './inner-scope.ts';
import {
  ARMED,
  type Body,
  type Co,
  core,
  kind,
  type Kind,
  Leaf,
  type Operation,
  runAs,
} from './operation.ts';
import type { Scheduler } from './scheduler.ts';
import { childrenOf, ENDED, Extras, Scope } from './scope.ts';
import { WaitQueue } from './wait-queue.ts';
import { reportUncaught } from './warnings.ts';

/**
 * `ready`: queued; `running`: it is the current one; `suspended`: it waits for an operation, or for its
 * children; `done`, `failed`, `cancelled`: it has ended.
 */
export type CoroutineState = 'ready' | 'running' | 'suspended' | 'done' | 'failed' | 'cancelled';

let lastId = 0;

/** @internal The running coroutine; null outside of every one. */
export function running(): Coroutine<unknown> | null {
  return core.current as Coroutine<unknown> | null;
}

/**
 * A coroutine: a generator that the scheduler runs, with an identity, a state and a scope of its own.
 * `spawn` and `run` make them.
 *
 * @example
 * ```ts
 * import { run, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   const worker = spawn(function* work() {
 *     yield* sleep(5);
 *     return 42;
 *   });
 *   console.log(worker.name, worker.state, yield* worker.join()); // work ready 42
 * });
 * ```
 */
export class Coroutine<T> extends Scope implements PromiseLike<T> {
  /** A number of its own, in the order of creation. */
  declare readonly id: number;
  /** @internal */ declare scheduler: Scheduler;
  /** @internal */ declare body: Body<T>;
  /** @internal Null before it is started, and after it has ended. */
  declare generator: Co<T> | Operation<T> | null;
  /** @internal The innermost scope that is open in this coroutine: itself, unless `scope` opened another. */
  declare scope: Scope;
  /** @internal What it waits for, once armed. */
  declare op: Leaf<unknown> | null;
  /** @internal What a bare `yield` waits for, performed beside the generator. */
  declare bare: Leaf<unknown> | null;
  /** @internal */ declare joiners: WaitQueue<JoinOperation<unknown>> | null;
  /** @internal The link of the ready queue. */
  declare nextReady: Coroutine<unknown> | null;
  /** @internal */ declare isDaemon: boolean;
  /** @internal When it was spawned, to the turn: whole milliseconds of the scheduler's clock. */
  declare born: number;
  /** What it does at the moment. */
  declare state: CoroutineState;

  /** @internal */
  constructor(
    scheduler: Scheduler,
    parent: Scope | null,
    body: Body<T>,
    options: SpawnOptions | undefined,
    spawner: Coroutine<unknown> | null,
  ) {
    super(parent);
    // What every resume looks at comes first, so that it stands in few cache lines.
    this.state = 'ready';
    this.scheduler = scheduler;
    this.generator = null;
    this.scope = this;
    this.op = null;
    this.bare = null;
    this.nextReady = null;
    this.owner = this;
    this.id = ++lastId;
    this.body = body;
    this.joiners = null;
    this.isDaemon = options?.daemon === true;
    this.born = scheduler.turnTime;
    if (options !== undefined || (spawner !== null && spawner.extras !== null)) equip(this, options, spawner);
  }

  /** The name given to `spawn`, else that of the generator function, else `coroutine-<id>`. */
  get name(): string {
    return this.extras?.nameOf() ?? nameOf(this.body) ?? `coroutine-${this.id}`;
  }

  /**
   * Waits until the coroutine and its children have ended, and gives what its body returned. A child's
   * error is thrown even when the body had returned. Cancelling the wait leaves the coroutine alone.
   *
   * @throws the coroutine's error; CancelledError if it was cancelled; DeadlockError when a coroutine
   * joins itself or one of its ancestors
   */
  join(): Operation<T> {
    return join(this);
  }

  /**
   * As `join`, for plain code: `await coroutine`. Only calling it makes a promise, and makes the error one
   * that somebody hears.
   */
  // oxlint-disable-next-line unicorn/no-thenable -- that plain code may await a coroutine is what it is for
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return new Promise<T>((resolve, reject) => observe(this, resolve, reject)).then(onFulfilled, onRejected);
  }

  /** What it waits for, in words; undefined if it does not. */
  describe(): string | undefined {
    if (this.state !== 'suspended') return undefined;
    return this.op?.describe() ?? childrenOf(this);
  }

  /** @internal */
  get hasEnded(): boolean {
    return this.phase === ENDED;
  }

  /** @internal What it waited for is there: queues it. */
  wake(): void {
    this.scheduler.ready(this);
    this.op = null;
  }

  /** @internal Ends its wait at once and queues it; its operation throws when it runs (C4). */
  interrupt(): void {
    const { op } = this;
    if (op === null || this.state !== 'suspended' || op.kind.isFirm) return;
    // If that has ended, its waking was cut short by the end of the stack.
    if (op.state === ARMED) runAs(this, cancel, op);
    this.wake();
  }
}

function cancel(operation: Leaf<unknown>): void {
  operation.cancel();
}

/** A function can have anything as its name: a static member of a class that is called so, for one. */
function nameOf(body: Body<unknown>): string | undefined {
  try {
    const { name } = body as { readonly name: unknown };
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Gives a new coroutine what only some have: options, and what it inherits. */
function equip<T>(
  coroutine: Coroutine<T>,
  options: SpawnOptions | undefined,
  spawner: Coroutine<unknown> | null,
): void {
  const inherited = spawner?.extras;
  const name = options?.name;
  const onError = options?.onError;
  const locals = inherited?.locals ?? null;
  const isInContext = inherited !== null && inherited !== undefined && inherited.context !== null;
  if (name === undefined && onError === undefined && locals === null && !isInContext) return;
  const extras = new Extras();
  extras.name = name;
  extras.onError = onError;
  extras.locals = locals;
  if (isInContext) extras.context = captureContext();
  coroutine.extras = extras;
}

export function start<T>(coroutine: Coroutine<T>): Co<T> | Operation<T> {
  // Not as a method: it would be named after its receiver in stacks, and be given the coroutine as `this`.
  const { body } = coroutine;
  const generator = body();
  if (typeof generator?.next !== 'function') {
    throw new TypeError(
      `expected the body of ${coroutine.name} to be a generator function, but it returned ${inWords(generator)}`,
    );
  }
  coroutine.generator = generator;
  return generator;
}

export type JoinOperation<T> = Leaf<T, Coroutine<T>, undefined>;

export function join<T>(target: Coroutine<T>): JoinOperation<T> {
  return new Leaf<T, Coroutine<T>, undefined>(JOIN as Kind<T, Coroutine<T>, undefined>, target, undefined);
}

const JOIN = kind<unknown, Coroutine<unknown>>({
  poll(operation) {
    const { target } = operation;
    if (target.hasEnded) {
      operation.value = target.outcome();
      return true;
    }
    if (core.current !== null && isSelfOrAncestor(target, core.current as Coroutine<unknown>)) {
      const whom = target === core.current ? 'itself' : 'its ancestor';
      throw new DeadlockError(`${core.current.name} joins ${whom} ${target.name}, which waits for it to end`);
    }
    return false;
  },
  arm: (operation) => (operation.target.joiners ??= new WaitQueue()).push(operation),
  disarm: (operation) => operation.target.joiners?.remove(operation),
  describe: ({ target }) => `joining ${target.name}`,
});

/** Ancestors are older, so that joining a child is no walk. */
function isSelfOrAncestor(target: Coroutine<unknown>, coroutine: Coroutine<unknown>): boolean {
  let node = coroutine;
  while (node.id > target.id && node.parent !== null) node = node.parent.owner;
  return node === target;
}

/** Calls back with the outcome of a coroutine, from its last step or, if it has ended, at once. */
export function observe<T>(
  coroutine: Coroutine<T>,
  onValue: (value: T) => void,
  onError: (error: unknown) => void,
): void {
  const wake = (): void => {
    let value: T;
    try {
      value = coroutine.outcome() as T;
    } catch (error) {
      onError(error);
      return;
    }
    onValue(value);
  };
  if (coroutine.hasEnded) {
    wake();
    return;
  }
  const operation = join(coroutine);
  operation.state = ARMED;
  operation.waiter = { wake };
  JOIN.arm(operation as JoinOperation<unknown>);
}

/** Ends a coroutine that has no more children, and then each ancestor that waited only for this. */
export function conclude(coroutine: Coroutine<unknown>): void {
  let ended = coroutine;
  for (;;) {
    let failed = ended.errors !== null;
    ended.state = failed ? 'failed' : ended.cutOff ? 'cancelled' : 'done';
    if (ended.extras !== null) failed = tellExtras(ended, ended.extras, failed);
    if (ended.joiners !== null) tellJoiners(ended.joiners);
    const { parent } = ended;
    if (parent === null) {
      strike(ended);
      return;
    }
    // A handle that somebody keeps must not keep its ancestors.
    ended.parent = null;
    if (!parent.childEnded(ended, failed, failed ? ended.error() : undefined)) return;
    if (parent.owner !== parent) {
      (parent as InnerScope).drain?.notify();
      return;
    }
    ended = parent as Coroutine<unknown>;
  }
}

/** Ends a coroutine that cannot be ended otherwise, and leaves its children where they are. */
export function abandon(coroutine: Coroutine<unknown>, error: unknown): void {
  coroutine.errors = new Set([error]);
  coroutine.phase = ENDED;
  conclude(coroutine);
}

/** Gives whether the coroutine has failed still. */
function tellExtras(coroutine: Coroutine<unknown>, extras: Extras, failed: boolean): boolean {
  try {
    extras.onEnd?.(coroutine);
  } catch (error) {
    reportUncaught(`an internal error at the end of ${coroutine.name}`, error);
  }
  try {
    return failed && !extras.handles(coroutine);
  } catch (error) {
    coroutine.errors = new Set([error]);
    return true;
  }
}

function tellJoiners(joiners: WaitQueue<JoinOperation<unknown>>): void {
  for (let joiner; (joiner = joiners.shift()) !== null;) {
    try {
      joiner.notify();
    } catch (error) {
      reportUncaught('an internal error at the end of a coroutine', error);
    }
  }
}

// The coroutines that nobody spawned, of every scheduler: where a dump begins, and what must not be left when the process
// ends. Calls of `skein/co` are listed apart, and weakly: as with `co`, one that waits for a promise which nobody can
// settle any more is garbage. So its entry must not outweigh it: between two collections only so many are listed, and
// after each the list is rid of those that are gone.

/** Those of `run`: they live until they have ended. */
export const roots = new Set<Coroutine<unknown>>();

/** Called when a root is listed while there is none; whoever watches over the process sets it. */
let onFirst: (() => void) | null = null;

export function onFirstRoot(callback: () => void): void {
  onFirst ??= callback;
}

/** Lists a root: strongly, or only for as long as something else refers to it. */
export function enroll(root: Coroutine<unknown>): void {
  if (onFirst !== null && roots.size === 0) onFirst();
  if (isForgettable(root)) listWeakly(root);
  else roots.add(root);
}

function isForgettable(root: Coroutine<unknown>): root is Forgettable {
  return (root as Partial<Forgettable>).entry !== undefined;
}

type Entry = WeakRef<Coroutine<unknown>>;

/** A root that lives only while something else refers to it. */
export interface Forgettable extends Coroutine<unknown> {
  /** Where it is listed; null if it is not. */
  entry: Entry | null;
}

/** Entries that may come between two collections. */
const FRESH = 2_048;

const entries = new Set<Entry>();
/** How many entries there may be until the next collection. */
let most = FRESH;
/** Told of a collection by the death of an object that nobody refers to; made for the first entry. */
let collections: FinalizationRegistry<undefined> | null = null;

function watchCollections(): void {
  collections ??= new FinalizationRegistry(() => {
    for (const entry of entries) if (entry.deref() === undefined) entries.delete(entry);
    most = entries.size + FRESH;
    watchCollections();
  });
  collections.register({}, undefined);
}

function listWeakly(root: Forgettable): void {
  if (entries.size >= most) return;
  if (collections === null) watchCollections();
  root.entry = new WeakRef(root);
  entries.add(root.entry);
}

export function strike(root: Coroutine<unknown>): void {
  if (roots.delete(root)) return;
  if (isForgettable(root) && root.entry !== null) entries.delete(root.entry);
}

/** All that are listed, in the order of their creation. */
export function everyRoot(): Coroutine<unknown>[] {
  const listed = [...roots];
  for (const entry of entries) {
    const root = entry.deref();
    if (root !== undefined) listed.push(root);
  }
  return listed.toSorted((one, other) => one.id - other.id);
}
