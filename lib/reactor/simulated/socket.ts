// One end of a connection in memory. Invariants: bytes arrive in order, and no more of them than the window has room for
// until the reader takes some; bytes that have arrived come before the end or the reset that followed them (R2).
//
//   write ──► #pending ── at the end of the turn, or `flush` ──► the window of the other end ──► read
//                 ▲                                                        │
//                 └────────────── there is room again: more ◄──────────────┘

import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Endpoint, Socket, SocketOwner } from '../contract.ts';
import { Pending } from '../pending.ts';
import { systemError } from '../system-error.ts';
import type { Deliveries } from './deliveries.ts';
import { MemoryStream } from './stream.ts';

/** Bytes that one end takes in before its reader takes some. */
export const WINDOW = 65_536;

const { ECONNRESET, EPIPE } = constants.errno;

export interface Place {
  readonly localAddress: Endpoint;
  readonly remoteAddress: Endpoint;
  readonly deliveries: Deliveries;
}

export class MemorySocket implements Socket {
  owner: SocketOwner | null = null;
  /** Called once, when the connection is gone. */
  onGone: () => void = () => {};
  localAddress: Endpoint;
  remoteAddress: Endpoint;
  written = 0;
  sent = 0;
  writeError: Error | undefined;
  readonly isDirect = false;
  readonly #place: Place;
  /** Null once it is gone, or never heard of this end any more. */
  #peer: MemorySocket | null = null;
  #pending = new Pending();
  /** Bytes that were to be written and never will be. */
  #lost = 0;
  /** What has arrived and was not read. */
  #window: Buffer[] = [];
  #size = 0;
  /** Follows the bytes: the peer's end, or what has broken the connection. */
  #hasEnded = false;
  #readError: Error | undefined;
  #wantsRead = false;
  #wantsSent = false;
  /** `end` was called; and the peer knows. */
  #isEnding = false;
  #isShut = false;
  /** Nobody is called back any more. */
  #isClosed = false;
  #isGone = false;
  #isPumping = false;
  /** What was said last is about to be told. */
  #isTellingReader = false;
  #isTellingWriter = false;

  constructor(place: Place) {
    this.#place = place;
    this.localAddress = place.localAddress;
    this.remoteAddress = place.remoteAddress;
  }

  static connect(one: MemorySocket, other: MemorySocket): void {
    one.#peer = other;
    other.#peer = one;
  }

  get isReadable(): boolean {
    return this.#size > 0 || this.#hasEnded || this.#readError !== undefined;
  }

  /** Whether nothing is left of it, but what was not read. */
  get isGone(): boolean {
    return this.#isGone;
  }

  get position(): number {
    return this.written + this.#lost;
  }

  get waiting(): number {
    return this.written - this.sent + this.#lost;
  }

  unacknowledged(): number {
    return this.#isClosed ? 0 : this.written - this.sent;
  }

  read(): Buffer | null | undefined {
    if (this.#size === 0) {
      if (this.#readError !== undefined) throw this.#readError;
      return this.#hasEnded ? null : undefined;
    }
    const [first] = this.#window;
    const data = this.#window.length === 1 ? first! : Buffer.concat(this.#window, this.#size);
    this.#window = [];
    this.#hasTaken(data.byteLength);
    return data;
  }

  readOrWant(): Buffer | null | undefined {
    const data = this.read();
    if (data === undefined) this.wantRead();
    return data;
  }

  readInto(buffer: Uint8Array): number | undefined {
    if (this.#size === 0) return this.read() === null ? 0 : undefined;
    let filled = 0;
    while (filled < buffer.byteLength && this.#window.length > 0) {
      const first = this.#window[0]!;
      const part = first.subarray(0, buffer.byteLength - filled);
      buffer.set(part, filled);
      filled += part.byteLength;
      if (part.byteLength === first.byteLength) this.#window.shift();
      else this.#window[0] = first.subarray(part.byteLength);
    }
    this.#hasTaken(filled);
    return filled;
  }

  wantRead(): void {
    if (this.#isClosed) return;
    this.#wantsRead = true;
    if (this.isReadable) this.#tellReader();
  }

  unwantRead(): void {
    this.#wantsRead = false;
  }

  wantSent(): void {
    if (this.#isClosed) return;
    this.#wantsSent = true;
    if (this.written === this.sent) this.#tellWriter();
  }

  write(bytes: Uint8Array, isOwned: boolean): void {
    if (bytes.byteLength === 0) return;
    if (this.#isClosed || this.#isEnding || this.writeError !== undefined) {
      this.#lost += bytes.byteLength;
      return;
    }
    this.written += bytes.byteLength;
    this.#pending.push(bytes, isOwned);
    this.#pumpLater();
  }

  writeCopy(data: string | Uint8Array): number {
    const bytes = Buffer.from(data as string);
    this.write(bytes, true);
    return bytes.byteLength;
  }

  keep(): void {
    this.#pending.keep();
  }

  flush(): void {
    this.#pump();
  }

  end(): void {
    this.#isEnding = true;
    this.#pump();
  }

  reset(): void {
    if (this.#isClosed) return;
    const isUnread = this.#size > 0;
    this.#close();
    this.#drop();
    const peer = this.#peer;
    // A Unix socket knows no reset: it looks like an end, unless something was not read.
    if (this.localAddress.path === '' || isUnread) peer?.break(ECONNRESET);
    else peer?.hang();
    this.#leave();
  }

  release(): void {
    if (this.#isClosed) return;
    if (this.#size > 0) {
      this.reset();
      return;
    }
    this.#close();
    this.end();
    this.#leaveIfDone();
  }

  /** As `release`, without what the peer has no room for. */
  close(): void {
    if (this.#size === 0) this.#drop();
    this.release();
  }

  detach(): Duplex {
    const inner = new MemorySocket(this.#place);
    if (!this.#isClosed) this.#moveTo(inner);
    const stream = new MemoryStream(inner, this.#place.deliveries);
    if (inner.#peer === null || (inner.#isShut && inner.#hasEnded && inner.#size === 0)) stream.destroy();
    return stream;
  }

  setNoDelay(): void {}

  setKeepAlive(): void {}

  /** Bytes of the peer, as many as there is room for; gives how many. */
  #arrive(bytes: Uint8Array): number {
    const part = Buffer.from(bytes.subarray(0, WINDOW - this.#size));
    if (part.byteLength === 0) return 0;
    this.#window.push(part);
    this.#size += part.byteLength;
    this.#tellReader();
    return part.byteLength;
  }

  /** The peer has ended its side. */
  #arriveEnd(): void {
    if (this.#readError === undefined) this.#hasEnded = true;
    this.#tellReader();
    this.#leaveIfDone();
  }

  /** The peer has reset the connection. */
  break(errno: number): void {
    if (!this.#hasEnded) this.#readError ??= systemError(errno, 'read');
    this.#failWriting(systemError(errno, 'write'));
    this.#tellReader();
    this.#leave();
  }

  /** The peer has closed a Unix socket. */
  hang(): void {
    this.#arriveEnd();
    this.#failWriting(systemError(EPIPE, 'write'));
    this.#leave();
  }

  #failWriting(error: Error): void {
    if (this.writeError !== undefined || (this.#isShut && this.written === this.sent)) return;
    this.writeError = error;
    this.#drop();
    this.#wantsSent = true;
    this.#tellWriter();
  }

  #hasTaken(size: number): void {
    this.#size -= size;
    if (this.#size === 0) this.#window = [];
    if (this.#peer !== null) this.#peer.#pumpLater();
    this.#leaveIfDone();
  }

  #pumpLater(): void {
    if (this.#isPumping || (this.#pending.isEmpty && !this.#isEnding)) return;
    this.#isPumping = true;
    this.#place.deliveries.send(this.#pumpNow);
  }

  readonly #pumpNow = (): void => {
    this.#isPumping = false;
    this.#pump();
  };

  /** Hands over what the window of the peer has room for. */
  #pump(): void {
    const peer = this.#peer;
    if (peer === null) return;
    if (peer.#isClosed && !this.#pending.isEmpty) {
      // Nobody is there to read it.
      this.break(ECONNRESET);
      return;
    }
    const before = this.sent;
    try {
      for (let piece; (piece = this.#pending.peek()) !== undefined;) {
        const size = peer.#arrive(piece);
        if (size === 0) break;
        this.#pending.drop(size);
        this.sent += size;
      }
    } catch (error) {
      // Memory that was taken away.
      this.#failWriting(error as Error);
      return;
    }
    if (this.sent > before) this.#tellWriter();
    if (!this.#isEnding || this.#isShut || !this.#pending.isEmpty) return;
    this.#isShut = true;
    peer.#arriveEnd();
    this.#leaveIfDone();
  }

  #drop(): void {
    this.#pending.clear();
    this.#lost += this.written - this.sent;
    this.written = this.sent;
  }

  #tellReader(): void {
    if (!this.#wantsRead || this.#isTellingReader) return;
    this.#isTellingReader = true;
    this.#place.deliveries.send(() => {
      this.#isTellingReader = false;
      if (!this.#wantsRead || !this.isReadable || this.#isClosed) return;
      this.#wantsRead = false;
      this.owner?.onReadable();
    });
  }

  #tellWriter(): void {
    if (!this.#wantsSent || this.#isTellingWriter) return;
    this.#isTellingWriter = true;
    this.#place.deliveries.send(() => {
      this.#isTellingWriter = false;
      if (!this.#wantsSent || this.#isClosed) return;
      this.#wantsSent = false;
      this.owner?.onSent();
    });
  }

  #close(): void {
    this.#isClosed = true;
    this.owner = null;
    this.#wantsRead = false;
    this.#wantsSent = false;
  }

  /** Both directions have ended, and nothing is left to be read or sent. */
  #leaveIfDone(): void {
    if (this.#isShut && (this.#isClosed || (this.#hasEnded && this.#size === 0))) this.#leave();
  }

  #leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.onGone();
  }

  #moveTo(inner: MemorySocket): void {
    const peer = this.#peer;
    inner.#peer = peer;
    if (peer !== null) peer.#peer = inner;
    inner.localAddress = this.localAddress;
    inner.remoteAddress = this.remoteAddress;
    inner.written = this.written;
    inner.sent = this.sent;
    inner.#lost = this.#lost;
    inner.writeError = this.writeError;
    inner.#pending = this.#pending;
    inner.#window = this.#window;
    inner.#size = this.#size;
    inner.#hasEnded = this.#hasEnded;
    inner.#readError = this.#readError;
    inner.#isEnding = this.#isEnding;
    inner.#isShut = this.#isShut;
    inner.#isGone = this.#isGone;
    inner.onGone = this.onGone;
    inner.#pending.keep();
    inner.#pumpLater();
    this.#pending = new Pending();
    this.#window = [];
    this.#size = 0;
    this.#peer = null;
    this.#isGone = true;
    this.written = this.sent;
    this.#close();
  }
}
