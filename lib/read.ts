// The ways to read what comes, as it comes: the operations `read` and `readInto`, and the receipt of `recv`. Each takes
// from the `Input` that it belongs to.

import { kind } from '../scheduler/kind.ts';
import { IDLE, Leaf, NEW } from '../scheduler/operation.ts';
import { checkCallback } from './checks.ts';
import type { Input, Reader } from './input.ts';
import type { Loan } from './loan.ts';

/** The next bytes; null at the end of the stream. A connection has one and performs it again and again. */
export type ReadOperation = Leaf<Buffer | null, Input, undefined>;

export function readFrom(input: Input): ReadOperation {
  return new Leaf<Buffer | null, Input, undefined>(READ, input, undefined);
}

/** As many bytes as there are and the buffer holds; 0 at the end of the stream. */
export function readInto(input: Input, buffer: Uint8Array): Leaf<number, Input, Uint8Array> {
  return new Leaf<number, Input, Uint8Array>(READ_INTO, input, buffer);
}

/** The same into a buffer that is borrowed when bytes have come; whoever reads gives it back. */
export function readOnLoan(input: Input, loan: Loan): Leaf<number, Input, Loan> {
  return new Leaf<number, Input, Loan>(READ_ON_LOAN, input, loan);
}

const READ = kind<Buffer | null, Input>({
  poll(operation) {
    const data = operation.target.takeFor(operation);
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

const READ_INTO = kind<number, Input, Uint8Array>({
  poll(operation) {
    const size = operation.target.takeInto(operation, operation.item);
    if (size === undefined) return false;
    operation.value = size;
    return true;
  },
  arm: (operation) => operation.target.await(operation, true),
  disarm: (operation) => operation.target.abandon(operation),
  describe: ({ target }) => `reading from ${target.peer}`,
});

const READ_ON_LOAN = kind<number, Input, Loan>({
  poll(operation) {
    const { target, item } = operation;
    let size: number | undefined;
    try {
      size = target.takeInto(operation, item.take());
    } finally {
      if (size === undefined) item.give();
    }
    if (size === undefined) return false;
    operation.value = size;
    return true;
  },
  arm: (operation) => operation.target.await(operation, true),
  disarm: (operation) => operation.target.abandon(operation),
  describe: ({ target }) => `reading from ${target.peer}`,
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
