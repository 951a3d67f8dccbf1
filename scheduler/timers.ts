// All timers of a scheduler under one alarm of its clock. Arming links a timer into the list of fresh
// ones; at the end of the turn one reading of the clock stamps them all into a heap. So a timer is never
// early, arming costs no clock reading, and one that is cancelled in its own turn never touches the heap.
// A timer that is cancelled later stays in the heap as a dead entry, known by its sequence number, until
// the dead outnumber the living.
//
//   arm ──► fresh ◄──► fresh ── settle ──► heap (4-ary: deadline, sequence, timer) ── alarm ──► expire

import type { Clock } from './clock.ts';
import type { Leaf } from './operation.ts';

/** Dead entries that are not worth a cleaning. */
const FEW = 64;

export class Timers {
  readonly clock: Clock;
  readonly #onFresh: () => void;
  #sequence = 0;
  /** Armed and not cancelled, fresh or in the heap. */
  #live = 0;
  #firstFresh: Timer | null = null;
  #lastFresh: Timer | null = null;
  /** The heap's entries, a column each. */
  readonly #deadlines: number[] = [];
  readonly #sequences: number[] = [];
  readonly #timers: Timer[] = [];

  constructor(clock: Clock, onFresh: () => void) {
    this.clock = clock;
    this.#onFresh = onFresh;
  }

  /** Timers that are armed. */
  get live(): number {
    return this.#live;
  }

  arm(timer: Timer): void {
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

  cancel(timer: Timer): void {
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

  #unlink(timer: Timer): void {
    if (timer.earlier === null) this.#firstFresh = timer.later;
    else timer.earlier.later = timer.later;
    if (timer.later === null) this.#lastFresh = timer.earlier;
    else timer.later.earlier = timer.earlier;
    timer.earlier = null;
    timer.later = null;
  }

  #push(deadline: number, sequence: number, timer: Timer): void {
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

  #sink(start: number, deadline: number, sequence: number, timer: Timer): void {
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

  #set(index: number, deadline: number, sequence: number, timer: Timer): void {
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

/** Who hears of it when a timer expires: an operation, or a callback. */
type Expirable = Leaf<void> | (() => void);

/** A timer. It can be armed anew at any time; none is due while nobody has armed it. */
export class Timer {
  /** 0 while not armed; else the number of this arming, which breaks ties between equal deadlines. */
  declare sequence: number;
  /** Milliseconds from the end of the turn in which it is armed, or an absolute time of the clock. */
  declare due: number;
  declare isAbsolute: boolean;
  declare earlier: Timer | null;
  declare later: Timer | null;
  declare timers: Timers;
  declare owner: Expirable;

  constructor(timers: Timers, owner: Expirable) {
    this.sequence = 0;
    this.due = 0;
    this.isAbsolute = false;
    this.earlier = null;
    this.later = null;
    this.timers = timers;
    this.owner = owner;
  }

  /** Expires in `ms` milliseconds. */
  start(ms: number): void {
    this.stop();
    this.due = ms;
    this.isAbsolute = false;
    this.timers.arm(this);
  }

  /** Expires when the clock says `deadline`; at once if it has passed. */
  startAt(deadline: number): void {
    this.stop();
    this.due = deadline;
    this.isAbsolute = true;
    this.timers.arm(this);
  }

  stop(): void {
    this.timers.cancel(this);
  }

  expire(): void {
    const { owner } = this;
    if (typeof owner === 'function') owner();
    else owner.kind.expire(owner);
  }
}
