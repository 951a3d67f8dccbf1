// Waiting, inside of a mutex, for something that others change under the same mutex. Invariants: `wait`
// returns or throws only with the mutex locked again, by the very lock that was given up; a notice is
// delivered to one who acts on it, or passes to the next, and is never swallowed.
//
//   wait ─► give the lock up ─► in line ── notify, or cancelled ─► lock again (cannot be cancelled) ─► go on

import { core } from './core.ts';
import { shield } from './deadline.ts';
import { inWords, StateError } from './errors.ts';
import { type Lock, runningInWords } from './lock.ts';
import { Mutex } from './mutex.ts';
import { kind, neverReady } from './kind.ts';
import { type Co, Leaf } from './operation.ts';
import { nameOf, type NameOptions, notes } from './sync.ts';
import { WaitQueue } from './wait-queue.ts';
import { expectWhole } from './numbers.ts';

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
    if (core.current === null || lock?.holder !== core.current) {
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
  poll: neverReady,
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
