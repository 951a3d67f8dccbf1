// The half of a connection that reads, in both faces: `read`, `readLine` and their kin for coroutines, `recv` for
// callbacks. It stands apart from `Connection`, which adds writing and closing. What it reads from, and who may read,
// is `Input`.

import { inWords } from '../scheduler/errors.ts';
import { IDLE, NEW, type Operation } from '../scheduler/operation.ts';
import {
  checkFrameSize,
  DEFAULT_LIMIT,
  DelimiterFraming,
  delimiterOf,
  type FrameOptions,
  type Framing,
  limitOf,
  LineFraming,
  PeekFraming,
  readFrame,
  SizeFraming,
} from './framing.ts';
import { Input } from './input.ts';
import type { Loan } from './loan.ts';
import { type OnData, readFrom, readInto, readOnLoan, type ReadOperation, Receipt } from './read.ts';
import type { Socket } from './reactor/contract.ts';
import { SocketSettings } from './socket-settings.ts';

/** For those who name no limit. */
const LINES = new LineFraming(DEFAULT_LIMIT);

export abstract class ReadingHalf extends SocketSettings {
  /** @internal */
  protected readonly input: Input;
  readonly #readOperation: ReadOperation;

  /** @internal */
  constructor(socket: Socket, isAdded: boolean) {
    super(socket);
    this.input = new Input(socket, isAdded);
    this.#readOperation = readFrom(this.input);
  }

  // Coroutine face.

  /**
   * The next bytes, as many as have come; null at the end of the stream. Cancelling loses nothing.
   *
   * @throws BusyError if somebody reads already; ClosedError after `close`; TimeoutError after
   * `idleTimeout`; the system's error (`ECONNRESET`, …) with this coroutine's stack
   */
  read(): Operation<Buffer | null> {
    const operation = this.#readOperation;
    if (operation.state === NEW) {
      operation.state = IDLE;
      throw new TypeError('read() was called before and never performed: `yield*` is missing');
    }
    if (operation.state === IDLE) operation.state = NEW;
    return operation;
  }

  /**
   * Reads into a buffer; gives the number of bytes, 0 at the end of the stream.
   *
   * @throws TypeError for a buffer of no bytes, and as `read`
   */
  readInto(buffer: Uint8Array): Operation<number> {
    if (!(buffer instanceof Uint8Array) || buffer.byteLength === 0) {
      throw new TypeError(`readInto expects a Uint8Array with room for a byte, got ${inWords(buffer)}`);
    }
    return readInto(this.input, buffer);
  }

  /** @internal As `readInto`, with memory that is borrowed when bytes have come. */
  readOnLoan(loan: Loan): Operation<number> {
    return readOnLoan(this.input, loan);
  }

  /** @internal Nothing between the buffers of `readOnLoan` and `send` and the kernel. */
  get isDirect(): boolean {
    return this.input.isDirect;
  }

  /**
   * The next line as text (UTF-8; what is none becomes U+FFFD), without the '\n' or '\r\n' that ends it; null at
   * the end of the stream. `limit` counts the bytes of the line alone. Cancelling loses nothing: what has come of
   * a line stays, for this or any other read. So it does after an error.
   *
   * @throws LimitError for a line longer than `limit` (65,536 bytes), again and again until something else reads it;
   * UnexpectedEofError if the stream ends inside of one; TypeError if `limit` is no count; and as `read`
   *
   * @example
   * ```ts
   * import { dial, listen, run, spawn } from 'skein';
   *
   * await run(function* () {
   *   const acceptor = yield* listen(0);
   *   spawn(function* () {
   *     const conn = yield* dial(acceptor.address);
   *     yield* conn.write('one\r\ntwo\n');
   *     conn.close();
   *   });
   *   const conn = yield* acceptor.accept();
   *   for (let line; (line = yield* conn.readLine()) !== null; ) console.log(line); // one, two
   *   conn.close();
   *   acceptor.close();
   * });
   * ```
   */
  readLine(options?: FrameOptions): Operation<string | null> {
    const limit = limitOf('readLine', options);
    return this.readFrame<string | null>(limit === DEFAULT_LIMIT ? LINES : new LineFraming(limit));
  }

  /**
   * The next bytes up to a delimiter, with it; null at the end of the stream. `limit` counts the bytes before it.
   * Otherwise as `readLine`.
   *
   * @throws TypeError for a delimiter of no bytes, and as `readLine`
   */
  readUntil(delimiter: string | Uint8Array, options?: FrameOptions): Operation<Buffer | null> {
    return this.readFrame(new DelimiterFraming(delimiterOf(delimiter), limitOf('readUntil', options), false));
  }

  /**
   * Just so many bytes. Memory grows as they come, not with `size`. Cancelling loses nothing.
   *
   * @throws UnexpectedEofError if the stream ends before: what has come stays; TypeError if `size` is no count;
   * and as `read`
   */
  readExactly(size: number): Operation<Buffer> {
    checkFrameSize(size, 'readExactly');
    return this.readFrame(new SizeFraming(size));
  }

  /**
   * A copy of the next bytes, which stay; waits until there are so many, or gives fewer at the end of the stream.
   *
   * @throws TypeError if `size` is no count; and as `read`
   */
  peek(size: number): Operation<Buffer> {
    checkFrameSize(size, 'peek');
    return this.readFrame(new PeekFraming(size));
  }

  /**
   * Puts a copy of bytes before those that were not read yet, also if they never came from here; `bytesRead`
   * goes down by their number.
   *
   * @throws TypeError if they are no Uint8Array; ClosedError after `close`, TimeoutError after `idleTimeout`
   */
  unread(bytes: Uint8Array): void {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`unread expects a Uint8Array, got ${inWords(bytes)}`);
    }
    this.input.unread(bytes);
  }

  /** @internal */
  readFrame<T>(framing: Framing<T>): Operation<T> {
    return readFrame(this.input, framing);
  }

  // Callback face.

  /**
   * Asks for the next bytes, once: `onData(data, null)`, `onData(null, null)` at the end of the stream,
   * `onData(null, error)`. It is never called inside this call, and not while the connection is taken
   * out of its event loop; what `listen`, `dial` and `serve` give needs none.
   *
   * @returns a function that takes the request back
   * @throws BusyError if somebody reads already; TypeError if `onData` is not a function
   */
  recv(onData: OnData): () => void {
    const receipt = new Receipt(this.input, onData);
    return () => receipt.cancel();
  }

  /** Bytes that were read, less those that were put back. */
  get bytesRead(): number {
    return this.input.bytesRead;
  }

  /** @internal */
  setAdded(isAdded: boolean): void {
    this.input.setAdded(isAdded);
  }

  /** @internal */
  onReadable(): void {
    this.input.reader?.notify();
  }
}
