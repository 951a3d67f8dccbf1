// Notices silence. The time of the last byte is only noted; the timer looks at it when it expires, so a
// byte costs no new timer (T2, T4).

import type { Scheduler } from '../scheduler/scheduler.ts';
import { Timer } from '../scheduler/timers.ts';

/** Milliseconds in which input that is there comes from the kernel. */
const MOMENT = 25;

export class IdleTimer {
  readonly #scheduler: Scheduler;
  readonly #timer: Timer;
  readonly #onIdle: () => void;
  #timeout = 0;
  #lastActivity = 0;

  constructor(scheduler: Scheduler, onIdle: () => void) {
    this.#scheduler = scheduler;
    this.#onIdle = onIdle;
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

  /** Looks again in a moment. */
  lookAgain(): void {
    this.#timer.start(MOMENT);
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
    if (this.#scheduler.clock.now() < due) this.#timer.startAt(due);
    else this.#onIdle();
  }
}
