// What a client has sent and the parser has not got yet, cut for it. Node's parser runs through all that it is given,
// so what must not be parsed yet must not be given to it. Invariant: at most one request begins in a slice, and what
// stands behind a request is in another slice than its end. Where a slice is cut changes nothing for the parser.
//
//   GET /a … CRLF CRLF │ POST /b … CRLF CRLF │ its body, by Content-Length │ GET /c …
//                      └ a chunked body ends, as each of its trailers does, with CRLF CRLF too

const END = '\r\n\r\n';
const END_BYTES = Buffer.from(END);
const CR = 13;
const LF = 10;

/** After these the connection speaks another protocol, and answers could not follow any more. */
const CHANGES_PROTOCOL = /^CONNECT |\nupgrade[ \t]*:/i;

export class Slices {
  /** Null when there is nothing. */
  #bytes: Buffer | null = null;
  /** The last bytes that were given out, as text, where they may be the beginning of an `END`. */
  #tail = '';
  /** A part of a head was given out, and the rest was not. */
  #isInHead = false;

  get length(): number {
    return this.#bytes === null ? 0 : this.#bytes.byteLength;
  }

  get isInHead(): boolean {
    return this.#isInHead;
  }

  append(bytes: Buffer): void {
    this.#bytes = this.#bytes === null ? bytes : Buffer.concat([this.#bytes, bytes]);
  }

  /** All that there is, uncut. */
  takeAll(): Buffer | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes;
  }

  /** A head, or as much of it as there is; null for nothing but the empty lines that may stand before one. */
  takeHead(): Buffer | null {
    if (!this.#isInHead) this.#skipEmptyLines();
    if (this.#bytes === null) return null;
    const end = this.#find();
    this.#isInHead = end === -1;
    return this.#take(end === -1 ? this.length : end, end !== -1);
  }

  /** A head that is whole, and after which the connection still speaks HTTP. */
  takeNextHead(): Buffer | null {
    this.#skipEmptyLines();
    if (this.#bytes === null) return null;
    const end = this.#find();
    if (end === -1 || CHANGES_PROTOCOL.test(this.#bytes.toString('latin1', 0, end))) return null;
    return this.#take(end, true);
  }

  /** Of a body of which `size` bytes are due; with 0, of one that is chunked. */
  takeBody(size: number): Buffer | null {
    if (this.#bytes === null) return null;
    if (size > 0) return this.#take(Math.min(size, this.length), true);
    const end = this.#find();
    return this.#take(end === -1 ? this.length : end, end !== -1);
  }

  /** Where the first `END` ends; -1 if there is none. It may have begun in what was given out. */
  #find(): number {
    const bytes = this.#bytes!;
    if (this.#tail !== '') {
      const at = (this.#tail + bytes.toString('latin1', 0, END.length - 1)).indexOf(END);
      if (at !== -1) return at + END.length - this.#tail.length;
    }
    const at = bytes.indexOf(END_BYTES);
    return at === -1 ? -1 : at + END.length;
  }

  #take(size: number, isCut: boolean): Buffer {
    const bytes = this.#bytes!;
    const slice = size === bytes.byteLength ? bytes : bytes.subarray(0, size);
    this.#bytes = size === bytes.byteLength ? null : bytes.subarray(size);
    const keep = END.length - 1;
    if (isCut) this.#tail = '';
    else this.#tail = (this.#tail + slice.toString('latin1', Math.max(0, size - keep))).slice(-keep);
    return slice;
  }

  /** The parser skips them as well; but they are no beginning of a request. */
  #skipEmptyLines(): void {
    const bytes = this.#bytes;
    if (bytes === null || (bytes[0] !== CR && bytes[0] !== LF)) return;
    let at = 1;
    while (bytes[at] === CR || bytes[at] === LF) at++;
    this.#bytes = at === bytes.byteLength ? null : bytes.subarray(at);
  }
}
