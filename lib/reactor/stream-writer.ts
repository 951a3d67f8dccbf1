// The half of a connection over a stream of Node's that writes: what a turn writes is joined into one `stream.write`,
// and at most one waits inside Node, so that `sent` follows the kernel. A stream may do anything inside of a call of
// ours, such as give data or throw: whoever looks at `isCalling` then tells the owner after the call (R1).
//
//   write ──► #output ── gather, at most 64 KiB ──► stream.write ── taken at once? ── yes ─► sent
//                                                       │ no                             ▲
//                                                       └─► in flight ──── callback ─────┘

import type net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Carrier, SocketOwner } from './contract.ts';
import { Pending } from './pending.ts';
import type { StreamHost } from './stream-host.ts';

export const NOTHING = Buffer.alloc(0);

export abstract class StreamWriter {
  owner: SocketOwner | null = null;
  written: number;
  sent: number;
  writeError: Error | undefined;
  protected readonly host: StreamHost;
  protected readonly stream: Duplex;
  /** What carries the stream, or is it; null for a stream that knows nothing of networks. */
  protected readonly carrier: net.Socket | null;
  /** The stream is being called, and may answer on the spot. */
  protected isCalling = false;
  /** `end` has reached Node. */
  protected isShut = false;
  protected isReset = false;
  protected inFlight = 0;
  /** Written and not yet in flight. */
  readonly #output = new Pending();
  /** `flushTurn` will be called. */
  #isDirty = false;
  /** `sent` has grown and the owner does not know. */
  #hasNews = false;
  #wantsSent = false;
  #isEnding = false;

  constructor(host: StreamHost, stream: Duplex, { socket, sent = 0 }: Carrier) {
    this.host = host;
    this.stream = stream;
    this.carrier = socket;
    this.written = sent;
    this.sent = sent;
  }

  unacknowledged(): number | undefined {
    const queued = this.host.queued(this.carrier ?? this.stream);
    return queued === undefined ? undefined : this.written - this.sent + queued;
  }

  wantSent(): void {
    if (this.isReset) return;
    this.#wantsSent = true;
    if (this.written > this.sent) return;
    this.#hasNews = true;
    this.#later();
  }

  write(bytes: Uint8Array, isOwned: boolean): void {
    if (bytes.byteLength === 0 || this.writeError !== undefined || this.isReset) return;
    if (this.written === this.sent) this.host.holds.add();
    this.written += bytes.byteLength;
    this.#output.push(bytes, isOwned);
    if (this.inFlight === 0) this.#later();
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

  /** Hands pieces over until one is not taken at once, or none is left. */
  #pump(): void {
    if (this.inFlight > 0 || this.isReset) return;
    const stream = this.stream;
    for (let piece; (piece = this.#nextPiece()) !== undefined;) {
      const size = piece.byteLength;
      this.inFlight = size;
      if (stream !== this.carrier) {
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
      this.inFlight = 0;
      this.#taken(size);
    }
    if (!this.#isEnding || this.isShut || stream.destroyed) return;
    this.isShut = true;
    this.#call(() => stream.end());
  }

  /** Calls the stream. What it throws is its error, and what it does meanwhile is told later (R1). */
  #call(method: () => void): void {
    this.isCalling = true;
    try {
      method();
    } catch (error) {
      this.stream.destroy(error as Error);
    } finally {
      this.isCalling = false;
    }
  }

  #nextPiece(): Uint8Array | undefined {
    try {
      return this.#output.take();
    } catch (error) {
      this.stream.destroy(error as Error);
      return undefined;
    }
  }

  #taken(size: number): void {
    this.sent += size;
    this.#hasNews = true;
    if (this.sent === this.written) this.host.holds.remove();
  }

  readonly #onWritten = (error?: Error | null): void => {
    const size = this.inFlight;
    this.inFlight = 0;
    // A failed write has its own 'error' event, and a reset has dropped everything.
    if (error || this.isReset || this.writeError !== undefined) return;
    this.#taken(size);
    this.flushTurn();
  };

  #later(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.host.flushLater(this);
  }

  protected failWriting(error: Error): void {
    if (this.isReset || this.writeError !== undefined) return;
    this.writeError = error;
    this.dropOutput();
    this.owner?.onSent();
  }

  protected dropOutput(): void {
    this.#output.clear();
    if (this.written > this.sent) this.host.holds.remove();
    this.written = this.sent;
  }

  /** Hands over all that waits, however much it is. */
  protected handOverAll(): void {
    this.flush();
    for (let piece; (piece = this.#output.take()) !== undefined;) this.stream.write(piece);
  }
}
