// The end of a connection after `close`: what was written is still delivered, then writing is shut down
// and input is discarded until the peer's end; closing with unread input would send a reset, which takes
// back delivered bytes on the peer's side. A peer that makes no progress for 5 s is given up, and so is one that takes
// less than 1 KiB/s for 30 s (N6). Progress is what the peer takes, and not what the kernel does: that may have
// accepted megabytes at once. A peer that has taken everything, and does not end, needs no reset: the kernel does the rest.

import { ClosedError } from '../scheduler/errors.ts';
import { Timer, type Timers } from '../scheduler/timers.ts';
import type { Output } from './output.ts';
import type { Socket, SocketOwner } from './reactor/contract.ts';
import { Uptake } from './uptake.ts';

/** Milliseconds between two looks at what the peer has taken. */
const EVERY = 1_000;
/** So many looks without progress end it. */
const PATIENCE = 5;
/** So many where the system does not tell what the peer takes: the kernel takes more in steps of up to megabytes. */
const PATIENCE_UNTOLD = 30;
/** Within so many looks the peer has to take so many bytes. */
const WINDOW = 30;
const AT_LEAST = WINDOW * 1_024;

export class Linger implements SocketOwner {
  readonly #socket: Socket;
  readonly #output: Output;
  readonly #uptake: Uptake;
  readonly #timer: Timer;
  /** What the peer took between the last looks. */
  readonly #taken: number[] = [];
  /** Looks since the last progress. */
  #idleLooks = 0;
  #onDelivered: ((error: Error | null) => void) | null = null;
  /** Makes the error for what was not delivered; set once it was given up, when nothing more will be. */
  #lost: (() => Error) | null = null;

  constructor(socket: Socket, output: Output, timers: Timers) {
    this.#socket = socket;
    this.#output = output;
    this.#uptake = new Uptake(output);
    this.#timer = new Timer(timers, () => this.#look());
    socket.owner = this;
    socket.end();
    this.#watch();
    this.#timer.start(EVERY);
    // Bytes that are there already are discarded later: `close` itself calls nobody back.
    queueMicrotask(() => this.onReadable());
  }

  /** Calls back once the kernel has taken all, or never will. */
  whenDelivered(onDelivered: (error: Error | null) => void): void {
    this.#onDelivered = onDelivered;
    this.#tell();
  }

  /** Ends it at once; `reason` makes the error of those whose bytes are lost. */
  reset(reason: () => Error): void {
    if (this.#lost !== null) return;
    this.#lost = reason;
    this.#timer.stop();
    this.#socket.reset();
    this.#output.abort(reason);
    this.#tell();
  }

  onReadable(): void {
    try {
      for (let data; (data = this.#socket.read()) !== undefined;) {
        if (data === null) {
          this.#onEnd();
          return;
        }
        this.#idleLooks = 0;
      }
      this.#socket.wantRead();
    } catch {
      // What cuts the reader off has cut the writer off: those who wait for their bytes hear of it first.
      this.#output.onSent();
      this.#tell();
      this.#timer.stop();
      this.#socket.reset();
    }
  }

  onSent(): void {
    this.#output.onSent();
    // A callback of `send` may have reset the connection.
    if (this.#lost !== null) return;
    this.#idleLooks = 0;
    this.#tell();
    this.#watch();
    if (this.#output.waiting <= 0 && this.#socket.isReadable) this.onReadable();
  }

  /** The peer has ended: nothing that comes can turn into a reset any more, and the kernel delivers what it has. */
  #onEnd(): void {
    if (this.#output.waiting <= 0) this.#timer.stop();
  }

  #look(): void {
    this.#taken.push(this.#uptake.look());
    if (this.#taken.at(-1)! > 0) this.#idleLooks = 0;
    else this.#idleLooks++;
    const patience = this.#uptake.isTold ? PATIENCE : PATIENCE_UNTOLD;
    if (this.#idleLooks < patience && !this.#isTooSlow()) {
      this.#timer.start(EVERY);
    } else if (this.#uptake.left === 0) {
      this.#socket.release();
    } else {
      this.reset(() => new ClosedError(`${this.#output.peer} did not take what was written in time`));
    }
  }

  #isTooSlow(): boolean {
    const taken = this.#taken;
    // The first look has nothing to compare with.
    if (taken.length <= WINDOW) return false;
    taken.shift();
    return taken.reduce((sum, size) => sum + size) < AT_LEAST;
  }

  /** Asks to be told of progress. */
  #watch(): void {
    if (this.#output.waiting > 0 && this.#socket.writeError === undefined) this.#socket.wantSent();
  }

  #tell(): void {
    const { writeError } = this.#socket;
    const isLost = this.#output.waiting > 0;
    if (isLost && writeError === undefined && this.#lost === null) return;
    if (writeError !== undefined) {
      this.#timer.stop();
      this.#socket.reset();
    }
    this.#onDelivered?.(isLost ? (this.#lost?.() ?? this.#output.error()) : null);
    this.#onDelivered = null;
  }
}
