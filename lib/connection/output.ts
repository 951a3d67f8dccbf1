// The writing side of a connection, and the operations on it: `write`, `flush` and `end`. Small writes are copied and gathered
// by the reactor, so most writes never wait; while more than HIGH_WATER_MARK bytes wait for the kernel, writers do, first come,
// first served (N3). A write is handed over whole or not at all, so no two interleave, and one that was handed over is
// delivered even if its writer is cancelled (N8). The bytes are counted by the socket.
//
//   write ──► room, and nobody ahead? ── no ─► join #writers
//               │ yes
//               └─► hand over ──► little enough waiting? ── no ─► join #drains until `sent` has come far enough

import { CancelledError, ClosedError } from '../../scheduler/kernel/errors.ts';
import { atLeaf, core, FAILED, kind, Leaf, type Operation } from '../../scheduler/kernel/operation.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { WaitQueue } from '../../scheduler/kernel/wait-queue.ts';
import { Address } from '../common/address.ts';
import { Callbacks, guarded, ioError } from '../common/errors.ts';
import type { Socket } from '../reactor/contract.ts';
import { sized } from '../reactor/pending.ts';
import type { IdleTimer } from './timeouts.ts';

/** Bytes that may wait for the kernel before writers do. */
export const HIGH_WATER_MARK = 65_536;

type OnSent = (error: Error | null) => void;

/** A `send` whose callback is due once the kernel has taken the bytes up to `until`. */
interface Sending {
  readonly until: number;
  readonly onSent: OnSent;
}

export class Output {
  /** Another one takes over when TLS begins. */
  socket: Socket;
  // Most connections never have any of these, and there may be tens of thousands: null until the first waits.
  /** Waiting for their turn: nothing of theirs is accepted. */
  writers: WaitQueue<DrainOperation> | null = null;
  /** Handed over, waiting for the kernel. */
  #drains: WaitQueue<DrainOperation> | null = null;
  /** Callbacks of `send`, by the byte after which each is due. */
  #callbacks: Sending[] | null = null;
  /** Calls them. */
  readonly #called: Callbacks;
  readonly #scheduler: Scheduler;
  /** Hears of each byte that the kernel takes; null while there is no idle timeout. */
  #idle: IdleTimer | null = null;
  /** `end` was performed. */
  #isEnded = false;
  /** Makes the error of whoever writes after the connection was closed. */
  #closed: (() => Error) | null = null;
  /** Those who want to know when the kernel has taken more: writers, drains, callbacks, an idle timer. */
  #watchers = 0;

  constructor(socket: Socket, scheduler: Scheduler) {
    this.socket = socket;
    this.#scheduler = scheduler;
    this.#called = new Callbacks(scheduler);
  }

  get peer(): Address {
    return Address.of(this.socket.remoteAddress);
  }

  /** Bytes that were handed over in all. */
  get position(): number {
    return this.socket.position;
  }

  /** Bytes that the kernel has not taken, or never will. */
  get waiting(): number {
    return this.socket.waiting;
  }

  /** Throws if nothing can be written any more. */
  check(): void {
    if (this.#closed !== null) throw atLeaf(this.#closed());
    if (this.socket.writeError !== undefined) throw this.error();
  }

  checkOpen(): void {
    this.check();
    if (this.#isEnded) throw atLeaf(new ClosedError(`cannot write to ${this.peer} after end`));
  }

  /** Closed, or a write has failed: `check` throws. */
  get hasFailed(): boolean {
    return this.#closed !== null || this.socket.writeError !== undefined;
  }

  error(): Error {
    return ioError(this.socket.writeError!, `writing to ${this.peer}`, this.peer);
  }

  /** Whether a write of so many bytes need not wait. */
  hasRoomFor(size: number): boolean {
    return (
      (this.writers === null || this.writers.first === null) && this.socket.waiting + size <= HIGH_WATER_MARK
    );
  }

  handOver(bytes: Uint8Array, isOwned: boolean): void {
    this.socket.write(bytes, isOwned);
    if (this.#watchers > 0) this.socket.wantSent();
  }

  /** The same with a copy of it. */
  handOverCopy(data: string | Uint8Array): void {
    this.socket.writeCopy(data);
    if (this.#watchers > 0) this.socket.wantSent();
  }

  send(bytes: Uint8Array, onSent: OnSent | undefined): void {
    let failure: Error | null = null;
    try {
      this.checkOpen();
      this.handOver(bytes, true);
    } catch (error) {
      failure = error as Error;
    }
    if (onSent === undefined) return;
    if (failure === null && (bytes.byteLength > 0 || this.#hasCallbacks())) {
      this.whenSent(onSent);
    } else {
      queueMicrotask(() => guarded(this.#scheduler, onSent, failure));
    }
  }

  /** Calls back, later, when the kernel has taken all that was handed over, or never will. */
  whenSent(onSent: OnSent): void {
    (this.#callbacks ??= []).push({ until: this.socket.position, onSent });
    this.#watchers++;
    this.socket.wantSent();
  }

  end(): void {
    this.#isEnded = true;
    this.socket.end();
  }

  /** The kernel has taken more, or a write has failed. */
  onSent(): void {
    this.#idle?.touch();
    const { writeError, sent } = this.socket;
    for (let drain = this.#drains?.first ?? null; drain !== null;) {
      const next = drain.behind as DrainOperation | null;
      if (writeError !== undefined || sent >= drain.item.until) {
        this.leave(drain);
        drain.notify();
      }
      drain = next;
    }
    this.wakeWriter();
    if (this.waiting > 0 && writeError === undefined && this.#watchers > 0) this.socket.wantSent();
    const callbacks = this.#callbacks;
    if (callbacks === null || callbacks.length === 0) return;
    const isDue = ({ until }: Sending): boolean => writeError !== undefined || until <= sent;
    const later = callbacks.findIndex((sending) => !isDue(sending));
    if (later === 0) return;
    const failure = writeError === undefined ? null : this.error();
    const due = callbacks.splice(0, later === -1 ? Infinity : later);
    this.#watchers -= due.length;
    for (const { onSent } of due) this.#called.call(onSent, failure, undefined);
  }

  #hasCallbacks(): boolean {
    return this.#callbacks !== null && this.#callbacks.length > 0;
  }

  /** Has a timer hear of each byte that the kernel takes. */
  watchWith(idle: IdleTimer): void {
    if (this.#idle === null) this.#watchers++;
    this.#idle = idle;
  }

  /** Joins those who wait for the kernel. */
  awaitDrain(operation: DrainOperation): void {
    this.#join((this.#drains ??= new WaitQueue()), operation);
  }

  /** Joins those who wait for their turn. */
  awaitTurn(operation: DrainOperation): void {
    this.#join((this.writers ??= new WaitQueue()), operation);
  }

  #join(queue: WaitQueue<DrainOperation>, operation: DrainOperation): void {
    queue.push(operation);
    this.#watchers++;
    this.socket.wantSent();
  }

  /** Leaves whichever of these it has joined. */
  leave(operation: DrainOperation): void {
    if (operation.queue === null) return;
    (operation.queue as WaitQueue<DrainOperation>).remove(operation);
    this.#watchers--;
  }

  /** The first writer in the queue may try. It leaves the queue itself, so that nobody overtakes it. */
  wakeWriter(): void {
    const first = this.writers?.first ?? null;
    if (first === null) return;
    if (this.hasFailed || this.waiting <= HIGH_WATER_MARK) first.notify();
  }

  /** Until another socket takes over, `reason` makes the error of whoever writes. */
  suspend(reason: () => Error): void {
    this.#closed = reason;
  }

  resume(socket: Socket): void {
    this.#closed = null;
    this.socket = socket;
  }

  /** The connection was closed: all who wait are woken, what is borrowed is copied first (N7). */
  close(reason: () => Error): void {
    this.#closed ??= reason;
    this.socket.keep();
    for (let drain; (drain = this.#drains?.first ?? null) !== null;) {
      this.leave(drain);
      drain.notify();
    }
    this.wakeWriter();
  }

  /** What was not sent is lost: the callbacks of `send` hear of it. */
  abort(reason: () => Error): void {
    this.close(reason);
    const callbacks = this.#callbacks?.splice(0) ?? [];
    this.#watchers -= callbacks.length;
    for (const { onSent } of callbacks) queueMicrotask(() => guarded(this.#scheduler, onSent, reason()));
  }
}

type Part = string | Uint8Array;

/** How far one performance is that has to wait. */
class Progress {
  /** What is to be written. */
  declare readonly parts: readonly Part[];
  /** Their bytes: memory may change its size while it waits. */
  declare readonly sizes: readonly number[];
  /** A write was handed over; a flush or an end has its target. Now it waits for the kernel. */
  declare isBegun: boolean;
  /** Done when the kernel has taken the bytes up to here. */
  declare until: number;
  /** Bytes that were handed over. */
  declare accepted: number;

  constructor(parts: readonly Part[]) {
    this.parts = parts;
    this.sizes = parts.map((part) => (typeof part === 'string' ? 0 : part.byteLength));
    this.isBegun = false;
    this.until = 0;
    this.accepted = 0;
  }
}

/** One that waits until the kernel has taken what it is about. */
export type DrainOperation = Leaf<void, Output, Progress>;

/** A piece, or several as one. */
export function write(output: Output, data: Part | readonly Part[]): Operation<void> {
  return new Leaf<void, Output, Part | readonly Part[]>(WRITE, output, data);
}

/** Waits until the kernel has taken what was written before it. */
export function flush(output: Output): Operation<void> {
  return new Leaf<void, Output, Progress>(FLUSH, output, new Progress([]));
}

/** Half-close, then waits until the kernel has all. */
export function end(output: Output): Operation<void> {
  return new Leaf<void, Output, Progress>(END, output, new Progress([]));
}

/** Most never wait; one that has to becomes a `LONG_WRITE`. */
const WRITE = kind<void, Output, Part | readonly Part[]>({
  poll(operation) {
    const { target: output, item: data } = operation;
    output.checkOpen();
    const isOne = typeof data === 'string' || data instanceof Uint8Array;
    // In UTF-8 a unit of a string takes three bytes at most.
    if (isOne && output.hasRoomFor(typeof data === 'string' ? data.length * 3 : data.length)) {
      output.handOverCopy(data);
      return true;
    }
    const long = operation as Leaf<void, Output, unknown> as DrainOperation;
    long.item = new Progress(isOne ? [data] : data);
    long.kind = LONG_WRITE;
    return proceed(long);
  },
  arm() {},
  disarm() {},
  enlist: () => false,
  describe: ({ target }) => `writing to ${target.peer}`,
});

const LONG_WRITE = kind<void, Output, Progress>({
  poll: proceed,
  arm(operation) {
    if (operation.item.isBegun) operation.target.awaitDrain(operation);
    else if (operation.queue === null) operation.target.awaitTurn(operation);
  },
  disarm(operation) {
    const { target: output, item } = operation;
    if (!item.isBegun) {
      leaveTurn(operation);
      return;
    }
    item.isBegun = false;
    // Woken: it is done, or the connection has failed.
    if (operation.queue === null && (isDone(output, item) || output.hasFailed)) return;
    output.leave(operation);
    // Cancelled after it was handed over: the bytes go out all the same, and the error says so (N8).
    output.socket.keep();
    operation.state = FAILED;
  },
  enlist: () => false,
  raise({ item: { accepted } }, error) {
    if (error !== undefined) return error;
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
      leaveTurn(operation);
      throw error;
    }
    leaveTurn(operation);
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
  poll: (operation) => beginDrain(operation, (output) => output.socket.flush()),
  arm: (operation) => operation.target.awaitDrain(operation),
  disarm: stopDraining,
  enlist: () => false,
  describe: ({ target }) => `flushing to ${target.peer}`,
});

const END = kind<void, Output, Progress>({
  poll: (operation) => beginDrain(operation, (output) => output.end()),
  arm: (operation) => operation.target.awaitDrain(operation),
  disarm: stopDraining,
  enlist: () => false,
  describe: ({ target }) => `ending the stream to ${target.peer}`,
});

function isDone(output: Output, item: Progress): boolean {
  return output.socket.sent >= item.until;
}

function beginDrain(operation: DrainOperation, begin: (output: Output) => void): boolean {
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
  operation.target.leave(operation);
}

function handOver(output: Output, item: Progress): void {
  const from = output.position;
  // Of all parts, or of none: what is missing is found before the first is handed over.
  const parts = item.parts.map((part, index) =>
    typeof part === 'string' ? part : sized(part, item.sizes[index]!),
  );
  let isBorrowed = false;
  for (const part of parts) isBorrowed = handOverPart(output, part) || isBorrowed;
  item.accepted = output.position - from;
  item.isBegun = true;
  item.until = isBorrowed ? output.position : output.position - HIGH_WATER_MARK;
  if (output.socket.sent < item.until) output.socket.flush();
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
function leaveTurn(operation: DrainOperation): void {
  if (operation.queue === null) return;
  operation.target.leave(operation);
  operation.target.wakeWriter();
}
