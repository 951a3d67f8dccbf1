// Buffers for those who pass bytes on and keep none. One is taken when bytes are there, not while they are waited for,
// and given back once the kernel has them: so a relay of many connections has few of them, and a busy one does not
// have memory made for each chunk.

import { Buffer } from 'node:buffer';

/** So much is read at a time: of two, one is written while the other is in the processor's cache. */
const SIZE = 131_072;
/** Buffers that are kept for the next who needs one. */
const MOST_SPARE = 8;

const spare: Buffer[] = [];

/** A buffer, as long as it is needed. If it is never given back, because somebody may still read it, it is collected. */
export class Loan {
  #buffer: Buffer | null = null;

  take(): Buffer {
    return (this.#buffer ??= spare.pop() ?? Buffer.allocUnsafeSlow(SIZE));
  }

  give(): void {
    if (this.#buffer !== null && spare.length < MOST_SPARE) spare.push(this.#buffer);
    this.#buffer = null;
  }
}
