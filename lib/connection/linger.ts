// The end of a connection after `close`: what was written is still delivered, then writing is shut down and input is discarded
// until the peer's end; closing with unread input would send a reset, which takes back delivered bytes on the peer's side. A
// peer that takes nothing, or too little, is given up (N6); one that has taken everything, and does not end, needs no reset: the
// kernel does the rest. `Patience` says how long a peer is waited for, and `Uptake` what it takes.

import { ClosedError } from '../../scheduler/kernel/errors.ts';
import { Timer, type Timers } from '../../scheduler/kernel/timers.ts';
import type { Socket, SocketOwner } from '../reactor/contract.ts';
import type { Output } from './output.ts';

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
    else this.#tell();
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

/** Milliseconds between two looks at what the peer has taken. */
const EVERY = 1_000;
/** So many looks without progress end it. */
const LOOKS = 5;
/**
 * So many where the system does not tell what the peer takes, since the kernel takes more in steps of up to megabytes; and
 * while the peer may have reason to be silent.
 */
const LOOKS_AT_MOST = 30;
/** Within so many looks the peer has to take so many bytes. */
const WINDOW = 30;
const AT_LEAST = WINDOW * 1_024;

export interface Waited {
  readonly uptake: Uptake;
  /** Bytes that have come from the peer: more of them are progress, too. */
  received(): number;
  /** Whether the peer may have reason to be silent: it waits for this side, or is at work on what it has. */
  isHeldUp(): boolean;
  /** It is given up. If it has taken everything, nothing is lost by leaving the rest to the kernel. */
  giveUp(hasAll: boolean): void;
}

/**
 * One that makes no progress for 5 s is given up, and so is one that takes less than 1 KiB/s for 30 s (N6). Progress is what
 * the peer takes, and not what the kernel does: that may have accepted megabytes at once. So there is no limit to the time in
 * all: a slow but steady reader gets everything.
 */
export class Patience {
  readonly #peer: Waited;
  readonly #timer: Timer;
  /** What the peer took between the last looks. */
  readonly #taken: number[] = [];
  #received: number;
  /** Looks since the last progress. */
  #idleLooks = 0;

  constructor(peer: Waited, timers: Timers) {
    this.#peer = peer;
    this.#received = peer.received();
    this.#timer = new Timer(timers, () => this.#look());
    this.#timer.start(EVERY);
  }

  stop(): void {
    this.#timer.stop();
  }

  #look(): void {
    const { uptake } = this.#peer;
    const taken = uptake.look();
    this.#taken.push(taken);
    const received = this.#peer.received();
    if (taken > 0 || received !== this.#received) this.#idleLooks = 0;
    else this.#idleLooks++;
    this.#received = received;
    const looks = uptake.isTold && !this.#peer.isHeldUp() ? LOOKS : LOOKS_AT_MOST;
    if (this.#idleLooks < looks && !this.#isTooSlow()) this.#timer.start(EVERY);
    else this.#peer.giveUp(uptake.left === 0);
  }

  #isTooSlow(): boolean {
    const taken = this.#taken;
    // The first look has nothing to compare with.
    if (taken.length <= WINDOW) return false;
    taken.shift();
    return taken.reduce((sum, size) => sum + size) < AT_LEAST;
  }
}

/** What it looks at: the socket of an output, which is another one once TLS has begun. */
export interface Taken {
  readonly socket: Pick<Socket, 'unacknowledged' | 'written' | 'sent'>;
}

/**
 * Tells a slow reader from one that is gone: that the kernel has taken the bytes says nothing of the peer. A look is a system
 * call, and compares with the look before; so it costs nothing until a timer is about to give a connection up, and is not for
 * anything that happens per message.
 */
export class Uptake {
  readonly #output: Taken;
  /** What the peer had taken at the last look; undefined before the first. */
  #taken: number | undefined;
  #left = 0;
  #isTold = true;

  constructor(output: Taken) {
    this.#output = output;
  }

  /** Looks: gives the bytes that the peer has taken since the last look, 0 the first time. */
  look(): number {
    const { socket } = this.#output;
    const unacknowledged = socket.unacknowledged();
    this.#isTold = unacknowledged !== undefined;
    this.#left = unacknowledged ?? socket.written - socket.sent;
    const taken = socket.written - this.#left;
    const more = Math.max(0, taken - (this.#taken ?? taken));
    this.#taken = taken;
    return more;
  }

  /**
   * Looks: whether a peer that was silent for the whole of a timeout should have it once more, since it has taken some of
   * what was left at the last look. Something may have been taken before the first look: there it is enough that something
   * is left.
   */
  isTaking(): boolean {
    const isFirst = this.#taken === undefined;
    const leftBefore = this.#left;
    const more = this.look();
    return isFirst ? this.#left > 0 : more > 0 && (leftBefore > 0 || this.#left > 0);
  }

  /** Bytes that the peer had not taken at the last look. */
  get left(): number {
    return this.#left;
  }

  /** Whether the system tells what the peer takes. If it does not, all that is known is what the kernel has taken. */
  get isTold(): boolean {
    return this.#isTold;
  }
}
