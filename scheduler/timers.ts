// All timers of a scheduler under one alarm of its clock. Arming links a timer into the list of fresh
// ones; at the end of the turn one reading of the clock stamps them all into a heap. So a timer is never
// early, arming costs no clock reading, and one that is cancelled in its own turn never touches the heap.
// A timer that is cancelled later stays in the heap as a dead entry, known by its sequence number, until
// the dead outnumber the living.
//
//   arm ──► fresh ◄──► fresh ── settle ──► heap (4-ary: deadline, sequence, timer) ── alarm ──► expire

import type { Clock } from './clock.ts';

/** Something that expires; timers live in the operations that wait for them. */
export interface Timed {
  /** 0 while not armed; else the number of this arming, which breaks ties between equal deadlines. */
  sequence: number;
  /** Milliseconds from the end of the turn in which it was armed, or an absolute time of the clock. */
  due: number;
  isAbsolute: boolean;
  earlier: Timed | null;
  later: Timed | null;
  expire(): void;
}

/** Dead entries that are not worth a cleaning. */
const FEW = 64;

export class Timers {
  readonly clock: Clock;
  readonly #onFresh: () => void;
  #sequence = 0;
  /** Armed and not cancelled, fresh or in the heap. */
  #live = 0;
  #firstFresh: Timed | null = null;
  #lastFresh: Timed | null = null;
  /** The heap's entries, a column each. */
  readonly #deadlines: number[] = [];
  readonly #sequences: number[] = [];
  readonly #timers: Timed[] = [];

  constructor(clock: Clock, onFresh: () => void) {
    this.clock = clock;
    this.#onFresh = onFresh;
  }

  /** Timers that are armed. */
  get live(): number {
    return this.#live;
  }

  arm(timer: Timed): void {
    timer.sequence = ++this.#sequence;
    timer.earlier = this.#lastFresh;
    if (this.#lastFresh === null) {
      this.#firstFresh = timer;
      this.#onFresh();
    } else {
      this.#lastFresh.later = timer;
    }
    this.#lastFresh = timer;
    this.#live++;
  }

  cancel(timer: Timed): void {
    if (timer.sequence === 0) return;
    timer.sequence = 0;
    this.#live--;
    if (timer === this.#firstFresh || timer.earlier !== null) this.#unlink(timer);
    else if (this.#timers.length > 2 * this.#live + FEW) this.#clean();
    // The alarm of a timer that is gone must not keep the process alive.
    if (this.#live === 0) this.#onFresh();
  }

  /** Stamps the fresh timers, expires what is due and sets the alarm; called at the end of every turn. */
  settle(): void {
    if (this.#firstFresh !== null) {
      const now = this.clock.now();
      while (this.#firstFresh !== null) {
        const timer = this.#firstFresh;
        this.#unlink(timer);
        this.#push(timer.isAbsolute ? timer.due : now + timer.due, timer.sequence, timer);
      }
    }
    if (this.#live === 0) {
      this.#clean();
      this.clock.clearAlarm();
    } else {
      this.clock.setAlarm(this.#deadlines[0]!, this.#onAlarm);
    }
  }

  readonly #onAlarm = (): void => {
    const now = this.clock.now();
    while (this.#timers.length > 0 && this.#deadlines[0]! <= now) {
      const sequence = this.#sequences[0]!;
      const timer = this.#timers[0]!;
      this.#shift();
      if (timer.sequence !== sequence) continue;
      timer.sequence = 0;
      this.#live--;
      timer.expire();
    }
    this.#onFresh();
  };

  #unlink(timer: Timed): void {
    if (timer.earlier === null) this.#firstFresh = timer.later;
    else timer.earlier.later = timer.later;
    if (timer.later === null) this.#lastFresh = timer.earlier;
    else timer.later.earlier = timer.earlier;
    timer.earlier = null;
    timer.later = null;
  }

  #push(deadline: number, sequence: number, timer: Timed): void {
    let index = this.#timers.length;
    while (index > 0) {
      const parent = (index - 1) >> 2;
      if (!this.#isBefore(deadline, sequence, parent)) break;
      this.#set(index, this.#deadlines[parent]!, this.#sequences[parent]!, this.#timers[parent]!);
      index = parent;
    }
    this.#set(index, deadline, sequence, timer);
  }

  #shift(): void {
    const deadline = this.#deadlines.pop()!;
    const sequence = this.#sequences.pop()!;
    const timer = this.#timers.pop()!;
    if (this.#timers.length > 0) this.#sink(0, deadline, sequence, timer);
  }

  #sink(start: number, deadline: number, sequence: number, timer: Timed): void {
    const { length } = this.#timers;
    let index = start;
    for (;;) {
      const first = 4 * index + 1;
      if (first >= length) break;
      let least = first;
      for (let child = first + 1; child < first + 4 && child < length; child++) {
        if (this.#isBefore(this.#deadlines[child]!, this.#sequences[child]!, least)) least = child;
      }
      if (this.#isBefore(deadline, sequence, least)) break;
      this.#set(index, this.#deadlines[least]!, this.#sequences[least]!, this.#timers[least]!);
      index = least;
    }
    this.#set(index, deadline, sequence, timer);
  }

  #isBefore(deadline: number, sequence: number, index: number): boolean {
    const other = this.#deadlines[index]!;
    return deadline < other || (deadline === other && sequence < this.#sequences[index]!);
  }

  #set(index: number, deadline: number, sequence: number, timer: Timed): void {
    this.#deadlines[index] = deadline;
    this.#sequences[index] = sequence;
    this.#timers[index] = timer;
  }

  /** Drops the dead entries and builds the heap anew. */
  #clean(): void {
    let kept = 0;
    for (let index = 0; index < this.#timers.length; index++) {
      const timer = this.#timers[index]!;
      if (timer.sequence !== this.#sequences[index]) continue;
      this.#set(kept++, this.#deadlines[index]!, this.#sequences[index]!, timer);
    }
    this.#deadlines.length = this.#sequences.length = this.#timers.length = kept;
    for (let index = (kept - 2) >> 2; index >= 0; index--) {
      this.#sink(index, this.#deadlines[index]!, this.#sequences[index]!, this.#timers[index]!);
    }
  }
}

/** A timer of its own, for what is not an operation. */
export class Timer implements Timed {
  sequence = 0;
  due = 0;
  isAbsolute = false;
  earlier: Timed | null = null;
  later: Timed | null = null;
  readonly #timers: Timers;
  readonly #onExpire: () => void;

  constructor(timers: Timers, onExpire: () => void) {
    this.#timers = timers;
    this.#onExpire = onExpire;
  }

  /** Expires in `ms` milliseconds. */
  start(ms: number): void {
    this.#arm(ms, false);
  }

  /** Expires when the clock says `deadline`; at once if it has passed. */
  startAt(deadline: number): void {
    this.#arm(deadline, true);
  }

  stop(): void {
    this.#timers.cancel(this);
  }

  expire(): void {
    this.#onExpire();
  }

  #arm(due: number, isAbsolute: boolean): void {
    this.stop();
    this.due = due;
    this.isAbsolute = isAbsolute;
    this.#timers.arm(this);
  }
}
