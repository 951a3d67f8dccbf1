// A connection over a stream of Node's: a `net.Socket`, one with TLS upon it, or any other Duplex. It reads by one permanent
// 'data' listener, paused only when a chunk comes unasked, since pausing per read costs more than the read. What a turn writes
// is joined into one `stream.write`, and at most one waits inside Node, so that `sent` follows the kernel.
// Invariants: the bytes that have come are given before the end or the error that followed them, and these come again and
// again (R2). A stream may do anything inside of a call of ours, such as give data or throw: the owner is told after it (R1).
//
//   write ──► #output ── gather, at most 64 KiB ──► stream.write ── taken at once? ── yes ─► sent
//                                                       │ no                             ▲
//                                                       └─► in flight ──── callback ─────┘

import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { constants } from 'node:os';
import { type Carrier, type Endpoint, KEEP_ALIVE, type Socket, type SocketOwner } from '../contract.ts';
import type { Debtor } from '../peers.ts';
import { Pending } from '../pending.ts';
import { prematureClose, systemError } from '../system-error.ts';
import type { StreamHost } from './stream-host.ts';

const NOTHING = Buffer.alloc(0);

/** What has come from a stream and was not taken. */
class Received {
  /** Follows the bytes. */
  error: Error | undefined;
  /** Follows them, unless there is an error. */
  hasEnded = false;
  #chunk: Buffer | null = null;
  /** The chunks behind it, of which there are rarely any. */
  readonly #more: Buffer[] = [];

  get isReadable(): boolean {
    return this.#chunk !== null || this.hasEnded || this.error !== undefined;
  }

  take(): Buffer | null | undefined {
    const chunk = this.#chunk;
    if (chunk !== null) {
      this.#chunk = this.#more.shift() ?? null;
      return chunk;
    }
    if (this.error !== undefined) throw this.error;
    return this.hasEnded ? null : undefined;
  }

  takeInto(buffer: Uint8Array): number | undefined {
    const chunk = this.#chunk;
    if (chunk !== null && chunk.byteLength > buffer.byteLength) {
      buffer.set(chunk.subarray(0, buffer.byteLength));
      this.#chunk = chunk.subarray(buffer.byteLength);
      return buffer.byteLength;
    }
    const data = this.take();
    if (!data) return data === null ? 0 : undefined;
    buffer.set(data);
    return data.byteLength;
  }

  add(chunk: Buffer): void {
    if (this.#chunk === null) this.#chunk = chunk;
    else this.#more.push(chunk);
  }

  /** Gives up the bytes: all there are, as one. */
  clear(): Buffer | null {
    const chunk = this.#chunk;
    const all = chunk !== null && this.#more.length > 0 ? Buffer.concat([chunk, ...this.#more]) : chunk;
    this.#chunk = null;
    this.#more.length = 0;
    return all;
  }
}

export class StreamSocket implements Socket, Debtor {
  owner: SocketOwner | null = null;
  localAddress: Endpoint;
  remoteAddress: Endpoint;
  written: number;
  sent: number;
  writeError: Error | undefined;
  keepAlive = KEEP_ALIVE;
  readonly #host: StreamHost;
  readonly #stream: Duplex;
  /** What carries the stream, or is it; null for a stream that knows nothing of networks. */
  readonly #carrier: net.Socket | null;
  readonly #received = new Received();
  /** Written and not yet in flight. */
  readonly #output = new Pending();
  #inFlight = 0;
  /** Bytes that were to be written and never will be. */
  #lost = 0;
  #wantsRead = false;
  #wantsSent = false;
  /** `flushTurn` will be called. */
  #isDirty = false;
  /** `sent` has grown and the owner does not know. */
  #hasNews = false;
  /** The stream is being called, and may answer on the spot. */
  #isCalling = false;
  #isEnding = false;
  /** `end` has reached Node. */
  #isShut = false;
  #isReset = false;
  /** Bytes that had come at the last look for dead peers. */
  #heard = -1;
  /** Bytes of which it is known that the peer has them. */
  #acknowledged = 0;

  constructor(host: StreamHost, stream: Duplex, carrier: Carrier) {
    const { socket, sent = 0 } = carrier;
    this.#host = host;
    this.#stream = stream;
    this.#carrier = socket;
    this.written = sent;
    this.sent = sent;
    this.localAddress = carrier.localAddress;
    this.remoteAddress = carrier.remoteAddress;
    socket?.unref();
    // Else the listener would have it read at once.
    stream.pause();
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('error', this.#onError);
    // Whoever else has the stream may just destroy it.
    stream.on('close', this.#onClose);
    if (stream !== socket) stream.on('finish', this.#onFinish);
    if (isTcp(socket)) {
      host.debtors.add(this);
      host.deadPeers.watch();
    }
    // What came before there was a listener does not come again.
    this.#received.hasEnded = stream.readableEnded;
  }

  // What comes.

  get isReadable(): boolean {
    return this.#received.isReadable;
  }

  get isDirect(): boolean {
    return false;
  }

  read(): Buffer | null | undefined {
    return this.#received.take();
  }

  readOrWant(): Buffer | null | undefined {
    const data = this.#received.take();
    if (data === undefined) this.wantRead();
    return data;
  }

  readInto(buffer: Uint8Array): number | undefined {
    return this.#received.takeInto(buffer);
  }

  wantRead(): void {
    if (this.#wantsRead || this.#isReset) return;
    this.#wantsRead = true;
    this.#host.holds.add();
    if (this.isReadable) queueMicrotask(() => this.#tellReader());
    if (this.#stream.isPaused() || this.#stream.readableFlowing === null) this.#stream.resume();
  }

  unwantRead(): void {
    if (!this.#wantsRead) return;
    this.#wantsRead = false;
    this.#host.holds.remove();
  }

  // What goes.

  get position(): number {
    return this.written + this.#lost;
  }

  get waiting(): number {
    return this.written - this.sent + this.#lost;
  }

  unacknowledged(): number | undefined {
    const queued = this.#host.queued(this.#carrier ?? this.#stream);
    return queued === undefined ? undefined : this.written - this.sent + queued;
  }

  wantSent(): void {
    if (this.#isReset) return;
    this.#wantsSent = true;
    if (this.written > this.sent) return;
    this.#hasNews = true;
    this.#later();
  }

  write(bytes: Uint8Array, isOwned: boolean): void {
    if (bytes.byteLength === 0) return;
    if (this.writeError !== undefined || this.#isReset) {
      this.#lost += bytes.byteLength;
      return;
    }
    if (this.written === this.sent) this.#host.holds.add();
    this.written += bytes.byteLength;
    this.#output.push(bytes, isOwned);
    if (this.#inFlight === 0) this.#later();
  }

  writeCopy(data: string | Uint8Array): number {
    const bytes = Buffer.from(data as string);
    this.write(bytes, true);
    return bytes.byteLength;
  }

  keep(): void {
    this.#output.keep();
  }

  flush(): void {
    this.#pump();
    if (this.#hasNews) this.#later();
  }

  /** The end of a turn: hands over what it has written, and tells the owner what the kernel took. */
  flushTurn(): void {
    this.#isDirty = false;
    this.#pump();
    if (!this.#hasNews) return;
    this.#hasNews = false;
    if (!this.#wantsSent) return;
    this.#wantsSent = false;
    this.owner?.onSent();
  }

  end(): void {
    this.#isEnding = true;
    this.flush();
  }

  // The socket itself.

  setNoDelay(on: boolean): void {
    this.#carrier?.setNoDelay(on);
  }

  silence(): number {
    const { bytesRead } = this.#carrier!;
    // A peer that is heard from is there.
    const isHeard = bytesRead !== this.#heard;
    this.#heard = bytesRead;
    const mayOwe = this.#acknowledged !== this.written || this.#isShut;
    if (isHeard || !mayOwe || this.writeError !== undefined) return 0;
    const silence = this.#host.silence(this.#carrier!);
    if (silence < 0) this.#acknowledged = this.sent;
    return Math.max(0, silence);
  }

  expire(): void {
    this.#onError(systemError(constants.errno.ETIMEDOUT, 'write'));
    this.#carrier!.resetAndDestroy();
    this.#stream.destroy();
  }

  setKeepAlive(delay: number): void {
    this.keepAlive = delay;
    // Node counts whole seconds and takes less than one for none.
    this.#carrier?.setKeepAlive(delay > 0, Math.min(Math.max(delay, 1_000), 2_147_483_647));
  }

  reset(): void {
    if (this.#isReset) return;
    // Node has RST for TCP alone, and after a shutdown libuv refuses it (EINVAL) and Node then leaks the
    // handle; closing with unread input sends it then as well.
    const canReset = isTcp(this.#carrier) && !this.#isShut;
    this.#giveUp();
    if (canReset) this.#carrier!.resetAndDestroy();
    this.#stream.destroy();
  }

  release(): void {
    if (this.#isReset) return;
    this.#giveUp();
    this.#stream.destroy();
  }

  detach(): Duplex {
    const stream = this.#stream;
    const unread = this.#received.clear();
    stream.pause();
    stream.off('data', this.#onData);
    stream.off('end', this.#onEnd);
    stream.off('error', this.#onError);
    stream.off('close', this.#onClose);
    stream.off('finish', this.#onFinish);
    this.#host.debtors.delete(this);
    this.#handOverAll();
    this.#isReset = true;
    this.owner = null;
    this.unwantRead();
    this.#dropOutput();
    if (this.#received.hasEnded && this.#isShut) stream.destroy();
    else if (unread !== null) stream.unshift(unread);
    this.#received.hasEnded = true;
    this.#carrier?.ref();
    return stream;
  }

  // What the stream says.

  readonly #onData = (chunk: Buffer): void => {
    this.#received.add(chunk);
    if (!this.#wantsRead || this.#isCalling) {
      this.#stream.pause();
      if (this.#isCalling) queueMicrotask(() => this.#tellReader());
      return;
    }
    this.#host.beginBatch();
    try {
      this.#tellReader();
    } finally {
      this.#host.endBatch();
    }
  };

  /**
   * libuv takes a reset for an end if bytes have come just before it. The kernel tells whoever writes, even
   * nothing; what is in flight has failed by the end of this event. After our own end nobody can tell.
   */
  readonly #onEnd = (): void => {
    const mayAsk = this.#stream === this.#carrier && isTcp(this.#carrier) && !this.#isShut;
    if (!mayAsk) this.#tellEnd();
    else if (this.#inFlight > 0) setImmediate(this.#tellEnd);
    else this.#stream.write(NOTHING, this.#tellEnd);
  };

  readonly #tellEnd = (error?: Error | null): void => {
    if (error || this.#received.error !== undefined) return;
    this.#received.hasEnded = true;
    this.#tellReader();
    if (this.#stream !== this.#carrier) this.#onFinish();
  };

  /** Both directions have ended, and a stream without `autoDestroy` would stay. */
  readonly #onFinish = (): void => {
    if (this.#received.hasEnded && this.#isShut && this.#stream.writableFinished) this.#stream.destroy();
  };

  /** Node destroys a stream on its first error: what was read before it can still be taken. */
  readonly #onError = (error: Error): void => {
    if (this.#isReset) return;
    if (this.#isCalling) {
      queueMicrotask(() => this.#onError(error));
      return;
    }
    // What is still in Node's own buffer came before the error; `read` gives it, and may emit it as well.
    this.#stream.off('data', this.#onData);
    for (let rest; (rest = this.#stream.read() as Buffer | null) !== null;) this.#received.add(rest);
    if (!this.#received.hasEnded) this.#received.error ??= error;
    this.#failWriting(error);
    this.#tellReader();
  };

  readonly #onClose = (): void => {
    this.#host.debtors.delete(this);
    if (this.#received.hasEnded && this.#isShut && this.written === this.sent) return;
    if (this.#received.hasEnded) this.#failWriting(prematureClose());
    else this.#onError(prematureClose());
  };

  #giveUp(): void {
    this.#isReset = true;
    this.owner = null;
    this.unwantRead();
    this.#dropOutput();
    this.#received.clear();
  }

  #tellReader(): void {
    if (!this.#wantsRead || !this.isReadable) return;
    this.unwantRead();
    this.owner?.onReadable();
  }

  /** Hands pieces over until one is not taken at once, or none is left. */
  #pump(): void {
    if (this.#inFlight > 0 || this.#isReset) return;
    const stream = this.#stream;
    for (let piece; (piece = this.#nextPiece()) !== undefined;) {
      const size = piece.byteLength;
      this.#inFlight = size;
      if (stream !== this.#carrier) {
        this.#call(() => stream.write(piece, this.#onWritten));
        return;
      }
      stream.write(piece);
      if (stream.writableLength > 0 || stream.errored !== null || stream.destroyed) {
        // Only now a callback, by way of an empty write: it costs a tick, and most writes are taken at once.
        // Other streams may show an empty write to somebody.
        if (stream.errored === null && !stream.destroyed) stream.write(NOTHING, this.#onWritten);
        return;
      }
      this.#inFlight = 0;
      this.#taken(size);
    }
    if (!this.#isEnding || this.#isShut || stream.destroyed) return;
    this.#isShut = true;
    this.#call(() => stream.end());
  }

  /** Calls the stream. What it throws is its error, and what it does meanwhile is told later (R1). */
  #call(method: () => void): void {
    this.#isCalling = true;
    try {
      method();
    } catch (error) {
      this.#stream.destroy(error as Error);
    } finally {
      this.#isCalling = false;
    }
  }

  #nextPiece(): Uint8Array | undefined {
    try {
      return this.#output.take();
    } catch (error) {
      this.#stream.destroy(error as Error);
      return undefined;
    }
  }

  #taken(size: number): void {
    this.sent += size;
    this.#hasNews = true;
    if (this.sent === this.written) this.#host.holds.remove();
  }

  readonly #onWritten = (error?: Error | null): void => {
    const size = this.#inFlight;
    this.#inFlight = 0;
    // A failed write has its own 'error' event, and a reset has dropped everything.
    if (error || this.#isReset || this.writeError !== undefined) return;
    this.#taken(size);
    this.flushTurn();
  };

  #later(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#host.flushLater(this);
  }

  #failWriting(error: Error): void {
    if (this.#isReset || this.writeError !== undefined) return;
    this.writeError = error;
    this.#dropOutput();
    this.owner?.onSent();
  }

  #dropOutput(): void {
    this.#output.clear();
    if (this.written > this.sent) this.#host.holds.remove();
    this.#lost += this.written - this.sent;
    this.written = this.sent;
  }

  /** Hands over all that waits, however much it is. */
  #handOverAll(): void {
    this.flush();
    for (let piece; (piece = this.#output.take()) !== undefined;) this.#stream.write(piece);
  }
}

function isTcp(carrier: net.Socket | null): carrier is net.Socket {
  return carrier !== null && carrier.localFamily !== undefined;
}
