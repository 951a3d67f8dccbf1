// The half of a connection that reads, in both faces: `read` and its kin for coroutines, `recv` for callbacks.
// It stands apart from `Connection`, which adds writing, closing and what the socket is set to. What it reads
// from, and who may read, is `Input`.

import { inWords } from '../scheduler/errors.ts';
import { IDLE, NEW, type Operation } from '../scheduler/operation.ts';
import { Input, type OnData, readFrom, readInto, type ReadOperation, Receipt } from './input.ts';
import type { Socket } from './reactor/contract.ts';

export abstract class ReadingHalf {
  /** @internal */
  protected readonly input: Input;
  readonly #readOperation: ReadOperation;

  /** @internal */
  constructor(socket: Socket, isAdded: boolean) {
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

  /** Bytes that were read. */
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
