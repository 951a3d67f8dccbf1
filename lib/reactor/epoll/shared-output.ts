// The output that all connections of the epoll reactor share: what a turn has written, for one call that sends it.
// The pieces of a connection are a chain of entries; pieces that follow each other are one entry.
//
//   bytes    │ a a │ b b b │ a a a │ c │            entries   a: 0, 2 ─► next ─► a: 5, 3
//                                                             b: 2, 3
//                                                             c: 8, 1

import { Buffer } from 'node:buffer';
import { ENTRIES_USED, ENTRY, FLUSHES, IS_DELIVERING, OUTPUT_USED } from './addon.ts';

const SIZE = 262_144;
const ENTRIES = 2_048;

const settled = Promise.resolve();

/** Whoever writes into it, and what it has in there, if that was not sent since. */
export interface Contributor {
  readonly slot: number;
  readonly generation: number;
  /** Bytes. */
  gathered: number;
  /** The number of the flush that will send them. */
  flushes: number;
  firstEntry: number;
  lastEntry: number;
}

export class SharedOutput {
  readonly bytes = Buffer.from(new ArrayBuffer(SIZE));
  readonly entries = new Int32Array(ENTRIES * ENTRY);
  readonly #header: Int32Array;
  readonly #flush: () => void;
  /** A microtask will flush. */
  #isFlushing = false;

  constructor(header: Int32Array, flush: () => void) {
    this.#header = header;
    this.#flush = flush;
  }

  /** Makes room. That may flush, and then whoever is about to write may be blocked, or have failed. */
  makeRoom(size: number): void {
    const header = this.#header;
    if (header[OUTPUT_USED]! + size > SIZE || header[ENTRIES_USED] === ENTRIES) this.#flush();
  }

  /** Takes a copy of bytes, for which there is room. */
  add(from: Contributor, bytes: Uint8Array, size: number): void {
    const header = this.#header;
    const offset = header[OUTPUT_USED]!;
    header[OUTPUT_USED] = offset + size;
    this.bytes.set(bytes, offset);
    this.#enter(from, offset, size);
  }

  /** Takes text, for which there is room at three bytes a unit; gives its size. */
  addText(from: Contributor, text: string): number {
    const header = this.#header;
    const offset = header[OUTPUT_USED]!;
    const size = this.bytes.write(text, offset);
    header[OUTPUT_USED] = offset + size;
    if (size > 0) this.#enter(from, offset, size);
    return size;
  }

  /** A copy of what the flush that has just been did not send. */
  restOf(from: Contributor, sent: number): Buffer {
    const { entries, bytes } = this;
    const pieces: Uint8Array[] = [];
    let skip = sent;
    for (let entry = from.firstEntry; ;) {
      const at = entry * ENTRY;
      const length = entries[at + 3]!;
      if (skip < length) pieces.push(bytes.subarray(entries[at + 2]! + skip, entries[at + 2]! + length));
      skip = Math.max(0, skip - length);
      if (entry === from.lastEntry) return Buffer.concat(pieces);
      entry = entries[at + 4]!;
    }
  }

  /** These bytes are to be sent. */
  #enter(from: Contributor, offset: number, size: number): void {
    const { entries } = this;
    const flushes = this.#header[FLUSHES]!;
    if (from.flushes !== flushes || from.gathered === 0) {
      from.gathered = size;
      from.flushes = flushes;
      from.firstEntry = from.lastEntry = this.#newEntry(from.slot, from.generation, offset, size);
      return;
    }
    from.gathered += size;
    const at = from.lastEntry * ENTRY;
    if (offset === entries[at + 2]! + entries[at + 3]!) {
      entries[at + 3] = entries[at + 3]! + size;
      return;
    }
    from.lastEntry = entries[at + 4] = this.#newEntry(~from.slot, from.generation, offset, size);
  }

  #newEntry(slot: number, generation: number, offset: number, size: number): number {
    const { entries } = this;
    const header = this.#header;
    const entry = header[ENTRIES_USED]!;
    header[ENTRIES_USED] = entry + 1;
    const at = entry * ENTRY;
    entries[at] = slot;
    entries[at + 1] = generation;
    entries[at + 2] = offset;
    entries[at + 3] = size;
    entries[at + 4] = 0;
    // Within a delivery the addon sees to it.
    if (entry === 0 && header[IS_DELIVERING] === 0 && !this.#isFlushing) {
      this.#isFlushing = true;
      void settled.then(this.#flushLater);
    }
    return entry;
  }

  readonly #flushLater = (): void => {
    this.#isFlushing = false;
    if (this.#header[ENTRIES_USED]! > 0) this.#flush();
  };
}
