// Mutual exclusion. Invariants: while anybody waits it is held, so a lock never passes those who wait; the
// lock that is held names the coroutine it was granted to, at the moment of granting.

import { ACQUIRE, admit } from './admission.ts';
import { core } from './core.ts';
import type { Coroutine } from './coroutine.ts';
import { DeadlockError, StateError } from './errors.ts';
import { holderInWords, Lock, runningInWords, setHeld } from './lock.ts';
import { kind } from './kind.ts';
import { Leaf, type Operation } from './operation.ts';
import { nameOf, type NameOptions, notes } from './sync.ts';
import { WaitQueue } from './wait-queue.ts';

/**
 * Lets one coroutine in at a time, first come, first served. Between two `yield*` nothing else runs, so
 * a mutex is needed only where a piece of work that must not be interleaved suspends.
 *
 * It is held by the coroutine that locked it, and is not reentrant.
 *
 * @example
 * ```ts
 * import { Mutex, run, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   const mutex = new Mutex();
 *   let balance = 100;
 *   function* withdraw(amount: number) {
 *     using _ = yield* mutex.lock();
 *     const before = balance;
 *     yield* sleep(1);
 *     balance = before - amount;
 *   }
 *   const both = [spawn(() => withdraw(30)), spawn(() => withdraw(20))];
 *   for (const one of both) yield* one.join();
 *   console.log(balance); // 50
 * });
 * ```
 */
export class Mutex {
  /** @internal */ readonly name: string;
  /** @internal */ readonly line = new WaitQueue<LockOperation>();
  /** @internal The lock that is in force. */
  held: Lock | null = null;

  constructor(options: NameOptions = {}) {
    this.name = nameOf('Mutex', options, 'a mutex');
  }

  /** Whether somebody has it. */
  get isLocked(): boolean {
    return this.held !== null;
  }

  /** How many wait to lock it. */
  get waiting(): number {
    return this.line.length;
  }

  /**
   * Waits until it is this coroutine's turn, and locks. If it is cancelled or loses in a `select`, nothing
   * was locked.
   *
   * @throws DeadlockError in the coroutine that holds it already
   */
  lock(): Operation<Lock> {
    return new Leaf<Lock, Mutex, Asker>(LOCK, this, null);
  }

  /** Locks if it is free now; else gives undefined. */
  tryLock(): Lock | undefined {
    return this.held === null ? this.#lockFor(core.current) : undefined;
  }

  /**
   * Unlocks; the first who waits has the lock from this moment. Where the running coroutine is not the one
   * that locked, use `unlock` of the lock itself.
   *
   * @throws StateError if it is not locked, or by another coroutine
   */
  unlock(): void {
    const { held } = this;
    if (held === null) throw new StateError(`cannot unlock ${this.name}: it is not locked`);
    if (held.holder !== core.current) {
      throw new StateError(
        `${runningInWords()} cannot unlock ${this.name}: it is ${holderInWords(held.holder)}`,
      );
    }
    this.release(held);
  }

  /** @internal Waits to lock it again with a lock that was given up for a while. */
  relock(lock: Lock): Operation<Lock> {
    return new Leaf<Lock, Mutex, Asker>(LOCK, this, lock);
  }

  /** @internal */
  fits(): boolean {
    return this.held === null;
  }

  /** @internal */
  grant({ item }: LockOperation): Lock {
    if (!(item instanceof Lock)) return this.#lockFor(item);
    setHeld(item, true);
    this.held = item;
    return item;
  }

  /** @internal */
  release(lock: Lock): void {
    setHeld(lock, false);
    this.held = null;
    admit(this.line);
  }

  #lockFor(holder: Coroutine<unknown> | null): Lock {
    this.held = new Lock(this, holder);
    return this.held;
  }
}

/** Who performs it, noted by `poll`, which runs on its stack; or the lock to take again. */
type Asker = Coroutine<unknown> | Lock | null;

type LockOperation = Leaf<Lock, Mutex, Asker>;

const LOCK = kind<Lock, Mutex, Asker>({
  ...ACQUIRE,
  poll(operation) {
    const { target } = operation;
    const asker = core.current;
    if (asker !== null && target.held?.holder === asker) {
      throw new DeadlockError(`${asker.name} locks ${target.name}, which it holds already`);
    }
    if (!(operation.item instanceof Lock)) operation.item = asker;
    return ACQUIRE.poll(operation);
  },
  describe({ target: { name, line, held } }) {
    return `locking ${name}${notes(line, held === null ? undefined : holderInWords(held.holder))}`;
  },
});
