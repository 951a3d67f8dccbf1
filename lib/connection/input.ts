// The reading side of a connection. One reader at a time, be it an operation or a `recv`: it claims the connection, is told
// when there is something, and takes it from here (N2); so bytes that arrived for a reader that was cancelled are there for the
// next one. Those of a frame that is not complete are held here, before what the socket has; a connection that was never asked
// for a frame holds nothing. Below are the ways to read: the operations, and the receipt of `recv`.

import { BusyError } from '../../scheduler/kernel/errors.ts';
import { atLeaf, IDLE, kind, Leaf, NEW, type Operation } from '../../scheduler/kernel/operation.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { Address } from '../common/address.ts';
import { checkCallback } from '../common/checks.ts';
import { Callbacks, ioError } from '../common/errors.ts';
import type { Socket, SocketOwner } from '../reactor/contract.ts';
import type { Framing } from './framing.ts';
import { Held } from './read-buffer.ts';
import { Loan } from './relay-buffer.ts';
import type { IdleTimer, RequestTimer } from './timeouts.ts';

/** Whoever waits for the connection to be readable: an operation or a `recv`. */
export interface Reader {
  /** Something can be taken, or the connection was closed. */
  notify(): void;
}

/** Chunks that one look at the socket takes for a frame; then others have their turn. */
const CHUNKS = 4;

export class Input implements SocketOwner {
  /** Whoever waits, until it has taken what came. */
  reader: Reader | null = null;
  /** Another one takes over when TLS begins. */
  #socket: Socket;
  /** Whether input is delivered: false after `EventLoop.del`. */
  #isAdded: boolean;
  /** The only one who may read, once the connection was given up to a stream. */
  #taker: Reader | null = null;
  /** Makes the error of whoever reads after the connection was closed. */
  #closed: (() => Error) | null = null;
  /** What came and was not taken, or was put back; null until there is such a thing. */
  #held: Held | null = null;
  bytesRead = 0;
  /** Hears of each byte; null while there is no idle timeout. */
  idle: IdleTimer | null = null;
  /** Hears of each byte, too; null while there is no limit to the time of a request. */
  request: RequestTimer | null = null;
  /** Calls those of `recv`. */
  readonly callbacks: Callbacks;
  /** TLS is being started: nothing that is put back would have come over it. */
  #isSurrendered = false;
  /** The other side of the connection, which is told when bytes were sent. */
  readonly #output: Pick<SocketOwner, 'onSent'>;

  constructor(socket: Socket, isAdded: boolean, output: Pick<SocketOwner, 'onSent'>, scheduler: Scheduler) {
    this.#socket = socket;
    this.#isAdded = isAdded;
    this.#output = output;
    this.callbacks = new Callbacks(scheduler);
    socket.owner = this;
  }

  onReadable(): void {
    this.reader?.notify();
  }

  onSent(): void {
    this.#output.onSent();
  }

  get peer(): Address {
    return Address.of(this.#socket.remoteAddress);
  }

  get isDirect(): boolean {
    return this.#socket.isDirect;
  }

  setAdded(isAdded: boolean): void {
    if (this.#isAdded === isAdded) return;
    this.#isAdded = isAdded;
    if (this.reader === null) return;
    if (isAdded) this.await(this.reader);
    else this.#socket.unwantRead();
  }

  /** From now on nobody else may read. It is told when the connection is closed, too. */
  giveTo(taker: Reader): void {
    this.checkFree(taker);
    this.#taker = taker;
  }

  /** Throws while somebody else reads. */
  checkFree(reader: Reader): void {
    if ((this.reader ?? reader) !== reader || (this.#taker ?? reader) !== reader) {
      throw new BusyError(`somebody is reading from ${this.peer} already; one reader at a time`);
    }
  }

  /**
   * Takes what has come; undefined if nothing has. For one who may be waiting, the connection is its own until
   * something was taken, or that failed.
   */
  takeFor(reader: Reader): Buffer | null | undefined {
    if (!this.#mayTake(reader)) return undefined;
    const data = this.#hasHeld() ? this.#held!.take(this.#held!.size) : this.#read(reader);
    if (data !== undefined) this.#took(reader, data === null ? 0 : data.byteLength);
    return data;
  }

  /** As `takeFor`, and as `await` if nothing has come: the socket is asked once. */
  takeOrAwait(reader: Reader): Buffer | null | undefined {
    if (this.#hasHeld() || !this.#mayTake(reader)) {
      const data = this.takeFor(reader);
      if (data === undefined) this.await(reader);
      return data;
    }
    let data: Buffer | null | undefined;
    try {
      data = this.#socket.readOrWant();
    } catch (error) {
      throw this.#failed(reader, error);
    }
    if (data === undefined) this.reader = reader;
    else this.#took(reader, data === null ? 0 : data.byteLength);
    return data;
  }

  /** The same into a buffer: the number of bytes, 0 at the end of the stream. */
  takeInto(reader: Reader, buffer: Uint8Array): number | undefined {
    if (!this.#mayTake(reader)) return undefined;
    if (buffer.byteLength === 0) {
      this.#leave(reader);
      throw atLeaf(new TypeError('readInto: the memory of the buffer was taken away'));
    }
    let size: number | undefined;
    try {
      size = this.#hasHeld() ? this.#held!.takeInto(buffer) : this.#socket.readInto(buffer);
    } catch (error) {
      throw this.#failed(reader, error);
    }
    if (size !== undefined) this.#took(reader, size);
    return size;
  }

  /** The same for a frame: undefined while it is not complete. */
  takeFrame<T>(reader: Reader, framing: Framing<T>): T | undefined {
    if (!this.#mayTake(reader)) return undefined;
    const held = (this.#held ??= new Held());
    try {
      for (let left = CHUNKS; ; left--) {
        const { size } = held;
        const frame = framing.take(held);
        if (frame !== undefined) {
          this.#took(reader, size - held.size);
          return frame;
        }
        const chunk = left > 0 ? this.#read(reader) : undefined;
        if (chunk === undefined) break;
        if (chunk === null) {
          const last = framing.end(held);
          this.#leave(reader);
          return last;
        }
        held.append(chunk);
        this.#touch();
      }
    } catch (error) {
      this.#leave(reader);
      throw error;
    }
    held.settle();
    // It may be the beginning of a request that came with the one before, and counts from when it is waited for.
    if (held.size > 0) this.request?.touch();
    return undefined;
  }

  /** Puts a copy of bytes before those that were not read. */
  unread(bytes: Uint8Array): void {
    if (this.#closed !== null) throw atLeaf(this.#closed());
    if (this.#isSurrendered)
      throw new BusyError(`cannot put bytes back: TLS with ${this.peer} is being started`);
    (this.#held ??= new Held()).prepend(bytes);
    this.bytesRead -= bytes.byteLength;
    if (this.reader === null) return;
    this.#socket.unwantRead();
    this.await(this.reader);
  }

  /** Gives what is held up to one who claims the connection until `resume`. */
  surrender(reader: Reader): Buffer | undefined {
    this.checkFree(reader);
    this.reader = reader;
    this.#isSurrendered = true;
    const held = this.#held;
    this.#held = null;
    return held?.take(held.size);
  }

  /** Goes on with another socket. */
  resume(socket: Socket): void {
    this.#socket = socket;
    socket.owner = this;
    this.#isSurrendered = false;
    this.reader = null;
  }

  /** Whether something waits to be taken. What is held for one who waits for more is no such thing. */
  get isReadable(): boolean {
    return (this.reader === null && this.#hasHeld()) || this.#socket.isReadable;
  }

  /** Has what is in the kernel fetched, for whoever asks `isReadable` a moment later. */
  look(): void {
    this.#socket.wantRead();
  }

  /** Tells the reader, later, when there is something to take. */
  await(reader: Reader, intoOwnBuffer = false): void {
    if (!this.#hasHeld()) {
      this.awaitMore(reader, intoOwnBuffer);
      return;
    }
    this.reader = reader;
    this.#tellLater(reader);
  }

  /** The same for one to whom what is held is not enough. */
  awaitMore(reader: Reader, intoOwnBuffer = false): void {
    this.reader = reader;
    if (this.#closed !== null) this.#tellLater(reader);
    else if (this.#isAdded) this.#socket.wantRead(intoOwnBuffer);
  }

  abandon(reader: Reader): void {
    if (this.reader !== reader) return;
    this.reader = null;
    this.#socket.unwantRead();
  }

  /** The connection was closed: whoever waits is told so (N7). */
  close(reason: () => Error): void {
    this.#closed = reason;
    this.#held = null;
    const reader = this.reader ?? this.#taker;
    if (reader === null) return;
    this.#socket.unwantRead();
    this.await(reader);
  }

  /** False while nothing is delivered. */
  #mayTake(reader: Reader): boolean {
    if (this.#closed !== null) {
      this.#leave(reader);
      throw atLeaf(this.#closed());
    }
    if (this.reader !== null || this.#taker !== null) this.checkFree(reader);
    return this.#isAdded;
  }

  #hasHeld(): boolean {
    return this.#held !== null && this.#held.size > 0;
  }

  #tellLater(reader: Reader): void {
    if (this.#closed === null && !this.#isAdded) return;
    queueMicrotask(() => this.reader === reader && reader.notify());
  }

  #read(reader: Reader): Buffer | null | undefined {
    try {
      return this.#socket.read();
    } catch (error) {
      throw this.#failed(reader, error);
    }
  }

  #took(reader: Reader, size: number): void {
    this.#leave(reader);
    if (size === 0) return;
    this.bytesRead += size;
    this.#touch();
  }

  #touch(): void {
    this.idle?.touch();
    this.request?.touch();
  }

  #failed(reader: Reader, error: unknown): Error {
    this.#leave(reader);
    return ioError(error as Error, `reading from ${this.peer}`, this.peer);
  }

  #leave(reader: Reader): void {
    if (this.reader === reader) this.reader = null;
  }
}

/** The next bytes; null at the end of the stream. A connection has one and performs it again and again. */
export type ReadOperation = Leaf<Buffer | null, Input, undefined>;

export function readFrom(input: Input): ReadOperation {
  return new Leaf<Buffer | null, Input, undefined>(READ, input, undefined);
}

/** As many bytes as there are and the buffer holds; 0 at the end of the stream. */
export function readInto(input: Input, buffer: Uint8Array): Operation<number> {
  return new Leaf<number, Input, Uint8Array | Loan>(READ_INTO, input, buffer);
}

/** The same into a buffer that is borrowed when bytes have come; whoever reads gives it back. */
export function readOnLoan(input: Input, loan: Loan): Operation<number> {
  return new Leaf<number, Input, Uint8Array | Loan>(READ_INTO, input, loan);
}

/** Reads one frame. */
export function readFrame<T>(input: Input, framing: Framing<T>): Operation<T> {
  return new Leaf<unknown, Input, Framing<unknown>>(
    FRAME,
    input,
    framing,
  ) as Operation<unknown> as Operation<T>;
}

const READ = kind<Buffer | null, Input>({
  poll(operation) {
    const data = operation.target.takeFor(operation);
    if (data === undefined) return false;
    operation.value = data;
    return true;
  },
  pollOrArm(operation) {
    const data = operation.target.takeOrAwait(operation);
    if (data === undefined) return false;
    operation.value = data;
    return true;
  },
  arm: (operation) => operation.target.await(operation),
  disarm: (operation) => operation.target.abandon(operation),
  describe: ({ target }) => `reading from ${target.peer}`,
  enlist(operation) {
    if (operation.state === NEW) operation.state = IDLE;
    return true;
  },
});

const READ_INTO = kind<number, Input, Uint8Array | Loan>({
  poll(operation) {
    const { target, item } = operation;
    let size: number | undefined;
    try {
      size = target.takeInto(operation, item instanceof Loan ? item.take() : item);
    } finally {
      if (size === undefined && item instanceof Loan) item.give();
    }
    if (size === undefined) return false;
    operation.value = size;
    return true;
  },
  arm: (operation) => operation.target.await(operation, true),
  disarm: (operation) => operation.target.abandon(operation),
  describe: ({ target }) => `reading from ${target.peer}`,
});

const FRAME = kind<unknown, Input, Framing<unknown>>({
  poll(operation) {
    const frame = operation.target.takeFrame(operation, operation.item);
    if (frame === undefined) return false;
    operation.value = frame;
    return true;
  },
  arm: (operation) => operation.target.awaitMore(operation),
  disarm: (operation) => operation.target.abandon(operation),
  describe: ({ target, item }) => `${item.describe()} from ${target.peer}`,
});

/** What `recv` calls back: with bytes, with null for the end of the stream, or with null and an error. */
export type OnData = (data: Buffer | null, error: Error | null) => void;

/** One `recv`: its callback is called once, never inside the call that registered it. */
export class Receipt implements Reader {
  readonly #input: Input;
  readonly #onData: OnData;

  constructor(input: Input, onData: OnData) {
    checkCallback(onData, 'recv');
    input.checkFree(this);
    this.#input = input;
    this.#onData = onData;
    input.await(this);
  }

  cancel(): void {
    this.#input.abandon(this);
  }

  notify(): void {
    let data: Buffer | null | undefined = null;
    let failure: Error | null = null;
    try {
      data = this.#input.takeFor(this);
    } catch (error) {
      failure = error as Error;
    }
    if (data === undefined) {
      this.#input.await(this);
      return;
    }
    this.#input.callbacks.call(this.#onData, data, failure);
  }
}
