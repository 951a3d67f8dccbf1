// The operations on the writing side of a connection: `write`, `flush` and `end`. Each waits in the
// `Output` that it belongs to, for its turn or for the kernel.

import { core } from '../scheduler/core.ts';
import { CancelledError } from '../scheduler/errors.ts';
import { ARMED, FAILED } from '../scheduler/operation.ts';
import { QueuedOperation } from '../scheduler/wait-queue.ts';
import { HIGH_WATER_MARK, type Output } from './output.ts';

/** Waits until the kernel has taken the bytes up to `until`. */
export abstract class DrainOperation extends QueuedOperation<void> {
  /** @internal */ declare output: Output;
  /** @internal */ declare until: number;

  constructor(output: Output) {
    super();
    this.output = output;
    this.until = 0;
  }

  isDone(): boolean {
    return this.output.socket.sent >= this.until;
  }

  arm(): void {
    this.output.drains.push(this);
  }

  disarm(): void {
    this.output.drains.remove(this);
  }

  override enlist(): boolean {
    return false;
  }
}

/** Waits until the kernel has taken what was written before it. */
export class FlushOperation extends DrainOperation {
  /** @internal Its target is known: it was performed and woken. */
  declare isBegun: boolean;

  constructor(output: Output) {
    super(output);
    this.isBegun = false;
  }

  /** @internal */
  begin(): void {
    this.output.socket.flush();
  }

  poll(): boolean {
    const wasBegun = this.isBegun;
    this.isBegun = false;
    this.output.check();
    if (!wasBegun) {
      this.until = this.output.position;
      this.begin();
      // What was handed over just now may have failed.
      this.output.check();
    }
    this.isBegun = !this.isDone();
    return !this.isBegun;
  }

  override disarm(): void {
    this.isBegun = false;
    super.disarm();
  }

  describe(): string {
    return `flushing to ${this.output.peer}`;
  }
}

/** Half-close, then waits until the kernel has all. */
export class EndOperation extends FlushOperation {
  override begin(): void {
    this.output.end();
  }

  override describe(): string {
    return `ending the stream to ${this.output.peer}`;
  }
}

export class WriteOperation extends DrainOperation {
  /** @internal */ declare parts: readonly (string | Uint8Array)[];
  /** @internal */ declare isHandedOver: boolean;
  /** @internal Bytes that were handed over. */
  declare accepted: number;

  constructor(output: Output, parts: readonly (string | Uint8Array)[]) {
    super(output);
    this.parts = parts;
    this.isHandedOver = false;
    this.accepted = 0;
  }

  poll(): boolean {
    const { output } = this;
    if (!this.isHandedOver) {
      try {
        output.checkOpen();
      } catch (error) {
        this.leaveQueue();
        throw error;
      }
      const { first } = output.writers;
      if (output.waiting > HIGH_WATER_MARK || (first !== null && first !== this)) return false;
      this.handOver();
      this.leaveQueue();
    } else {
      try {
        output.check();
      } catch (error) {
        this.isHandedOver = false;
        throw Object.assign(error as Error, { accepted: this.accepted });
      }
    }
    if (!this.isDone()) return false;
    this.isHandedOver = false;
    return true;
  }

  override arm(): void {
    if (this.isHandedOver) super.arm();
    else if (this.queue === null) this.output.writers.push(this);
  }

  override disarm(): void {
    if (this.isHandedOver) super.disarm();
    else this.leaveQueue();
  }

  /** Cancelled after it was handed over: the bytes go out all the same, and the error says so (N8). */
  override cancel(): void {
    const wasAccepted = this.isHandedOver && this.state === ARMED;
    super.cancel();
    if (!wasAccepted) return;
    this.isHandedOver = false;
    this.output.socket.keep();
    this.state = FAILED;
  }

  override raise(error: unknown): unknown {
    if (error !== undefined) return error;
    return Object.assign(new CancelledError(core.current?.scope.reason), { accepted: this.accepted });
  }

  describe(): string {
    return `writing to ${this.output.peer}`;
  }

  /** @internal */
  handOver(): void {
    const { output } = this;
    let isBorrowed = false;
    this.accepted = 0;
    for (const part of this.parts) {
      const isOwned = typeof part === 'string' || part.byteLength <= HIGH_WATER_MARK;
      const bytes = isOwned ? Buffer.from(part as string) : part;
      isBorrowed ||= !isOwned;
      this.accepted += bytes.byteLength;
      output.handOver(bytes, isOwned);
    }
    this.isHandedOver = true;
    this.until = isBorrowed ? output.position : output.position - HIGH_WATER_MARK;
    if (!this.isDone()) output.socket.flush();
  }

  /** @internal */
  leaveQueue(): void {
    if (this.queue === null) return;
    this.output.writers.remove(this);
    this.output.wakeWriter();
  }
}
