// All timers of a scheduler under one alarm of its clock. Arming links a timer into the list of fresh
// ones; at the end of the turn one reading of the clock stamps them all into a heap. So a timer is never
// early, arming costs no clock reading, and one that is cancelled in its own turn never touches the heap.
// A timer that is cancelled later leaves a dead entry in the heap, known by its sequence number, until the
// dead outnumber the living. The heap knows timers by their slots in a table and not themselves: so a dead
// entry keeps nothing alive, and cleaning looks at no timer, which costs a cache miss each.
//
//   arm ──► fresh ◄──► fresh ── settle ──► heap (4-ary: deadline, sequence, slot) ── alarm ──► expire

import { Alarm, type Clock } from './clock.ts';
import type { Leaf } from './operation.ts';
import { reportUncaught } from './warnings.ts';

/** Dead entries that are not worth a cleaning. */
const FEW = 64;

export class Timers {
  readonly clock: Clock;
  readonly #alarm: Alarm;
  readonly #onFresh: () => void;
  #sequence = 0;
  /** Armed and not cancelled, fresh or in the heap. */
  #live = 0;
  /** All input that came before this time was delivered. */
  #passed = -Infinity;
  /** Has the clock look for those that only ask, and do not wait; null before the first of them. */
  #witness: Timer | null = null;
  #firstFresh: Timer | null = null;
  #lastFresh: Timer | null = null;
  /** The heap's entries, a column each. */
  readonly #deadlines: number[] = [];
  readonly #sequences: number[] = [];
  readonly #slots: number[] = [];
  /** The table, by slot: the timers, and the number of each one's arming; null and 0 where it is free. */
  readonly #timers: (Timer | null)[] = [];
  readonly #armings: number[] = [];
  readonly #freeSlots: number[] = [];

  constructor(clock: Clock, onFresh: () => void) {
    this.clock = clock;
    this.#onFresh = onFresh;
    this.#alarm = new Alarm(clock, (passed) => this.#expireDue(passed));
  }

  /** Timers that are armed. */
  get live(): number {
    return this.#live;
  }

  /**
   * Whether a deadline has passed and input was polled for since. What the clock alone says is not enough to give
   * something up: the input that came in time may still be in the kernel. Only an alarm moves this on.
   */
  hasPassed(deadline: number): boolean {
    return deadline <= this.#passed;
  }

  /** As `hasPassed`, for whoever may ask again instead of waiting: the clock is made to look. */
  isOver(deadline: number): boolean {
    if (deadline <= this.#passed) return true;
    if (this.clock.now() < deadline) return false;
    this.#witness ??= new Timer(this, () => {});
    if (this.#witness.sequence === 0) this.#witness.startAt(deadline);
    return false;
  }

  arm(timer: Timer): void {
    // First: if the stack overflows in it, nothing has been changed.
    if (this.#lastFresh === null) this.#onFresh();
    timer.sequence = ++this.#sequence;
    timer.earlier = this.#lastFresh;
    if (this.#lastFresh === null) this.#firstFresh = timer;
    else this.#lastFresh.later = timer;
    this.#lastFresh = timer;
    this.#live++;
  }

  cancel(timer: Timer): void {
    if (timer.sequence === 0) return;
    timer.sequence = 0;
    this.#live--;
    if (timer.slot < 0) {
      this.#unlink(timer);
    } else {
      this.#leaveSlot(timer);
      if (this.#slots.length > 2 * this.#live + FEW) this.#clean();
    }
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
        this.#push(timer.isAbsolute ? timer.due : now + timer.due, timer.sequence, this.#takeSlot(timer));
      }
    }
    if (this.#live === 0) {
      if (this.#slots.length > 0) this.#clean();
      this.#alarm.clear();
    } else {
      this.#alarm.set(this.#deadlines[0]!);
    }
  }

  #expireDue(passed = this.clock.now()): void {
    this.#passed = passed;
    while (this.#slots.length > 0 && this.#deadlines[0]! <= passed) {
      const slot = this.#slots[0]!;
      const isDead = this.#armings[slot] !== this.#sequences[0];
      this.#shift();
      if (isDead) continue;
      const timer = this.#timers[slot]!;
      this.#leaveSlot(timer);
      timer.sequence = 0;
      this.#live--;
      try {
        timer.expire();
      } catch (error) {
        // Those that are due as well, and all later ones, must not be lost with it.
        reportUncaught('an internal error when a timer expired', error);
      }
    }
    this.#onFresh();
  }

  #takeSlot(timer: Timer): number {
    const slot = this.#freeSlots.pop() ?? this.#timers.length;
    timer.slot = slot;
    this.#timers[slot] = timer;
    this.#armings[slot] = timer.sequence;
    return slot;
  }

  #leaveSlot(timer: Timer): void {
    const { slot } = timer;
    timer.slot = -1;
    this.#timers[slot] = null;
    this.#armings[slot] = 0;
    this.#freeSlots.push(slot);
  }

  #unlink(timer: Timer): void {
    if (timer.earlier === null) this.#firstFresh = timer.later;
    else timer.earlier.later = timer.later;
    if (timer.later === null) this.#lastFresh = timer.earlier;
    else timer.later.earlier = timer.earlier;
    timer.earlier = null;
    timer.later = null;
  }

  #push(deadline: number, sequence: number, slot: number): void {
    let index = this.#slots.length;
    while (index > 0) {
      const parent = (index - 1) >> 2;
      if (!this.#isBefore(deadline, sequence, parent)) break;
      this.#set(index, this.#deadlines[parent]!, this.#sequences[parent]!, this.#slots[parent]!);
      index = parent;
    }
    this.#set(index, deadline, sequence, slot);
  }

  #shift(): void {
    const deadline = this.#deadlines.pop()!;
    const sequence = this.#sequences.pop()!;
    const slot = this.#slots.pop()!;
    if (this.#slots.length > 0) this.#sink(0, deadline, sequence, slot);
  }

  #sink(start: number, deadline: number, sequence: number, slot: number): void {
    const { length } = this.#slots;
    let index = start;
    for (;;) {
      const first = 4 * index + 1;
      if (first >= length) break;
      let least = first;
      for (let child = first + 1; child < first + 4 && child < length; child++) {
        if (this.#isBefore(this.#deadlines[child]!, this.#sequences[child]!, least)) least = child;
      }
      if (this.#isBefore(deadline, sequence, least)) break;
      this.#set(index, this.#deadlines[least]!, this.#sequences[least]!, this.#slots[least]!);
      index = least;
    }
    this.#set(index, deadline, sequence, slot);
  }

  #isBefore(deadline: number, sequence: number, index: number): boolean {
    const other = this.#deadlines[index]!;
    return deadline < other || (deadline === other && sequence < this.#sequences[index]!);
  }

  #set(index: number, deadline: number, sequence: number, slot: number): void {
    this.#deadlines[index] = deadline;
    this.#sequences[index] = sequence;
    this.#slots[index] = slot;
  }

  /** Drops the dead entries and builds the heap anew. */
  #clean(): void {
    let kept = 0;
    for (let index = 0; index < this.#slots.length; index++) {
      const slot = this.#slots[index]!;
      if (this.#armings[slot] !== this.#sequences[index]) continue;
      this.#set(kept++, this.#deadlines[index]!, this.#sequences[index]!, slot);
    }
    this.#deadlines.length = this.#sequences.length = this.#slots.length = kept;
    for (let index = (kept - 2) >> 2; index >= 0; index--) {
      this.#sink(index, this.#deadlines[index]!, this.#sequences[index]!, this.#slots[index]!);
    }
    if (kept === 0) this.#timers.length = this.#armings.length = this.#freeSlots.length = 0;
  }
}

/** What is called when a timer expires: an operation, or a callback. */
type Expirable = Leaf<void> | (() => void);

/** A timer. It can be armed anew at any time; none is due while nobody has armed it. */
export class Timer {
  /** 0 while not armed; else the number of this arming, which breaks ties between equal deadlines. */
  declare sequence: number;
  /** Milliseconds from the end of the turn in which it is armed, or an absolute time of the clock. */
  declare due: number;
  declare isAbsolute: boolean;
  /** Where it stands in the table; -1 while it is not armed, or fresh. */
  declare slot: number;
  declare earlier: Timer | null;
  declare later: Timer | null;
  declare timers: Timers;
  declare owner: Expirable;

  constructor(timers: Timers, owner: Expirable) {
    this.sequence = 0;
    this.due = 0;
    this.isAbsolute = false;
    this.slot = -1;
    this.earlier = null;
    this.later = null;
    this.timers = timers;
    this.owner = owner;
  }

  /** Expires in `ms` milliseconds. */
  start(ms: number): void {
    arm(this, ms, false);
  }

  /** Expires when the clock says `deadline`; at once if it has passed. */
  startAt(deadline: number): void {
    arm(this, deadline, true);
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

function arm(timer: Timer, due: number, isAbsolute: boolean): void {
  timer.stop();
  timer.due = due;
  timer.isAbsolute = isAbsolute;
  timer.timers.arm(timer);
}
