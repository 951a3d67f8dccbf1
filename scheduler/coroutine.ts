// The handle of a running generator: its identity, its state, and what it waits for. Its fields are
// plain and assigned in the constructor: private and class fields cost 20 ns an object (ARCHITECTURE.md).

import { captureContext } from './context.ts';
import { runAs } from './core.ts';
import type { Scheduler } from './scheduler.ts';
import { join, type JoinOperation, observe } from './join.ts';
import { ARMED, type Body, type Co, type Leaf, type Operation } from './operation.ts';
import { childrenOf, ENDED, Extras, Scope } from './scope.ts';
import type { WaitQueue } from './wait-queue.ts';

/** How to start a coroutine; all are optional. */
export interface SpawnOptions {
  /** The name in dumps and messages; by default that of the generator function, or `coroutine-<id>`. */
  name?: string | undefined;
  /** Not waited for: cancelled when the body of its scope and all others have ended. Default false. */
  daemon?: boolean | undefined;
  /**
   * Called with the error if the coroutine fails; the error goes no further, and neither its scope nor
   * its siblings are disturbed. An error thrown here becomes the coroutine's and does go further.
   */
  onError?: ((error: unknown) => void) | undefined;
}

/**
 * `ready`: queued; `running`: it is the current one; `suspended`: it waits for an operation, or for its
 * children; `done`, `failed`, `cancelled`: it has ended.
 */
export type CoroutineState = 'ready' | 'running' | 'suspended' | 'done' | 'failed' | 'cancelled';

let lastId = 0;

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
    const { extras } = this;
    if (extras !== null && extras.supervisor !== null) return extras.supervisor.nameOf(extras.subject);
    return extras?.name ?? nameOf(this.body) ?? `coroutine-${this.id}`;
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
