// A count, and those who wait until it is zero: `Latch`, which opens once and stays open, and `WaitGroup`, whose count may
// grow while it is waited for. Whoever waited when it became zero goes on, even if it rises again before they run.

import { expectWhole } from '../kernel/arguments.ts';
import { StateError } from '../kernel/errors.ts';
import { nameOf, type NameOptions, notes } from '../kernel/arguments.ts';
import { kind, Leaf, type Operation } from '../kernel/operation.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';

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

export class Gate {
  readonly name: string;
  readonly line = new WaitQueue<Leaf<void, Gate, undefined>>();
  count: number;

  constructor(name: string, count: number) {
    this.name = name;
    this.count = count;
  }

  /** @throws StateError if less would be left than nothing */
  lower(count: number): void {
    if (count > this.count) {
      throw new StateError(`cannot count ${this.name} down by ${count}: its count is ${this.count}`);
    }
    this.count -= count;
    if (this.count > 0) return;
    // Only those who stand there now: whoever they wake may come back at once.
    for (let left = this.line.length; left > 0; left--) this.line.shift()?.fire();
  }

  /** Waits until the count is zero. */
  wait(): Operation<void> {
    return new Leaf<void, Gate, undefined>(PASS, this, undefined);
  }
}

const PASS = kind<void, Gate>({
  poll: ({ target }) => target.count === 0,
  arm: (operation) => operation.target.line.push(operation),
  disarm: (operation) => operation.target.line.remove(operation),
  describe: ({ target: { name, line, count } }) => `waiting for ${name}${notes(line, `${count} to go`)}`,
});
