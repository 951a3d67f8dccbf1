// Notices silence on a connection, and a request that takes too long to come. Times are only noted, and looked at when the
// timer expires, so neither a byte nor a request costs a new timer (T2, T4). A peer is not silent while what it has sent was
// not read yet, nor while it takes what the kernel holds for it. An idle timeout is a gap; the time of a request is a total,
// against clients that send a byte now and then (slowloris).

import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { Timer } from '../../scheduler/kernel/timers.ts';

/** The reading side, to the one who looks. */
interface Reading {
  /** Somebody waits for bytes. */
  readonly reader: object | null;
  readonly isReadable: boolean;
  /** Has what is in the kernel fetched. */
  look(): void;
}

/** The writing side: how far it is. */
interface Writing {
  readonly position: number;
}

/** Whether the peer takes what was written. */
interface Taking {
  isTaking(): boolean;
}

/** Milliseconds in which input that is there comes from the kernel. */
const MOMENT = 25;

export class IdleTimer {
  readonly #scheduler: Scheduler;
  readonly #timer: Timer;
  readonly #input: Reading;
  readonly #uptake: Taking;
  readonly #onSilence: () => void;
  #timeout = 0;
  #lastActivity = 0;
  /** Input was asked for although nobody reads, to tell silence from a slow reader. */
  #hasLooked = false;

  constructor(scheduler: Scheduler, input: Reading, uptake: Taking, onSilence: () => void) {
    this.#scheduler = scheduler;
    this.#input = input;
    this.#uptake = uptake;
    this.#onSilence = onSilence;
    this.#timer = new Timer(scheduler.timers, () => this.#look());
  }

  /** Milliseconds of silence; 0 while it is off. */
  get timeout(): number {
    return this.#timeout;
  }

  /** Counts anew from now. */
  start(timeout: number): void {
    this.#timeout = timeout;
    this.#timer.stop();
    if (timeout === 0) return;
    this.touch();
    this.#timer.startAt(this.#lastActivity + timeout);
  }

  stop(): void {
    this.#timer.stop();
  }

  /** A byte has come or gone. */
  touch(): void {
    if (this.#timeout > 0) this.#lastActivity = this.#scheduler.clock.now();
  }

  #look(): void {
    const due = this.#lastActivity + this.#timeout;
    if (!this.#scheduler.timers.hasPassed(due)) {
      this.#timer.startAt(due);
    } else if (this.#input.isReadable) {
      this.#hasLooked = false;
      this.start(this.#timeout);
    } else if (this.#input.reader === null && !this.#hasLooked) {
      // With no reader it may still be in the kernel, so a last look is taken.
      this.#hasLooked = true;
      this.#input.look();
      this.#timer.start(MOMENT);
    } else if (this.#uptake.isTaking()) {
      this.#hasLooked = false;
      this.start(this.#timeout);
    } else {
      this.#onSilence();
    }
  }
}

/** How much later one looks again, in parts of the timeout, while the handler is at work and reads nothing. */
const PARTS = 10;

/**
 * A request begins with the first byte that is read after something was written, and has been answered once something is
 * written again; nobody has to say so.
 */
export class RequestTimer {
  readonly #scheduler: Scheduler;
  readonly #timer: Timer;
  readonly #input: Reading;
  readonly #output: Writing;
  readonly #onOverdue: () => void;
  #timeout = 0;
  #begunAt = 0;
  /** Bytes that had been written when the request began; -1 before the first one. */
  #position = -1;
  #isRunning = false;

  constructor(scheduler: Scheduler, input: Reading, output: Writing, onOverdue: () => void) {
    this.#scheduler = scheduler;
    this.#input = input;
    this.#output = output;
    this.#onOverdue = onOverdue;
    this.#timer = new Timer(scheduler.timers, () => this.#look());
  }

  /** Milliseconds in all; 0 while it is off. */
  get timeout(): number {
    return this.#timeout;
  }

  /** A request of which something has come already counts from now. */
  start(timeout: number): void {
    this.stop();
    this.#timeout = timeout;
    this.#position = -1;
  }

  stop(): void {
    this.#timer.stop();
    this.#isRunning = false;
  }

  /** Bytes have come. */
  touch(): void {
    if (this.#timeout === 0 || this.#output.position === this.#position) return;
    this.#position = this.#output.position;
    this.#begunAt = this.#scheduler.clock.now();
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#timer.startAt(this.#begunAt + this.#timeout);
  }

  #look(): void {
    this.#isRunning = this.#output.position === this.#position;
    if (!this.#isRunning) return;
    const due = this.#begunAt + this.#timeout;
    if (!this.#scheduler.timers.hasPassed(due)) this.#timer.startAt(due);
    else if (this.#input.reader === null) this.#timer.start(this.#timeout / PARTS);
    else this.#onOverdue();
  }
}
