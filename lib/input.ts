// The reading side of a connection. One reader at a time, be it an operation or a `recv`: it claims the
// connection, is told when there is something, and takes it from the connection (N2); so bytes that
// arrived for a reader that was cancelled are there for the next one.

import { BusyError } from '../scheduler/errors.ts';
import { Leaf, type Suspension } from '../scheduler/operation.ts';
import type { Address } from './address.ts';
import type { IdleTimer } from './idle.ts';
import { atLeaf, checkCallback, guarded, ioError } from './io-error.ts';
import type { Socket } from './reactor/contract.ts';

/** Whoever waits for the connection to be readable. */
export interface Reader {
  /** Something can be taken, or the connection was closed. */
  onReadable(): void;
}

export class Input {
  readonly peer: Address;
  /** Whoever waits, until it has taken what came. */
  reader: Reader | null = null;
  bytesRead = 0;
  /** Hears of each byte; null while there is no idle timeout. */
  idle: IdleTimer | null = null;
  readonly #socket: Socket;
  /** Whether input is delivered: false after `EventLoop.del`. */
  #isAdded: boolean;
  /** Makes the error of whoever reads after the connection was closed. */
  #closed: (() => Error) | null = null;
  /** What `readInto` had no room for. */
  #rest: Buffer | null = null;

  constructor(socket: Socket, peer: Address, isAdded: boolean) {
    this.#socket = socket;
    this.peer = peer;
    this.#isAdded = isAdded;
  }

  setAdded(isAdded: boolean): void {
    if (this.#isAdded === isAdded) return;
    this.#isAdded = isAdded;
    if (this.reader === null) return;
    if (isAdded) this.await(this.reader);
    else this.#socket.unwantRead();
  }

  /** Takes what has come; undefined if nothing has. */
  take(): Buffer | null | undefined {
    if (this.#closed !== null) throw atLeaf(this.#closed());
    if (!this.#isAdded) return undefined;
    let data: Buffer | null | undefined = this.#rest;
    if (data !== null) {
      this.#rest = null;
      return data;
    }
    try {
      data = this.#socket.read();
    } catch (error) {
      throw ioError(error as Error, `reading from ${this.peer}`, this.peer);
    }
    if (data) {
      this.bytesRead += data.byteLength;
      this.idle?.touch();
    }
    return data;
  }

  /** Whether something waits to be taken. */
  get isReadable(): boolean {
    return this.#rest !== null || this.#socket.isReadable;
  }

  putBack(rest: Buffer): void {
    this.#rest = rest;
  }

  /** Tells the reader, later, when there is something to take. */
  await(reader: Reader): void {
    this.reader = reader;
    if (this.#closed === null && !this.#isAdded) return;
    if (this.#closed === null && !this.isReadable) this.#socket.wantRead();
    else queueMicrotask(() => this.reader === reader && reader.onReadable());
  }

  abandon(reader: Reader): void {
    if (this.reader !== reader) return;
    this.reader = null;
    this.#socket.unwantRead();
  }

  /** The connection was closed: whoever waits is told so (N7). */
  close(reason: () => Error): void {
    this.#closed = reason;
    this.#rest = null;
    if (this.reader === null) return;
    this.#socket.unwantRead();
    this.await(this.reader);
  }
}

abstract class InputOperation<T> extends Leaf<T> implements Reader {
  /** @internal */ declare input: Input;

  constructor(input: Input) {
    super();
    this.input = input;
  }

  /** Takes what is there; undefined when nothing is. */
  abstract take(): T | undefined;

  poll(): boolean {
    const { input } = this;
    if (input.reader !== null && input.reader !== this) throw busy(input);
    let isWaiting = false;
    try {
      const taken = this.take();
      isWaiting = taken === undefined;
      this.value = taken;
    } finally {
      if (!isWaiting && input.reader === this) input.reader = null;
    }
    return !isWaiting;
  }

  arm(): void {
    this.input.await(this);
  }

  disarm(): void {
    this.input.abandon(this);
  }

  onReadable(): void {
    this.notify();
  }

  describe(): string {
    return `reading from ${this.input.peer}`;
  }
}

/** The next bytes; null at the end of the stream. A connection has one and performs it again and again. */
export class ReadOperation extends InputOperation<Buffer | null> {
  /** @internal Created by `read()` and not performed yet. */
  declare isNew: boolean;

  constructor(input: Input) {
    super(input);
    this.isNew = false;
  }

  override next(sent?: unknown): IteratorResult<Suspension, Buffer | null> {
    this.isNew = false;
    return super.next(sent);
  }

  override enlist(): boolean {
    this.isNew = false;
    return true;
  }

  take(): Buffer | null | undefined {
    return this.input.take();
  }
}

/** As many bytes as there are and the buffer holds; 0 at the end of the stream. */
export class ReadIntoOperation extends InputOperation<number> {
  /** @internal */ declare buffer: Uint8Array;

  constructor(input: Input, buffer: Uint8Array) {
    super(input);
    this.buffer = buffer;
  }

  take(): number | undefined {
    const data = this.input.take();
    if (data === undefined) return undefined;
    if (data === null) return 0;
    const size = Math.min(data.byteLength, this.buffer.byteLength);
    this.buffer.set(data.subarray(0, size));
    if (size < data.byteLength) this.input.putBack(data.subarray(size));
    return size;
  }
}

export type OnData = (data: Buffer | null, error: Error | null) => void;

/** One `recv`: its callback is called once, never inside the call that registered it. */
export class Receipt implements Reader {
  readonly #input: Input;
  readonly #onData: OnData;

  constructor(input: Input, onData: OnData) {
    checkCallback(onData, 'recv');
    if (input.reader !== null) throw busy(input);
    this.#input = input;
    this.#onData = onData;
    input.await(this);
  }

  cancel(): void {
    this.#input.abandon(this);
  }

  onReadable(): void {
    let data: Buffer | null | undefined = null;
    let failure: Error | null = null;
    try {
      data = this.#input.take();
    } catch (error) {
      failure = error as Error;
    }
    if (data === undefined) {
      this.#input.await(this);
      return;
    }
    this.#input.reader = null;
    guarded(this.#onData, data, failure);
  }
}

function busy(input: Input): BusyError {
  return new BusyError(`somebody is reading from ${input.peer} already; one reader at a time`);
}
