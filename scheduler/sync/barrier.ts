// A meeting point. Only those that wait in the line have arrived: a coroutine that is cancelled leaves the line, and has not
// arrived, so nothing needs to be mended. The last to come never waits: it lets all go, and the barrier is as it was in
// the beginning.

import { expectWhole } from '../kernel/arguments.ts';
import { nameOf, type NameOptions } from '../kernel/arguments.ts';
import { kind, Leaf, type Operation } from '../kernel/operation.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';

/**
 * Holds coroutines until a number of them has arrived, then lets all go on; it can be used again at once.
 *
 * One that is cancelled while it waits leaves, as if it had not arrived: the others go on waiting for as
 * many as the barrier was made for. Where that many may not come any more, give the wait a timeout, or run
 * the parties in one scope, which cancels all when one fails.
 *
 * @example
 * ```ts
 * import { Barrier, run, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   const round = new Barrier(3);
 *   for (const ms of [1, 2, 3]) {
 *     spawn(function* () {
 *       yield* sleep(ms);
 *       const place = yield* round.wait();
 *       if (place === 2) console.log('all are here');
 *     });
 *   }
 * });
 * ```
 */
export class Barrier {
  /** How many must arrive. */
  readonly parties: number;
  /** @internal */ readonly name: string;
  /** @internal */ readonly line = new WaitQueue<Leaf<number, Barrier, undefined>>();

  /** @throws TypeError if `parties` is not a whole number above 0 */
  constructor(parties: number, options: NameOptions = {}) {
    expectWhole('Barrier', parties, 1);
    this.parties = parties;
    this.name = nameOf('Barrier', options, 'a barrier');
  }

  /** How many have arrived and wait for the others. */
  get waiting(): number {
    return this.line.length;
  }

  /**
   * Arrives, and waits for the others. Gives the place in the order of arrival: 0 for the first, one less
   * than `parties` for the last; so one of them can be chosen to do what is to be done once.
   */
  wait(): Operation<number> {
    return new Leaf<number, Barrier, undefined>(MEET, this, undefined);
  }
}

const MEET = kind<number, Barrier>({
  poll(operation) {
    const { line, parties } = operation.target;
    if (line.length + 1 < parties) return false;
    let place = 0;
    // Only those who stand there now: whoever they wake may come back at once.
    for (let left = line.length; left > 0; left--) line.shift()?.fire(place++);
    operation.value = place;
    return true;
  },
  arm: (operation) => operation.target.line.push(operation),
  disarm: (operation) => operation.target.line.remove(operation),
  describe: ({ target: { line, name, parties } }) =>
    `waiting at ${name} (${line.length} of ${parties} have arrived)`,
});
