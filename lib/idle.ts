// Notices silence. The time of the last byte is only noted; the timer looks at it when it expires, so a
// byte costs no new timer (T2, T4). What came and was not read yet is no silence of the peer, and neither is it while
// the peer takes what the kernel holds for it.

import type { Scheduler } from '../scheduler/scheduler.ts';
import { Timer } from '../scheduler/timers.ts';
import type { Input } from './input.ts';
import type { Uptake } from './uptake.ts';

/** Milliseconds in which input that is there comes from the kernel. */
const MOMENT = 25;

export class IdleTimer {
  readonly #scheduler: Scheduler;
  readonly #timer: Timer;
  readonly #input: Input;
  readonly #uptake: Uptake;
  readonly #onSilence: () => void;
  #timeout = 0;
  #lastActivity = 0;
  /** Input was asked for although nobody reads, to tell silence from a slow reader. */
  #hasLooked = false;

  constructor(scheduler: Scheduler, input: Input, uptake: Uptake, onSilence: () => void) {
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
