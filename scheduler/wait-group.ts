// Waiting for a number of things that may still grow while they are waited for.

import { Gate } from './gate.ts';
import type { Operation } from './operation.ts';
import { nameOf, type NameOptions } from './sync.ts';
import { expectWhole } from './numbers.ts';

/**
 * Counts what is under way; `wait` waits until all of it is done. It can be used again and again. To wait
 * for coroutines, `scope` needs no counting; a WaitGroup counts what belongs to no single scope, such as
 * requests in flight.
 *
 * @example
 * ```ts
 * import { run, sleep, spawn, WaitGroup } from 'skein';
 *
 * await run(function* () {
 *   const requests = new WaitGroup({ name: 'requests' });
 *   for (const ms of [1, 3, 2]) {
 *     requests.add();
 *     spawn(function* () {
 *       try {
 *         yield* sleep(ms);
 *       } finally {
 *         requests.done();
 *       }
 *     });
 *   }
 *   yield* requests.wait(); // 3 ms
 * });
 * ```
 */
export class WaitGroup {
  readonly #gate: Gate;

  constructor(options: NameOptions = {}) {
    this.#gate = new Gate(nameOf('WaitGroup', options, 'a wait group'), 0);
  }

  /** How many are under way. */
  get count(): number {
    return this.#gate.count;
  }

  /** How many coroutines wait. */
  get waiting(): number {
    return this.#gate.line.length;
  }

  /**
   * Says that `count` more are under way; by default 1.
   *
   * @throws TypeError if `count` is not a whole number, 0 or more
   */
  add(count = 1): void {
    expectWhole('add', count, 0);
    this.#gate.count += count;
  }

  /**
   * Says that one is done.
   *
   * @throws StateError if none is under way
   */
  done(): void {
    this.#gate.lower(1);
  }

  /** Waits until none is under way; at once if none is. */
  wait(): Operation<void> {
    return this.#gate.wait();
  }
}
