// Chance is passed in, as time is: each scheduler has a generator of its own, so that a run can be
// repeated from its seed. The generator is Marsaglia's xorshift32 (Journal of Statistical Software 8(14),
// 2003), with the shifts 13, 17, 5: one word of state, and good enough to be fair, not to keep secrets.

export class Random {
  /** The first state: hand it to another generator to have the same numbers again. */
  readonly seed: number;
  #state: number;

  constructor(seed: number = Math.floor(Math.random() * 2 ** 32)) {
    this.seed = seed >>> 0;
    // Neighbouring seeds must not begin alike, and zero is the one state that never changes.
    this.#state = Math.imul(this.seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
  }

  /** A whole number from 0 to `count - 1`. */
  below(count: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    // A product, since a division costs four times as much; the high bits are the better ones, too.
    return Math.floor(((state >>> 0) * count) / 2 ** 32);
  }

  /** A number from 0 up to, not including, 1. */
  next(): number {
    return this.below(2 ** 32) / 2 ** 32;
  }
}
