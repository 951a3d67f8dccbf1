// Output that waits for the kernel, oldest first. Bytes that are not owned are borrowed until they have gone,
// or until `keep` copies them.

/** The most that is handed over at once. */
const PIECE = 65_536;

interface Output {
  bytes: Uint8Array;
  isOwned: boolean;
  /** Of `bytes`, as long as nobody takes their memory away. */
  size: number;
}

export class Pending {
  /** A single owned piece that is all there is: mostly there is no more, and it needs no list. */
  #only: Output | null = null;
  #outputs: Output[] = [];
  /** Those before it have gone: a moving head, since a long queue must not be moved for each. */
  #head = 0;

  get isEmpty(): boolean {
    return this.#only === null && this.#head === this.#outputs.length;
  }

  push(bytes: Uint8Array, isOwned: boolean): void {
    if (mayBeWebAssembly(bytes)) {
      this.push(Buffer.from(bytes), true);
      return;
    }
    const output = { bytes, isOwned, size: bytes.byteLength };
    if (isOwned && this.isEmpty) {
      this.#only = output;
      return;
    }
    this.#list();
    this.#outputs.push(output);
  }

  keep(): void {
    for (let index = this.#head; index < this.#outputs.length; index++) {
      const output = this.#outputs[index]!;
      if (output.isOwned || output.bytes.byteLength < output.size) continue;
      output.bytes = Buffer.from(bytesOf(output));
      output.isOwned = true;
    }
  }

  clear(): void {
    this.#only = null;
    this.#outputs = [];
    this.#head = 0;
  }

  /**
   * The next bytes to send, at most `PIECE` unless they are one piece; they stay until `drop`.
   *
   * @throws TypeError if their memory was taken away
   */
  peek(): Uint8Array | undefined {
    if (this.#only !== null) return bytesOf(this.#only);
    const first = this.#outputs[this.#head];
    if (first === undefined) return undefined;
    if (first.size >= PIECE || this.#head + 1 === this.#outputs.length) return bytesOf(first);
    const pieces: Uint8Array[] = [];
    let size = 0;
    let index = this.#head;
    for (let output; size < PIECE && (output = this.#outputs[index]) !== undefined; index++) {
      const piece = bytesOf(output).subarray(0, PIECE - size);
      pieces.push(piece);
      size += piece.byteLength;
      if (piece.byteLength < output.size) {
        advance(output, piece.byteLength);
        break;
      }
    }
    const joined = Buffer.concat(pieces, size);
    this.#head = index - 1;
    this.#outputs[this.#head] = { bytes: joined, isOwned: true, size };
    return joined;
  }

  /** The next bytes, at most `PIECE`, for somebody who keeps them: a copy of what is borrowed. */
  take(): Uint8Array | undefined {
    const only = this.#only;
    if (only !== null && only.size <= PIECE) {
      this.#only = null;
      return bytesOf(only);
    }
    this.#list();
    const bytes = this.peek()?.subarray(0, PIECE);
    if (bytes === undefined) return undefined;
    const piece = this.#outputs[this.#head]!.isOwned ? bytes : Buffer.from(bytes);
    this.drop(bytes.byteLength);
    return piece;
  }

  /** The first `size` bytes have gone: at most as many as `peek` gave. */
  drop(size: number): void {
    this.#list();
    const first = this.#outputs[this.#head]!;
    if (size < first.size) {
      advance(first, size);
      return;
    }
    this.#head++;
    if (this.#head === this.#outputs.length) this.clear();
    else if (this.#head > 64 && this.#head * 2 > this.#outputs.length) {
      this.#outputs.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #list(): void {
    if (this.#only === null) return;
    this.#outputs.push(this.#only);
    this.#only = null;
  }
}

/** What WebAssembly counts its memory in. */
const PAGE = 65_536;

/**
 * Memory of WebAssembly that grows takes itself away from whoever has a view of it, although the bytes are where they were.
 * Nothing tells such memory from other of its size; a `Buffer` is rarely made of it.
 */
function mayBeWebAssembly(bytes: Uint8Array): boolean {
  return !(bytes instanceof Buffer) && bytes.buffer.byteLength % PAGE === 0;
}

function bytesOf({ bytes, size }: Output): Uint8Array {
  return sized(bytes, size);
}

/**
 * What was to be written, of memory that may have changed its size since.
 *
 * @throws TypeError if somebody has transferred or shrunk it
 */
export function sized(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.byteLength === size) return bytes;
  if (bytes.byteLength > size) return bytes.subarray(0, size);
  throw Object.assign(new TypeError(`the memory of ${size} bytes was taken away before they were written`), {
    code: 'ERR_INVALID_STATE',
  });
}

function advance(output: Output, size: number): void {
  output.bytes = output.bytes.subarray(size);
  output.size -= size;
}
