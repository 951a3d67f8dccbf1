// The reading side of a connection. One reader at a time, be it an operation or a `recv`: it claims the
// connection, is told when there is something, and takes it from the connection (N2); so bytes that
// arrived for a reader that was cancelled are there for the next one.

import { BusyError } from '../scheduler/errors.ts';
import { Leaf } from '../scheduler/operation.ts';
import type { Connection } from './connection.ts';
import { checkCallback, guarded } from './io-error.ts';

/** Whoever waits for the connection to be readable. */
export interface Reader {
  /** Something can be taken, or the connection was closed. */
  onReadable(): void;
}

abstract class InputOperation<T> extends Leaf<T> implements Reader {
  /** @internal */ declare conn: Connection;
  /** @internal Created by `read()` and not performed yet. */
  declare isNew: boolean;

  constructor(conn: Connection) {
    super();
    this.conn = conn;
    this.isNew = false;
  }

  /** Takes what is there; undefined when nothing is. */
  abstract take(): T | undefined;

  poll(): boolean {
    this.isNew = false;
    const { conn } = this;
    if (conn.reader !== null && conn.reader !== this) throw busy(conn);
    let isWaiting = false;
    try {
      const taken = this.take();
      isWaiting = taken === undefined;
      this.value = taken;
    } finally {
      if (!isWaiting && conn.reader === this) conn.reader = null;
    }
    return !isWaiting;
  }

  arm(): void {
    this.conn.awaitInput(this);
  }

  disarm(): void {
    this.conn.abandonInput(this);
  }

  onReadable(): void {
    this.notify();
  }

  describe(): string {
    return `reading from ${this.conn.remoteAddress}`;
  }
}

/** The next bytes; null at the end of the stream. A connection has one and performs it again and again. */
export class ReadOperation extends InputOperation<Buffer | null> {
  take(): Buffer | null | undefined {
    return this.conn.takeInput();
  }
}

/** As many bytes as there are and the buffer holds; 0 at the end of the stream. */
export class ReadIntoOperation extends InputOperation<number> {
  /** @internal */ declare buffer: Uint8Array;

  constructor(conn: Connection, buffer: Uint8Array) {
    super(conn);
    this.buffer = buffer;
  }

  take(): number | undefined {
    const data = this.conn.takeInput();
    if (data === undefined) return undefined;
    if (data === null) return 0;
    const size = Math.min(data.byteLength, this.buffer.byteLength);
    this.buffer.set(data.subarray(0, size));
    if (size < data.byteLength) this.conn.putBack(data.subarray(size));
    return size;
  }
}

export type OnData = (data: Buffer | null, error: Error | null) => void;

/** One `recv`: its callback is called once, never inside the call that registered it. */
export class Receipt implements Reader {
  readonly #conn: Connection;
  readonly #onData: OnData;

  constructor(conn: Connection, onData: OnData) {
    checkCallback(onData, 'recv');
    if (conn.reader !== null) throw busy(conn);
    this.#conn = conn;
    this.#onData = onData;
    conn.awaitInput(this);
  }

  cancel(): void {
    this.#conn.abandonInput(this);
  }

  onReadable(): void {
    let data: Buffer | null | undefined = null;
    let failure: Error | null = null;
    try {
      data = this.#conn.takeInput();
    } catch (error) {
      failure = error as Error;
    }
    if (data === undefined) {
      this.#conn.awaitInput(this);
      return;
    }
    this.#conn.reader = null;
    guarded(this.#onData, data, failure);
  }
}

function busy(conn: Connection): BusyError {
  return new BusyError(`somebody is reading from ${conn.remoteAddress} already; one reader at a time`);
}
