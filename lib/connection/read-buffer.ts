// Bytes that came and that nobody has taken yet, in one piece. A chunk that comes alone is kept as it is, and its
// frames are cut out of it; one that comes behind others is copied behind them, into memory that doubles. Memory
// is never moved or written again where something may have been handed out: only behind the end, or in a new
// piece. What was searched is not searched again. Little is never handed out, or kept for long, as a view of much.
//
//   │ handed out │ held: searched │ held: not yet │ room, if the memory is ours │
//                ▲ #start         ▲ + #searched   ▲ #end

const NOTHING = Buffer.alloc(0);

/** Bytes of the smallest memory of ours. */
const SMALLEST = 256;

/** A view may keep so many times as much memory as it shows. */
const PINNED = 4;

export class Held {
  #bytes: Buffer = NOTHING;
  #start = 0;
  #end = 0;
  /** The memory is ours, so what is behind the end can be written. */
  #isOurs = false;
  /** How many bytes are waited for; Infinity if nobody knows. */
  #wanted = Infinity;
  /** What was searched for last. */
  #delimiter: Buffer = NOTHING;
  /** It does not begin within so many of the first bytes. */
  #searched = 0;

  get size(): number {
    return this.#end - this.#start;
  }

  /** Whether so many bytes are there; if not, that is what memory is made for. */
  has(size: number): boolean {
    this.#wanted = size;
    return this.size >= size;
  }

  /** Where the delimiter begins, -1 if it is not there. */
  find(delimiter: Buffer): number {
    this.#wanted = Infinity;
    if (this.#delimiter !== delimiter) {
      if (!this.#delimiter.equals(delimiter)) this.#searched = 0;
      this.#delimiter = delimiter;
    }
    const filled = this.#end === this.#bytes.byteLength ? this.#bytes : this.#bytes.subarray(0, this.#end);
    const what = delimiter.byteLength === 1 ? delimiter[0]! : delimiter;
    const index = filled.indexOf(what, this.#start + this.#searched);
    if (index < 0) {
      this.#searched = Math.max(0, this.size - delimiter.byteLength + 1);
      return -1;
    }
    this.#searched = index - this.#start;
    return this.#searched;
  }

  byteAt(index: number): number | undefined {
    return this.#bytes[this.#start + index];
  }

  /** A number of that many bytes at the front; one beyond 2 ** 53 is about right. */
  numberAtFront(size: number, isLittleEndian: boolean): number {
    const bytes = this.#bytes;
    let result = 0;
    for (let place = 0; place < size; place++) {
      result = result * 256 + bytes[this.#start + (isLittleEndian ? size - 1 - place : place)]!;
    }
    return result;
  }

  /** So many bytes as text. */
  text(size: number): string {
    return this.#bytes.toString('utf8', this.#start, this.#start + size);
  }

  copy(size: number): Buffer {
    const copy = Buffer.allocUnsafe(size);
    this.#bytes.copy(copy, 0, this.#start, this.#start + size);
    return copy;
  }

  take(size: number): Buffer {
    let taken = this.#bytes;
    if (size < taken.byteLength) {
      const isLittle = size * PINNED < taken.buffer.byteLength;
      taken = isLittle ? this.copy(size) : taken.subarray(this.#start, this.#start + size);
    }
    this.skip(size);
    return taken;
  }

  /** Fills a buffer, as far as there is something; gives the number of bytes. */
  takeInto(buffer: Uint8Array): number {
    const size = this.#bytes.copy(buffer, 0, this.#start, this.#end);
    this.skip(size);
    return size;
  }

  skip(size: number): void {
    this.#start += size;
    this.#searched = Math.max(0, this.#searched - size);
    if (this.#start < this.#end) return;
    this.#become(NOTHING, false);
  }

  append(chunk: Buffer): void {
    if (this.size === 0) {
      this.#become(chunk, false);
      this.#end = chunk.byteLength;
      return;
    }
    const room = this.#isOurs ? this.#bytes.byteLength - this.#end : 0;
    if (chunk.byteLength > room) this.#move(this.size + chunk.byteLength);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.byteLength;
  }

  /** Puts a copy of bytes before all others. */
  prepend(bytes: Uint8Array): void {
    const { size } = this;
    const memory = Buffer.allocUnsafeSlow(bytes.byteLength + size);
    memory.set(bytes);
    this.#bytes.copy(memory, bytes.byteLength, this.#start, this.#end);
    this.#become(memory, true);
    this.#end = memory.byteLength;
    this.#searched = 0;
  }

  /** Nobody knows when more will come: until then, little does not keep much memory. */
  settle(): void {
    const { size } = this;
    const memory = this.#bytes.buffer.byteLength;
    if (size > 0 && memory > SMALLEST && size * PINNED < memory) this.#move(size);
  }

  /** Moves what is held to memory of ours: twice what is needed, so that n bytes cost 2n to move, or what is wanted. */
  #move(needed: number): void {
    const { size } = this;
    const memory = Buffer.allocUnsafeSlow(Math.max(SMALLEST, needed, Math.min(needed * 2, this.#wanted)));
    this.#bytes.copy(memory, 0, this.#start, this.#end);
    this.#become(memory, true);
    this.#end = size;
  }

  #become(bytes: Buffer, isOurs: boolean): void {
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = 0;
    this.#isOurs = isOurs;
  }
}
