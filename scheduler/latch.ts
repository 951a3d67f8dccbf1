// A gate that opens once and stays open.

import { Gate } from './gate.ts';
import type { Operation } from './operation.ts';
import { nameOf, type NameOptions } from './sync.ts';
import { expectWhole } from './numbers.ts';

/**
 * Closed until it was counted down to zero, and open ever after. A latch of 1 is the signal that something
 * has happened.
 *
 * @example
 * ```ts
 * import { Latch, run, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   const started = new Latch(2);
 *   for (const ms of [1, 2]) {
 *     spawn(function* () {
 *       yield* sleep(ms);
 *       started.countDown();
 *     });
 *   }
 *   yield* started.wait(); // 2 ms
 * });
 * ```
 */
export class Latch {
  readonly #gate: Gate;

  /**
   * @param count how often it must be counted down; by default 1; at 0 it is open from the beginning
   * @throws TypeError if `count` is not a whole number, 0 or more
   */
  constructor(count = 1, options: NameOptions = {}) {
    expectWhole('Latch', count, 0);
    this.#gate = new Gate(nameOf('Latch', options, 'a latch'), count);
  }

  /** How often it must still be counted down. */
  get count(): number {
    return this.#gate.count;
  }

  /** Whether it was counted down; it stays so. */
  get isOpen(): boolean {
    return this.#gate.count === 0;
  }

  /** How many coroutines wait. */
  get waiting(): number {
    return this.#gate.line.length;
  }

  /**
   * Counts down by `count`, by default 1; at zero all who wait go on.
   *
   * @throws StateError if its count is less than that; TypeError if `count` is not a whole number above 0
   */
  countDown(count = 1): void {
    expectWhole('countDown', count, 1);
    this.#gate.lower(count);
  }

  /** Waits until it is open; at once if it is. */
  wait(): Operation<void> {
    return this.#gate.wait();
  }
}
