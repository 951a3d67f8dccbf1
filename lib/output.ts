// The writing side of a connection. Small writes are copied and gathered by the reactor, so most writes
// never wait; while more than HIGH_WATER_MARK bytes wait for the kernel, writers do, first come, first
// served (N3). A write is handed over whole or not at all, so no two interleave, and one that was handed
// over is delivered even if its writer is cancelled (N8).
//
//   write ──► room, and nobody ahead? ── no ─► join #writers
//               │ yes
//               └─► hand over ──► little enough waiting? ── no ─► join #drains until `sent` has come far enough

import { ClosedError } from '../scheduler/errors.ts';
import { atLeaf } from '../scheduler/at-leaf.ts';
import { WaitQueue } from '../scheduler/wait-queue.ts';
import { Address } from './address.ts';
import type { IdleTimer } from './idle.ts';
import { Callbacks, guarded, ioError } from './io-error.ts';
import type { Socket } from './reactor/contract.ts';
import type { DrainOperation } from './write.ts';

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
  drains: WaitQueue<DrainOperation> | null = null;
  /** Callbacks of `send`, by the byte after which each is due. */
  #callbacks: Sending[] | null = null;
  /** Calls them. */
  readonly #called = new Callbacks();
  /** Hears of each byte that the kernel takes; null while there is no idle timeout. */
  idle: IdleTimer | null = null;
  /** `end` was performed. */
  #isEnded = false;
  /** Makes the error of whoever writes after the connection was closed. */
  #closed: (() => Error) | null = null;
  #handedOver = 0;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  get peer(): Address {
    return Address.of(this.socket.remoteAddress);
  }

  /** Bytes that were handed over in all. */
  get position(): number {
    return this.#handedOver;
  }

  get waiting(): number {
    return this.#handedOver - this.socket.sent;
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
    return !hasMembers(this.writers) && this.waiting + size <= HIGH_WATER_MARK;
  }

  handOver(bytes: Uint8Array, isOwned: boolean): void {
    this.#handedOver += bytes.byteLength;
    this.socket.write(bytes, isOwned);
    if (this.#isWatched()) this.socket.wantSent();
  }

  /** The same with a copy of it. */
  handOverCopy(data: string | Uint8Array): void {
    this.#handedOver += this.socket.writeCopy(data);
    if (this.#isWatched()) this.socket.wantSent();
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
      queueMicrotask(() => guarded(onSent, failure));
    }
  }

  /** Calls back, later, when the kernel has taken all that was handed over, or never will. */
  whenSent(onSent: OnSent): void {
    (this.#callbacks ??= []).push({ until: this.#handedOver, onSent });
    this.socket.wantSent();
  }

  end(): void {
    this.#isEnded = true;
    this.socket.end();
  }

  /** The kernel has taken more, or a write has failed. */
  onSent(): void {
    this.idle?.touch();
    const { writeError, sent } = this.socket;
    for (let drain = this.drains?.first ?? null; drain !== null;) {
      const next = drain.behind as DrainOperation | null;
      if (writeError !== undefined || sent >= drain.item.until) {
        this.drains!.remove(drain);
        drain.notify();
      }
      drain = next;
    }
    this.wakeWriter();
    if (this.waiting > 0 && writeError === undefined && this.#isWatched()) this.socket.wantSent();
    const callbacks = this.#callbacks;
    if (callbacks === null || callbacks.length === 0) return;
    const isDue = ({ until }: Sending): boolean => writeError !== undefined || until <= sent;
    const later = callbacks.findIndex((sending) => !isDue(sending));
    if (later === 0) return;
    const failure = writeError === undefined ? null : this.error();
    const due = callbacks.splice(0, later === -1 ? Infinity : later);
    for (const { onSent } of due) this.#called.call(onSent, failure, undefined);
  }

  /** Somebody wants to know when the kernel has taken more. */
  #isWatched(): boolean {
    return this.idle !== null || hasMembers(this.drains) || hasMembers(this.writers) || this.#hasCallbacks();
  }

  #hasCallbacks(): boolean {
    return this.#callbacks !== null && this.#callbacks.length > 0;
  }

  /** Joins those who wait for the kernel. */
  awaitDrain(operation: DrainOperation): void {
    (this.drains ??= new WaitQueue()).push(operation);
    this.socket.wantSent();
  }

  /** Joins those who wait for their turn. */
  awaitTurn(operation: DrainOperation): void {
    (this.writers ??= new WaitQueue()).push(operation);
    this.socket.wantSent();
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
    const { drains } = this;
    if (drains !== null)
      for (let drain = drains.shift(); drain !== null; drain = drains.shift()) drain.notify();
    this.wakeWriter();
  }

  /** What was not sent is lost: the callbacks of `send` hear of it. */
  abort(reason: () => Error): void {
    this.close(reason);
    for (const { onSent } of this.#callbacks?.splice(0) ?? [])
      queueMicrotask(() => guarded(onSent, reason()));
  }
}

function hasMembers(queue: WaitQueue<DrainOperation> | null): boolean {
  return queue !== null && queue.first !== null;
}
