// The reading side of a connection of the epoll reactor. The addon reads for those who wait, and says so in a
// record; whoever comes while there is something reads on the spot. At most one chunk is kept (N1).

import { Buffer } from 'node:buffer';
import { EpollSlot, ENDED, GONE, type Place, READS_LARGE, RESET, TELL_READABLE } from './epoll-slot.ts';
import type { EpollReactor } from './epoll.ts';
import { HOLDS, LARGE, READABLE, SAYS_READABLE, WANTED } from './native.ts';
import { systemError } from './system-error.ts';

/** When a read has brought so much, the next one goes straight into a buffer of this size of its own. */
const LARGE_READ = 16_384;
const LARGE_BUFFER = 65_536;

export abstract class EpollReader extends EpollSlot {
  declare writeError: Error | undefined;
  /** What came and was not taken. */
  declare protected chunk: Buffer | null;
  declare private readError: Error | null;

  constructor(reactor: EpollReactor, place: Place) {
    super(reactor, place);
    this.writeError = undefined;
    this.chunk = null;
    this.readError = null;
  }

  get isReadable(): boolean {
    if (this.hasNews) return true;
    if ((this.state & GONE) !== 0 || !this.mayReceive) return false;
    this.receive();
    return this.hasNews;
  }

  get isDirect(): boolean {
    return true;
  }

  read(): Buffer | null | undefined {
    const { chunk } = this;
    if (chunk !== null) {
      this.chunk = null;
      return chunk;
    }
    if ((this.state & ENDED) !== 0) return this.atEnd();
    if (!this.mayReceive) return undefined;
    this.receive();
    return this.hasNews ? this.read() : undefined;
  }

  readInto(buffer: Uint8Array): number | undefined {
    const { chunk } = this;
    if (chunk !== null) {
      const size = Math.min(chunk.byteLength, buffer.byteLength);
      buffer.set(size === chunk.byteLength ? chunk : chunk.subarray(0, size));
      this.chunk = size === chunk.byteLength ? null : chunk.subarray(size);
      return size;
    }
    if ((this.state & ENDED) === 0) {
      if (!this.mayReceive) return undefined;
      const size = this.reactor.native.read(this.slot, this.generation, buffer, 0, buffer.byteLength);
      if (this.noteRead(size)) return size;
      if (!this.hasNews) return undefined;
    }
    this.atEnd();
    return 0;
  }

  wantRead(intoOwnBuffer = false): void {
    if (this.hasNews) {
      if ((this.state & RESET) === 0) this.tellLater(TELL_READABLE);
      return;
    }
    const { flags } = this.reactor;
    const is = flags[this.slot]!;
    if ((is & WANTED) !== 0) return;
    if (this.mayReceive) {
      // Perhaps: whoever is told looks, and asks again if there is nothing.
      this.tellLater(TELL_READABLE);
      return;
    }
    const isLarge = intoOwnBuffer || (this.state & READS_LARGE) !== 0;
    flags[this.slot] = isLarge ? is | WANTED | LARGE : (is & ~LARGE) | WANTED;
    this.reactor.addHold();
  }

  /** What the addon has recorded; `tell` follows once the others have theirs. */
  record(result: number, offset: number): void {
    if (result > 0) {
      this.reactor.header[HOLDS]!--;
      this.chunk = this.reactor.takeInput(offset, result);
      if (result >= LARGE_READ) this.state |= READS_LARGE | TELL_READABLE;
      else this.state = (this.state & ~READS_LARGE) | TELL_READABLE;
    } else if (result > SAYS_READABLE) {
      this.reactor.header[HOLDS]!--;
      this.noteRead(result);
      this.state |= TELL_READABLE;
    } else if (result === SAYS_READABLE) {
      this.reactor.header[HOLDS]!--;
      this.state |= TELL_READABLE;
    } else {
      this.recordOutput(result, offset);
    }
  }

  protected abstract recordOutput(result: number, offset: number): void;

  protected abstract failWriting(error: Error): void;

  /** Bytes, the end or an error is there to be taken. */
  private get hasNews(): boolean {
    return this.chunk !== null || (this.state & ENDED) !== 0;
  }

  /** After a write that failed no edge is waited for: what has come is read, and then there is the error. */
  private get mayReceive(): boolean {
    return (this.reactor.flags[this.slot]! & READABLE) !== 0 || this.writeError !== undefined;
  }

  private atEnd(): null {
    if (this.readError !== null) throw this.readError;
    return null;
  }

  /** Reads what is there into `chunk`. */
  private receive(): void {
    const { reactor } = this;
    const isLarge = (this.state & READS_LARGE) !== 0;
    const buffer = isLarge ? Buffer.allocUnsafeSlow(LARGE_BUFFER) : reactor.input;
    const size = reactor.native.read(this.slot, this.generation, buffer, 0, LARGE_BUFFER);
    if (!this.noteRead(size)) return;
    if (!isLarge) this.chunk = reactor.takeInput(0, size);
    else if (size * 2 > LARGE_BUFFER) this.chunk = size === LARGE_BUFFER ? buffer : buffer.subarray(0, size);
    // A view would keep all of the large buffer for a small part.
    else this.chunk = Buffer.from(buffer.subarray(0, size));
    if (size >= LARGE_READ) this.state |= READS_LARGE;
    else this.state &= ~READS_LARGE;
  }

  /** Takes a read's result down; true if it brought bytes. */
  private noteRead(size: number): boolean {
    if (size > 0) return true;
    if (size === 0) {
      this.state |= ENDED;
      // The kernel gives each error once: it went to the writer, but it has cut the reader off, too.
      if (this.writeError !== undefined) this.readError = this.writeError;
    } else if (size !== -this.reactor.again) {
      this.state |= ENDED;
      this.readError = systemError(-size, 'read');
      this.failWriting(this.readError);
    } else if (this.writeError !== undefined) {
      this.state |= ENDED;
      this.readError = this.writeError;
    }
    this.leaveIfDone();
    return false;
  }
}
