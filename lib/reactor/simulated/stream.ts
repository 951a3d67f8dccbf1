// A connection in memory as a stream of Node's, for what only that can do, such as TLS (R12). It has of `net.Socket` what
// those ask for who go on with it.

import { Duplex } from 'node:stream';
import type { Socket, SocketOwner } from '../contract.ts';
import type { Deliveries } from './deliveries.ts';

type Done = (error?: Error | null) => void;

/** The end that it stands on. */
interface End extends Socket {
  unacknowledged(): number;
  /** As `release`, without what the peer has no room for. */
  close(): void;
}

export class MemoryStream extends Duplex implements SocketOwner {
  readonly #socket: End;
  readonly #deliveries: Deliveries;
  /** Waits until the peer has room for what was written. */
  #onTaken: Done | null = null;

  constructor(socket: End, deliveries: Deliveries) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#deliveries = deliveries;
    deliveries.holdTime();
    socket.owner = this;
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress.host || undefined;
  }

  get localPort(): number | undefined {
    return this.#socket.localAddress.port || undefined;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress.host || undefined;
  }

  get remotePort(): number | undefined {
    return this.#socket.remoteAddress.port || undefined;
  }

  /** Bytes that the peer has not taken. */
  get unacknowledged(): number {
    return this.#socket.unacknowledged();
  }

  resetAndDestroy(): this {
    this.#socket.reset();
    return this.destroy();
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  onReadable(): void {
    this.#deliveries.holdTime();
    try {
      for (let data; (data = this.#socket.read()) !== undefined;) {
        if (!this.push(data) || data === null) return;
      }
      this.#socket.wantRead();
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  onSent(): void {
    this.#deliveries.holdTime();
    const { writeError, sent, written } = this.#socket;
    const onTaken = this.#onTaken;
    if (writeError !== undefined && onTaken === null) {
      this.destroy(writeError);
      return;
    }
    if (onTaken === null) return;
    if (writeError === undefined && sent < written) {
      this.#socket.wantSent();
      return;
    }
    this.#onTaken = null;
    onTaken(writeError ?? null);
  }

  override _read(): void {
    this.#socket.wantRead();
  }

  override _write(chunk: Buffer, _: BufferEncoding, onTaken: Done): void {
    this.#deliveries.holdTime();
    this.#socket.write(chunk, false);
    this.#socket.flush();
    this.#await(onTaken);
  }

  override _final(onTaken: Done): void {
    this.#deliveries.holdTime();
    this.#socket.end();
    this.#await(onTaken);
  }

  override _destroy(error: Error | null, onDestroyed: Done): void {
    // As with one of Node's: what waits goes out after an end, and is dropped without one.
    if (this.writableEnded && error === null) {
      this.#socket.keep();
      this.#socket.release();
    } else {
      this.#socket.close();
    }
    const onTaken = this.#onTaken;
    this.#onTaken = null;
    onTaken?.(error ?? new Error('the stream was destroyed'));
    onDestroyed(error);
  }

  #await(onTaken: Done): void {
    const { writeError, sent, written } = this.#socket;
    if (writeError !== undefined || sent === written) {
      onTaken(writeError ?? null);
      return;
    }
    this.#onTaken = onTaken;
    this.#socket.wantSent();
  }
}
