// A lock for many readers or one writer. Invariant: all stand in one line, in the order of their coming, so
// neither kind starves: a reader that comes after a waiting writer waits behind it, and when the head of
// the line is a reader, it is let in together with the readers that follow it.

import { type Coroutine, running } from '../kernel/coroutine.ts';
import { DeadlockError, StateError } from '../kernel/errors.ts';
import { nameOf, type NameOptions, notes } from '../kernel/arguments.ts';
import { kind, type Kind, Leaf, type Operation } from '../kernel/operation.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';
import { ACQUIRE, admit } from './fair-acquire.ts';
import { Lock, runningInWords, setHeld } from './mutex.ts';

/**
 * Lets in many readers at a time, or one writer alone; first come, first served.
 *
 * A coroutine holds it once at most. Reading twice is an error even while no writer waits, since it would
 * be a deadlock as soon as one does. For the same reason a reader cannot become the writer.
 *
 * @example
 * ```ts
 * import { run, RwLock, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   const lock = new RwLock();
 *   const prices = new Map([['tea', 3]]);
 *   function* total() {
 *     using _ = yield* lock.readLock();
 *     yield* sleep(1); // nobody writes meanwhile
 *     return prices.get('tea');
 *   }
 *   const readers = [spawn(total), spawn(total)]; // both at once
 *   spawn(function* () {
 *     using _ = yield* lock.writeLock();
 *     prices.set('tea', 4);
 *   });
 *   for (const reader of readers) console.log(yield* reader.join()); // 3 3
 * });
 * ```
 */
export class RwLock {
  /** @internal */ readonly name: string;
  /** @internal */ readonly line = new WaitQueue<RwLockOperation>();
  /** The coroutines inside. Locks that were taken outside of every coroutine are not among them. */
  readonly #holders = new Map<Coroutine<unknown>, Lock>();
  #writer: Lock | null = null;
  #readers = 0;

  constructor(options: NameOptions = {}) {
    this.name = nameOf('RwLock', options, 'a read-write lock');
  }

  /** Whether somebody has it, to read or to write. */
  get isLocked(): boolean {
    return this.#writer !== null || this.#readers > 0;
  }

  /** Whether somebody has it to write. */
  get isWriteLocked(): boolean {
    return this.#writer !== null;
  }

  /** How many readers are inside. */
  get readers(): number {
    return this.#readers;
  }

  /** How many wait for it, to read or to write. */
  get waiting(): number {
    return this.line.length;
  }

  /**
   * Waits until nobody writes and nobody who came before waits to, then locks it for reading. If it is
   * cancelled or loses in a `select`, nothing was locked.
   *
   * @throws DeadlockError in a coroutine that holds it already
   */
  readLock(): Operation<Lock> {
    return new Leaf<Lock, RwLock, Asker>(READ, this, null);
  }

  /**
   * Waits until nobody else is inside, then locks it for writing. If it is cancelled or loses in a `select`,
   * nothing was locked.
   *
   * @throws DeadlockError in a coroutine that holds it already
   */
  writeLock(): Operation<Lock> {
    return new Leaf<Lock, RwLock, Asker>(WRITE, this, null);
  }

  /** Locks for reading if that is possible now; gives undefined if not, or if this coroutine holds it. */
  tryReadLock(): Lock | undefined {
    return this.#tryLock(false);
  }

  /** Locks for writing if that is possible now; else gives undefined. */
  tryWriteLock(): Lock | undefined {
    return this.#tryLock(true);
  }

  /**
   * Unlocks what the running coroutine has locked. A lock that is held elsewhere has an `unlock` of its own.
   *
   * @throws StateError if the running coroutine does not hold it
   */
  unlock(): void {
    const holder = running();
    const lock = holder === null ? undefined : this.#holders.get(holder);
    if (lock === undefined) {
      throw new StateError(`cannot unlock ${this.name}: ${runningInWords()} does not hold it`);
    }
    this.release(lock);
  }

  /** @internal */
  isHolder(coroutine: Coroutine<unknown> | null): boolean {
    return coroutine !== null && this.#holders.has(coroutine);
  }

  /** @internal */
  fits(operation: RwLockOperation): boolean {
    return this.#isFreeFor(operation.kind === WRITE);
  }

  /** @internal */
  grant(operation: RwLockOperation): Lock {
    return this.#lockFor(operation.item, operation.kind === WRITE);
  }

  /** @internal */
  release(lock: Lock): void {
    setHeld(lock, false);
    if (lock === this.#writer) this.#writer = null;
    else this.#readers--;
    if (lock.holder !== null) this.#holders.delete(lock.holder);
    admit(this.line);
  }

  /** @internal Who is inside, for dumps. */
  stateInWords(): string {
    const names = [...this.#holders.keys()].slice(0, 3).map((holder) => holder.name);
    const others = this.#readers + (this.#writer === null ? 0 : 1) - names.length;
    if (others > 0) names.push(`${others} ${names.length > 0 ? 'more' : 'outside of every coroutine'}`);
    return `${this.#writer === null ? 'read' : 'written'} by ${names.join(', ')}`;
  }

  #tryLock(isWrite: boolean): Lock | undefined {
    if (this.line.first !== null || !this.#isFreeFor(isWrite) || this.isHolder(running())) return undefined;
    return this.#lockFor(running(), isWrite);
  }

  #isFreeFor(isWrite: boolean): boolean {
    return this.#writer === null && (!isWrite || this.#readers === 0);
  }

  #lockFor(holder: Coroutine<unknown> | null, isWrite: boolean): Lock {
    const lock = new Lock(this, holder);
    if (isWrite) this.#writer = lock;
    else this.#readers++;
    if (holder !== null) this.#holders.set(holder, lock);
    return lock;
  }
}

/** The coroutine that performs it; noted by `poll`, which runs on its stack. */
type Asker = Coroutine<unknown> | null;

type RwLockOperation = Leaf<Lock, RwLock, Asker>;

const READ = locking('reading');
const WRITE = locking('writing');

function locking(purpose: string): Kind<Lock, RwLock, Asker> {
  return kind<Lock, RwLock, Asker>({
    ...ACQUIRE,
    poll(operation) {
      const { target } = operation;
      operation.item = running();
      if (target.isHolder(running())) {
        throw new DeadlockError(
          `${runningInWords()} locks ${target.name} for ${purpose}, which it holds already`,
        );
      }
      return ACQUIRE.poll(operation);
    },
    describe({ target }) {
      const state = target.isLocked ? target.stateInWords() : undefined;
      return `locking ${target.name} for ${purpose}${notes(target.line, state)}`;
    },
  });
}
