// The end of a connection after `close`: what was written is still delivered, then writing is shut down
// and input is discarded until the peer's end; closing with unread input would send a reset, which takes
// back delivered bytes on the peer's side. At most 5 s without progress or 30 s in all, then a reset (N6).

import { ClosedError } from '../scheduler/errors.ts';
import { Timer, type Timers } from '../scheduler/timers.ts';
import type { Output } from './output.ts';
import type { Socket, SocketOwner } from './reactor/contract.ts';

const NO_PROGRESS = 5_000;
const IN_ALL = 30_000;

export class Linger implements SocketOwner {
  readonly #socket: Socket;
  readonly #output: Output;
  readonly #patience: Timer;
  readonly #limit: Timer;
  #onDelivered: ((error: Error | null) => void) | null = null;
  /** Makes the error for what was not delivered; set once it was reset, when nothing more will be. */
  #lost: (() => Error) | null = null;

  constructor(socket: Socket, output: Output, timers: Timers) {
    this.#socket = socket;
    this.#output = output;
    const giveUp = (): void =>
      this.reset(() => new ClosedError(`${output.peer} did not take what was written in time`));
    this.#patience = new Timer(timers, giveUp);
    this.#limit = new Timer(timers, giveUp);
    socket.owner = this;
    socket.end();
    this.#watch();
    this.#patience.start(NO_PROGRESS);
    this.#limit.start(IN_ALL);
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
    this.#stop();
    this.#socket.reset();
    this.#output.abort(reason);
    this.#tell();
  }

  onReadable(): void {
    try {
      for (let data; (data = this.#socket.read()) !== undefined;) {
        if (data === null) {
          // Both directions have ended, or will when the output is out.
          if (this.#output.waiting <= 0) this.#stop();
          return;
        }
        this.#patience.start(NO_PROGRESS);
      }
      this.#socket.wantRead();
    } catch {
      // What cuts the reader off has cut the writer off: those who wait for their bytes hear of it first.
      this.#output.onSent();
      this.#tell();
      this.#stop();
      this.#socket.reset();
    }
  }

  onSent(): void {
    this.#output.onSent();
    // A callback of `send` may have reset the connection.
    if (this.#lost !== null) return;
    if (this.#socket.writeError === undefined) this.#patience.start(NO_PROGRESS);
    this.#tell();
    this.#watch();
    if (this.#output.waiting <= 0 && this.#socket.isReadable) this.onReadable();
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
      this.#stop();
      this.#socket.reset();
    }
    this.#onDelivered?.(isLost ? (this.#lost?.() ?? this.#output.error()) : null);
    this.#onDelivered = null;
  }

  #stop(): void {
    this.#patience.stop();
    this.#limit.stop();
  }
}
