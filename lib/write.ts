// The operations on the writing side of a connection: `write`, `flush` and `end`. Each waits in the
// `Output` that it belongs to, for its turn or for the kernel.

import { core } from '../scheduler/core.ts';
import { CancelledError } from '../scheduler/errors.ts';
import { kind } from '../scheduler/kind.ts';
import { FAILED, Leaf, type Operation } from '../scheduler/operation.ts';
import { HIGH_WATER_MARK, type Output } from './output.ts';
import { sized } from './reactor/pending.ts';

type Part = string | Uint8Array;

type Data = Part | readonly Part[];

/** How far one performance is that has to wait. */
class Progress {
  /** What is to be written. */
  declare readonly data: Data;
  /** Its bytes, in the order of its parts: memory may change its size while it waits. */
  declare readonly sizes: number | readonly number[];
  /** A write was handed over; a flush or an end has its target. Now it waits for the kernel. */
  declare isBegun: boolean;
  /** Done when the kernel has taken the bytes up to here. */
  declare until: number;
  /** Bytes that were handed over. */
  declare accepted: number;

  constructor(data: Data) {
    this.data = data;
    this.sizes = Array.isArray(data) ? data.map(sizeOf) : sizeOf(data as Part);
    this.isBegun = false;
    this.until = 0;
    this.accepted = 0;
  }
}

/** One that waits until the kernel has taken what it is about. */
export type DrainOperation = Leaf<void, Output, Progress>;

/** It has its data until it has to wait: most never do. */
export function write(output: Output, data: Data): Operation<void> {
  return new Leaf<void, Output, Data | Progress>(WRITE, output, data);
}

/** Waits until the kernel has taken what was written before it. */
export function flush(output: Output): Operation<void> {
  return new Leaf<void, Output, Progress>(FLUSH, output, new Progress(''));
}

/** Half-close, then waits until the kernel has all. */
export function end(output: Output): Operation<void> {
  return new Leaf<void, Output, Progress>(END, output, new Progress(''));
}

const WRITE = kind<void, Output, Data | Progress>({
  poll(operation) {
    const { target: output, item } = operation;
    if (!(item instanceof Progress)) {
      output.checkOpen();
      if (output.hasRoomFor(mostBytesOf(item))) {
        output.handOverCopy(item as Part);
        return true;
      }
      operation.item = new Progress(item);
    }
    return proceed(operation as DrainOperation);
  },
  arm(operation) {
    const waiting = operation as DrainOperation;
    if (waiting.item.isBegun) waiting.target.awaitDrain(waiting);
    else if (waiting.queue === null) waiting.target.awaitTurn(waiting);
  },
  disarm(operation) {
    const { target: output, item } = operation as DrainOperation;
    if (!item.isBegun) {
      leaveQueue(operation as DrainOperation);
      return;
    }
    item.isBegun = false;
    // Woken: it is done, or the connection has failed.
    if (operation.queue === null && (isDone(output, item) || output.hasFailed)) return;
    output.drains?.remove(operation as DrainOperation);
    // Cancelled after it was handed over: the bytes go out all the same, and the error says so (N8).
    output.socket.keep();
    operation.state = FAILED;
  },
  enlist: () => false,
  raise({ item }, error) {
    if (error !== undefined) return error;
    const { accepted } = item as Progress;
    return Object.assign(new CancelledError(core.current?.scope.reason), { accepted });
  },
  describe: ({ target }) => `writing to ${target.peer}`,
});

/** Goes on with a write that has to wait, or had to: for its turn, or for the kernel. */
function proceed(operation: DrainOperation): boolean {
  const { target: output, item } = operation;
  if (!item.isBegun) {
    const first = output.writers?.first ?? null;
    try {
      output.checkOpen();
      if (output.waiting > HIGH_WATER_MARK || (first !== null && first !== operation)) return false;
      handOver(output, item);
    } catch (error) {
      leaveQueue(operation);
      throw error;
    }
    leaveQueue(operation);
  } else {
    try {
      output.check();
    } catch (error) {
      item.isBegun = false;
      throw Object.assign(error as Error, { accepted: item.accepted });
    }
  }
  if (!isDone(output, item)) return false;
  item.isBegun = false;
  return true;
}

const FLUSH = kind<void, Output, Progress>({
  poll: (operation) => drain(operation, (output) => output.socket.flush()),
  arm: (operation) => operation.target.awaitDrain(operation),
  disarm: stopDraining,
  enlist: () => false,
  describe: ({ target }) => `flushing to ${target.peer}`,
});

const END = kind<void, Output, Progress>({
  poll: (operation) => drain(operation, (output) => output.end()),
  arm: (operation) => operation.target.awaitDrain(operation),
  disarm: stopDraining,
  enlist: () => false,
  describe: ({ target }) => `ending the stream to ${target.peer}`,
});

/** How many bytes a piece has at most; Infinity for several pieces. */
function mostBytesOf(data: Data): number {
  // In UTF-8 a unit of a string takes three bytes at most.
  if (typeof data === 'string') return data.length * 3;
  return data instanceof Uint8Array ? data.length : Infinity;
}

function isDone(output: Output, item: Progress): boolean {
  return output.socket.sent >= item.until;
}

function drain(operation: DrainOperation, begin: (output: Output) => void): boolean {
  const { target: output, item } = operation;
  const wasBegun = item.isBegun;
  item.isBegun = false;
  output.check();
  if (!wasBegun) {
    item.until = output.position;
    begin(output);
    // What was handed over just now may have failed.
    output.check();
  }
  item.isBegun = !isDone(output, item);
  return !item.isBegun;
}

function stopDraining(operation: DrainOperation): void {
  operation.item.isBegun = false;
  operation.target.drains?.remove(operation);
}

function handOver(output: Output, item: Progress): void {
  const { data, sizes } = item;
  const from = output.position;
  let isBorrowed = false;
  if (typeof sizes === 'number') {
    isBorrowed = handOverPart(output, asItWas(data as Part, sizes));
  } else {
    // Of all parts, or of none: what is missing is found before the first is handed over.
    const parts = (data as readonly Part[]).map((part, index) => asItWas(part, sizes[index]!));
    for (const part of parts) isBorrowed = handOverPart(output, part) || isBorrowed;
  }
  item.accepted = output.position - from;
  item.isBegun = true;
  item.until = isBorrowed ? output.position : output.position - HIGH_WATER_MARK;
  if (output.socket.sent < item.until) output.socket.flush();
}

function sizeOf(data: Part): number {
  return typeof data === 'string' ? 0 : data.byteLength;
}

/** What it was when the write began. */
function asItWas(data: Part, size: number): Part {
  return typeof data === 'string' ? data : sized(data, size);
}

/** Says whether the bytes are only borrowed, which large ones are. */
function handOverPart(output: Output, part: Part): boolean {
  if (typeof part === 'string' || part.byteLength <= HIGH_WATER_MARK) {
    output.handOverCopy(part);
    return false;
  }
  output.handOver(part, false);
  return true;
}

/** Gives its place among those who wait for their turn up, and lets the next one try. */
function leaveQueue(operation: DrainOperation): void {
  if (operation.queue === null) return;
  operation.target.writers?.remove(operation);
  operation.target.wakeWriter();
}
