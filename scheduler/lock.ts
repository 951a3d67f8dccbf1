// What `Mutex` and `RwLock` hand out: the proof that a coroutine holds them, and the way to give them back.

import { core } from './core.ts';
import type { Coroutine } from './coroutine.ts';
import { StateError } from './errors.ts';

/** What a lock is a lock of. */
interface Lockable {
  readonly name: string;
  /** Takes back a lock that is held. */
  release(lock: Lock): void;
}

/**
 * A lock that is held, until `unlock` or the end of its `using` block. It can be unlocked from anywhere,
 * a callback or another coroutine included.
 *
 * @example
 * ```ts
 * import { Mutex, run, sleep } from 'skein';
 *
 * const mutex = new Mutex();
 * await run(function* () {
 *   const lock = yield* mutex.lock();
 *   try {
 *     yield* sleep(1);
 *   } finally {
 *     lock.unlock();
 *   }
 * });
 * ```
 */
export class Lock {
  /** @internal */ declare source: Lockable;
  /** @internal The coroutine that locked; null outside of every coroutine. */
  declare holder: Coroutine<unknown> | null;
  /** Whether it has not been unlocked yet. It is false, too, while its coroutine waits for a condition. */
  declare readonly isHeld: boolean;

  /** @internal */
  constructor(source: Lockable, holder: Coroutine<unknown> | null) {
    this.source = source;
    this.holder = holder;
    this.isHeld = true;
  }

  /**
   * Unlocks; the first who waits has the lock from this moment.
   *
   * @throws StateError if it is not held any more
   */
  unlock(): void {
    if (!this.isHeld)
      throw new StateError(`cannot unlock ${this.source.name}: this lock is not held any more`);
    this.source.release(this);
  }

  /** Unlocks, unless that was done before. */
  [Symbol.dispose](): void {
    this.drop();
  }

  /** @internal */
  drop(): void {
    if (this.isHeld) this.source.release(this);
  }
}

/** @internal Marks a lock as held, or no longer. */
export function setHeld(lock: Lock, isHeld: boolean): void {
  (lock as { isHeld: boolean }).isHeld = isHeld;
}

/** Who holds a lock, for dumps and messages. */
export function holderInWords(holder: Coroutine<unknown> | null): string {
  if (holder === null) return 'held outside of every coroutine';
  return `held by ${holder.name}${holder.hasEnded ? ', which has ended' : ''}`;
}

/** The name of the running coroutine, for messages. */
export function runningInWords(): string {
  return core.current?.name ?? 'code outside of every coroutine';
}
