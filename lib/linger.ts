// The end of a connection after `close`: what was written is still delivered, then writing is shut down
// and input is discarded until the peer's end; closing with unread input would send a reset, which takes
// back delivered bytes on the peer's side. A peer that takes nothing, or too little, is given up (`Patience`). One that has
// taken everything, and does not end, needs no reset: the kernel does the rest.

import { ClosedError } from '../scheduler/errors.ts';
import type { Timers } from '../scheduler/timers.ts';
import type { Output } from './output.ts';
import { Patience, type Waited } from './patience.ts';
import type { Socket, SocketOwner } from './reactor/contract.ts';
import { Uptake } from './uptake.ts';

export class Linger implements SocketOwner, Waited {
  readonly uptake: Uptake;
  readonly #socket: Socket;
  readonly #output: Output;
  readonly #patience: Patience;
  #received = 0;
  #onDelivered: ((error: Error | null) => void) | null = null;
  /** Makes the error for what was not delivered; set once it was given up, when nothing more will be. */
  #lost: (() => Error) | null = null;

  constructor(socket: Socket, output: Output, timers: Timers) {
    this.#socket = socket;
    this.#output = output;
    this.uptake = new Uptake(output);
    socket.owner = this;
    socket.end();
    this.#watch();
    this.#patience = new Patience(this, timers);
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
    this.#patience.stop();
    this.#socket.reset();
    this.#output.abort(reason);
    this.#tell();
  }

  received(): number {
    return this.#received;
  }

  isHeldUp(): boolean {
    return false;
  }

  giveUp(hasAll: boolean): void {
    if (hasAll) this.#socket.release();
    else this.reset(() => new ClosedError(`${this.#output.peer} did not take what was written in time`));
  }

  onReadable(): void {
    try {
      for (let data; (data = this.#socket.read()) !== undefined;) {
        if (data === null) {
          this.#onEnd();
          return;
        }
        this.#received += data.byteLength;
      }
      this.#socket.wantRead();
    } catch {
      // What cuts the reader off has cut the writer off: those who wait for their bytes hear of it first.
      this.#output.onSent();
      this.#tell();
      this.#patience.stop();
      this.#socket.reset();
    }
  }

  onSent(): void {
    this.#output.onSent();
    // A callback of `send` may have reset the connection.
    if (this.#lost !== null) return;
    this.#tell();
    this.#watch();
    if (this.#output.waiting <= 0 && this.#socket.isReadable) this.onReadable();
  }

  /** The peer has ended: nothing that comes can turn into a reset any more, and the kernel delivers what it has. */
  #onEnd(): void {
    if (this.#output.waiting <= 0) this.#patience.stop();
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
      this.#patience.stop();
      this.#socket.reset();
    }
    this.#onDelivered?.(isLost ? (this.#lost?.() ?? this.#output.error()) : null);
    this.#onDelivered = null;
  }
}
