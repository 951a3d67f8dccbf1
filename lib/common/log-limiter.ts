// What a peer can cause as often as it likes must not flood a log: it is logged at most once a second, with the number of
// those that were passed over meanwhile. Whoever is about to log asks first.

import type { Clock } from '../../scheduler/kernel/clock.ts';

/** Milliseconds between two that are logged. */
const EVERY = 1_000;

export class Seldom {
  readonly #clock: Clock;
  #toldAt = -Infinity;
  #passedOver = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many were passed over since the last one, if this one is to be logged; undefined if it is passed over too. */
  ask(): number | undefined {
    const now = this.#clock.now();
    if (now - this.#toldAt < EVERY) {
      this.#passedOver++;
      return undefined;
    }
    this.#toldAt = now;
    const passedOver = this.#passedOver;
    this.#passedOver = 0;
    return passedOver;
  }
}
