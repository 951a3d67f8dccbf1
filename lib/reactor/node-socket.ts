// A connection over `net.Socket`. Reading: one permanent 'data' listener, paused only when a chunk comes
// unasked, since pausing and resuming per read costs more than the read. Writing: what is written in one
// turn is joined into one `socket.write`, and at most one waits inside Node, so that `sent` follows the kernel.
//
//   write ──► #output ── gather, at most 64 KiB ──► socket.write ── taken at once? ── yes ─► sent
//                                                       │ no                             ▲
//                                                       └─► in flight ──── callback ─────┘

import type net from 'node:net';
import type { Endpoint, Host, Socket, SocketOwner } from './contract.ts';
import type { Holds } from './holds.ts';
import { Pending } from './pending.ts';

const NOTHING = Buffer.alloc(0);

export interface SocketHost extends Host {
  readonly holds: Holds;
  /** Calls `socket.flushTurn()` at the end of the turn. */
  flushLater(socket: NodeSocket): void;
}

export class NodeSocket implements Socket {
  owner: SocketOwner | null = null;
  readonly localAddress: Endpoint;
  readonly remoteAddress: Endpoint;
  written = 0;
  sent = 0;
  writeError: Error | undefined;
  readonly #host: SocketHost;
  readonly #socket: net.Socket;
  /** What came and was not taken. */
  #chunk: Buffer | null = null;
  /** The chunks behind it, of which there are rarely any. */
  readonly #more: Buffer[] = [];
  #readError: Error | undefined;
  #hasEnded = false;
  #wantsRead = false;
  /** Written and not yet in flight. */
  readonly #output = new Pending();
  #inFlight = 0;
  /** `flushTurn` will be called. */
  #isDirty = false;
  /** `sent` has grown and the owner does not know. */
  #hasNews = false;
  #wantsSent = false;
  #isEnding = false;
  /** `end` has reached Node. */
  #isShut = false;
  #isReset = false;

  constructor(host: SocketHost, socket: net.Socket, path = '') {
    this.#host = host;
    this.#socket = socket;
    this.localAddress = endpoint(socket.localAddress, socket.localPort, path);
    this.remoteAddress = endpoint(socket.remoteAddress, socket.remotePort, path);
    socket.unref();
    socket.on('data', (chunk: Buffer) => {
      this.#keepChunk(chunk);
      if (!this.#wantsRead) {
        socket.pause();
        return;
      }
      host.beginBatch();
      this.#tellReader();
      host.endBatch();
    });
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#tellReader();
    });
    socket.on('error', (error) => this.#onError(error));
  }

  get isReadable(): boolean {
    return this.#chunk !== null || this.#hasEnded || this.#readError !== undefined;
  }

  read(): Buffer | null | undefined {
    const chunk = this.#chunk;
    if (chunk !== null) {
      this.#chunk = this.#more.length === 0 ? null : this.#more.shift()!;
      return chunk;
    }
    if (this.#readError !== undefined) throw this.#readError;
    return this.#hasEnded ? null : undefined;
  }

  readInto(buffer: Uint8Array): number | undefined {
    const chunk = this.#chunk;
    if (chunk !== null && chunk.byteLength > buffer.byteLength) {
      buffer.set(chunk.subarray(0, buffer.byteLength));
      this.#chunk = chunk.subarray(buffer.byteLength);
      return buffer.byteLength;
    }
    const data = this.read();
    if (!data) return data === null ? 0 : undefined;
    buffer.set(data);
    return data.byteLength;
  }

  wantRead(): void {
    if (this.#wantsRead || this.#isReset) return;
    this.#wantsRead = true;
    this.#host.holds.add();
    if (this.isReadable) queueMicrotask(() => this.#tellReader());
    if (this.#socket.isPaused() || this.#socket.readableFlowing === null) this.#socket.resume();
  }

  unwantRead(): void {
    if (!this.#wantsRead) return;
    this.#wantsRead = false;
    this.#host.holds.remove();
  }

  wantSent(): void {
    if (this.#isReset) return;
    this.#wantsSent = true;
    if (this.written > this.sent) return;
    this.#hasNews = true;
    this.#later();
  }

  write(bytes: Uint8Array, isOwned: boolean): void {
    if (bytes.byteLength === 0 || this.writeError !== undefined || this.#isReset) return;
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

  reset(): void {
    if (this.#isReset) return;
    this.#isReset = true;
    this.owner = null;
    this.unwantRead();
    this.#dropOutput();
    this.#chunk = null;
    this.#more.length = 0;
    // Node has RST for TCP alone, and after a shutdown libuv refuses it (EINVAL) and Node then leaks the
    // handle; closing with unread input sends it then as well.
    if (this.localAddress.path === '' && !this.#isShut) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  detach(): net.Socket {
    const socket = this.#socket;
    const chunks = this.#chunk === null ? [] : [this.#chunk, ...this.#more];
    socket.pause();
    for (const event of ['data', 'end', 'error']) socket.removeAllListeners(event);
    this.flush();
    for (let piece; (piece = this.#output.take()) !== undefined;) socket.write(piece);
    this.#isReset = true;
    this.owner = null;
    this.#chunk = null;
    this.#more.length = 0;
    this.unwantRead();
    this.#dropOutput();
    if (this.#hasEnded && this.#isShut) socket.destroy();
    else if (chunks.length > 0) socket.unshift(Buffer.concat(chunks));
    return socket.ref();
  }

  setNoDelay(on: boolean): void {
    this.#socket.setNoDelay(on);
  }

  setKeepAlive(delay: number): void {
    // Node counts whole seconds and takes less than one for none.
    this.#socket.setKeepAlive(delay > 0, Math.min(Math.max(delay, 1_000), 2_147_483_647));
  }

  /** Hands pieces over until one is not taken at once, or none is left. */
  #pump(): void {
    if (this.#inFlight > 0 || this.#isReset) return;
    const socket = this.#socket;
    for (let piece; (piece = this.#nextPiece()) !== undefined;) {
      socket.write(piece);
      if (socket.writableLength > 0 || socket.errored !== null || socket.destroyed) {
        this.#inFlight = piece.byteLength;
        // Only now a callback, by way of an empty write: it costs a tick, and most writes are taken at once.
        if (socket.errored === null && !socket.destroyed) socket.write(NOTHING, this.#onWritten);
        return;
      }
      this.#taken(piece.byteLength);
    }
    if (!this.#isEnding || this.#isShut || socket.destroyed) return;
    this.#isShut = true;
    socket.end();
  }

  #nextPiece(): Uint8Array | undefined {
    try {
      return this.#output.take();
    } catch (error) {
      this.#socket.destroy(error as Error);
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

  /** Node destroys a socket on its first error: what was read before it can still be taken. */
  #onError(error: Error): void {
    if (this.#isReset) return;
    // What is still in Node's own buffer came before the error.
    for (let rest; (rest = this.#socket.read() as Buffer | null) !== null;) this.#keepChunk(rest);
    this.#readError ??= error;
    if (this.writeError === undefined) {
      this.writeError = error;
      this.#dropOutput();
      this.owner?.onSent();
    }
    this.#tellReader();
  }

  #keepChunk(chunk: Buffer): void {
    if (this.#chunk === null) this.#chunk = chunk;
    else this.#more.push(chunk);
  }

  #dropOutput(): void {
    this.#output.clear();
    if (this.written > this.sent) this.#host.holds.remove();
    this.written = this.sent;
  }

  #tellReader(): void {
    if (!this.#wantsRead) return;
    this.unwantRead();
    this.owner?.onReadable();
  }
}

export function endpoint(host: string | undefined, port: number | undefined, path: string): Endpoint {
  return { host: host ?? '', port: port ?? 0, path };
}
