// A number of permits, handed out first come, first served. Invariant: while anybody waits, the permits that
// are left are too few for the first of them; so one who asks for many is not starved by those who ask
// for few.

import { checkOptions, expectWhole, optionNames } from '../kernel/arguments.ts';
import { StateError } from '../kernel/errors.ts';
import { type NameOptions, notes } from '../kernel/arguments.ts';
import { kind, Leaf, type Operation } from '../kernel/operation.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';
import { ACQUIRE, admit } from './fair-acquire.ts';

/** How to make a semaphore. */
export interface SemaphoreOptions extends NameOptions {
  /** Permits that there can be at most, or `Infinity`; by default as many as in the beginning. */
  maximum?: number | undefined;
}

const OPTIONS = optionNames<SemaphoreOptions>({ name: true, maximum: true });

/**
 * Hands out a limited number of permits: so many may do something at a time.
 *
 * @example
 * ```ts
 * import { run, Semaphore, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   const downloads = new Semaphore(2, { name: 'downloads' });
 *   for (let page = 1; page <= 6; page++) {
 *     spawn(function* () {
 *       using _ = yield* downloads.acquire();
 *       yield* sleep(2);
 *     });
 *   }
 * }); // after 6 ms: two at a time
 * ```
 */
export class Semaphore {
  /** Permits that there can be at most. */
  readonly maximum: number;
  /** @internal */ readonly name: string;
  /** @internal */ readonly line = new WaitQueue<PermitOperation>();
  #available: number;

  /**
   * @param permits how many there are in the beginning: a whole number, or `Infinity`
   * @throws TypeError if it is not, or if the maximum is less, or 0
   */
  constructor(permits: number, options: SemaphoreOptions = {}) {
    checkOptions('Semaphore', options, OPTIONS);
    const { maximum = permits, name = 'a semaphore' } = options;
    if (permits !== Infinity) expectWhole('Semaphore', permits, 0);
    if (maximum !== Infinity) expectWhole('the maximum of a Semaphore', maximum, Math.max(permits, 1));
    this.maximum = maximum;
    this.name = name;
    this.#available = permits;
  }

  /** Permits that are left. */
  get available(): number {
    return this.#available;
  }

  /** How many coroutines wait for permits. */
  get waiting(): number {
    return this.line.length;
  }

  /**
   * Waits until it is this coroutine's turn and `count` permits are left, and takes them all at once. If it
   * is cancelled or loses in a `select`, nothing was taken.
   *
   * @param count how many; by default 1
   * @throws TypeError if `count` is not a whole number from 1 to the maximum
   */
  acquire(count = 1): Operation<Permit> {
    expectWhole('acquire', count, 1, this.maximum);
    return new Leaf<Permit, Semaphore, number>(TAKE_PERMITS, this, count);
  }

  /**
   * Takes permits if they are left and nobody waits; else gives undefined.
   *
   * @throws TypeError if `count` is not a whole number from 1 to the maximum
   */
  tryAcquire(count = 1): Permit | undefined {
    expectWhole('tryAcquire', count, 1, this.maximum);
    return this.line.first === null && count <= this.#available ? this.#take(count) : undefined;
  }

  /**
   * Gives permits back, or adds new ones up to the maximum; those who wait have them from this moment.
   * A permit goes back once: this way, or by the object that `acquire` gave.
   *
   * @throws StateError if there would be more than the maximum; TypeError if `count` is not a whole number
   * above 0
   */
  release(count = 1): void {
    expectWhole('release', count, 1);
    if (this.#available + count > this.maximum) {
      throw new StateError(
        `cannot release ${count} of ${this.name}: ${this.#available} of at most ${this.maximum} are available already`,
      );
    }
    this.#available += count;
    admit(this.line);
  }

  /** @internal */
  fits({ item }: PermitOperation): boolean {
    return item <= this.#available;
  }

  /** @internal */
  grant({ item }: PermitOperation): Permit {
    return this.#take(item);
  }

  #take(count: number): Permit {
    this.#available -= count;
    return new Permit(this, count);
  }
}

/** Permits that are held, until `release` or the end of their `using` block. */
export class Permit {
  /** How many they are. */
  declare readonly count: number;
  /** @internal */ declare semaphore: Semaphore;
  /** Whether they have not been given back yet. */
  declare readonly isHeld: boolean;

  /** @internal */
  constructor(semaphore: Semaphore, count: number) {
    this.count = count;
    this.semaphore = semaphore;
    this.isHeld = true;
  }

  /**
   * Gives them back.
   *
   * @throws StateError if that was done before
   */
  release(): void {
    if (!this.isHeld)
      throw new StateError(`cannot release ${this.semaphore.name}: this permit was released before`);
    this.drop();
  }

  /** Gives them back, unless that was done before. */
  [Symbol.dispose](): void {
    this.drop();
  }

  /** @internal */
  drop(): void {
    if (!this.isHeld) return;
    (this as { isHeld: boolean }).isHeld = false;
    this.semaphore.release(this.count);
  }
}

/** Its item is how many it asks for. */
type PermitOperation = Leaf<Permit, Semaphore, number>;

const TAKE_PERMITS = kind<Permit, Semaphore, number>({
  ...ACQUIRE,
  describe({ target: { available, line, maximum, name }, item }) {
    const limit = maximum === Infinity ? '' : ` of ${maximum}`;
    return `acquiring ${item} of ${name}${notes(line, `${available}${limit} available`)}`;
  },
});
