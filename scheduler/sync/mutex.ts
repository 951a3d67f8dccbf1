// Mutual exclusion: `Mutex`; `Lock`, which it and `RwLock` hand out as the proof that a coroutine holds them; and
// `Condition`, waiting inside of a mutex for something that others change under it. Invariants: while anybody waits the
// mutex is held, so a lock never passes those who wait; a lock names the coroutine that it was granted to; `Condition.wait`
// returns or throws only with the mutex locked again, by the very lock that was given up; a notice is delivered to one who
// acts on it, or passes to the next, and is never swallowed.
//
//   wait ─► give the lock up ─► in line ── notify, or cancelled ─► lock again (cannot be cancelled) ─► go on

import { expectWhole } from '../kernel/arguments.ts';
import { type Coroutine, running } from '../kernel/coroutine.ts';
import { DeadlockError, inWords, StateError } from '../kernel/errors.ts';
import { nameOf, type NameOptions, notes } from '../kernel/arguments.ts';
import { type Co, kind, Leaf, type Operation } from '../kernel/operation.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';
import { shield } from '../time/timeout.ts';
import { ACQUIRE, admit } from './fair-acquire.ts';

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
    return this.held === null ? this.#lockFor(running()) : undefined;
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
    if (held.holder !== running()) {
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

/** The coroutine that performs it, noted by `poll`, which runs on its stack; or the lock to take again. */
type Asker = Coroutine<unknown> | Lock | null;

type LockOperation = Leaf<Lock, Mutex, Asker>;

const LOCK = kind<Lock, Mutex, Asker>({
  ...ACQUIRE,
  poll(operation) {
    const { target } = operation;
    const asker = running();
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
  return running()?.name ?? 'code outside of every coroutine';
}

/**
 * Lets coroutines that hold a mutex wait until something has changed. What they wait for may have been taken
 * by somebody else before they have the mutex again, so `wait` stands in a loop that looks.
 *
 * @example
 * ```ts
 * import { Condition, Mutex, run, spawn } from 'skein';
 *
 * await run(function* () {
 *   const mutex = new Mutex();
 *   const filled = new Condition(mutex);
 *   const shelf: string[] = [];
 *   spawn(function* () {
 *     using _ = yield* mutex.lock();
 *     while (shelf.length === 0) yield* filled.wait();
 *     console.log(shelf.pop()); // bread
 *   });
 *   spawn(function* () {
 *     using _ = yield* mutex.lock();
 *     shelf.push('bread');
 *     filled.notify();
 *   });
 * });
 * ```
 */
export class Condition {
  /** The one that is given up while waiting. */
  readonly mutex: Mutex;
  /** @internal */ readonly name: string;
  /** @internal */ readonly line = new WaitQueue<Leaf<void, Condition, Lock>>();

  /** @throws TypeError if `mutex` is not a Mutex */
  constructor(mutex: Mutex, options: NameOptions = {}) {
    if (!(mutex instanceof Mutex)) throw new TypeError(`Condition expects a Mutex, got ${inWords(mutex)}`);
    this.mutex = mutex;
    this.name = nameOf('Condition', options, 'a condition');
  }

  /** How many wait to be notified. */
  get waiting(): number {
    return this.line.length;
  }

  /**
   * Unlocks the mutex, waits for a notice, and locks the mutex again; the lock object stays the same. One
   * that is cancelled, too, locks again first, and throws then: so `finally` still runs under the mutex.
   * A notice that came before the cancellation counts, and the wait returns. Since it has to lock again in
   * any case, it is no case for `select`; to bound it, put `timeout` around it.
   *
   * @throws StateError if the running coroutine does not hold the mutex
   */
  *wait(): Co<void> {
    const { mutex } = this;
    const lock = mutex.held;
    if (running() === null || lock?.holder !== running()) {
      throw new StateError(`${runningInWords()} waits for ${this.name} without holding ${mutex.name}`);
    }
    try {
      yield* new Leaf<void, Condition, Lock>(AWAIT_NOTICE, this, lock);
    } finally {
      // It was cancelled before, and did not even begin to wait, if the lock is still held.
      if (!lock.isHeld) yield* shield(() => mutex.relock(lock));
    }
  }

  /**
   * Wakes the first `count` of those who wait, by default 1. There is no need to hold the mutex; if nobody
   * waits, nothing happens, and nothing is kept for later.
   *
   * @throws TypeError if `count` is not a whole number above 0
   */
  notify(count = 1): void {
    expectWhole('notify', count, 1);
    for (let left = count; left > 0; left--) {
      const first = this.line.shift();
      if (first === null) return;
      first.fire();
    }
  }

  /** Wakes all who wait. */
  notifyAll(): void {
    for (let one = this.line.shift(); one !== null; one = this.line.shift()) one.fire();
  }
}

/** Its item is the lock that it gives up while it waits. */
const AWAIT_NOTICE = kind<void, Condition, Lock>({
  startsWork: true,
  arm(operation) {
    const { target, item } = operation;
    // Both at once, or a notice could come in between.
    target.line.push(operation);
    target.mutex.release(item);
  },
  disarm: (operation) => operation.target.line.remove(operation),
  /** A notice that nobody will see passes to the next. */
  discard: ({ target }) => target.notify(),
  describe: ({ target: { line, name } }) => `waiting for ${name}${notes(line)}`,
});
