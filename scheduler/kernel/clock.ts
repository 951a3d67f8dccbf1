// Time is passed in: a scheduler asks its clock for the time and for one alarm, so a test can put in a
// clock whose time passes only when nothing is left to do. Invariant: an alarm comes after a poll for input
// that began when its deadline had passed. libuv runs timers before it polls, so a process that was blocked or
// stopped would otherwise expire deadlines while the input that came in time waits in the kernel.

/** The longest delay of a Node timer, in milliseconds (2^31 − 1); later alarms go in steps of it (T5). */
const LONGEST = 2_147_483_647;

/** A source of time with one alarm. */
export interface Clock {
  /** Milliseconds since a moment of its own; never goes back. */
  now(): number;
  /**
   * Calls back in a macrotask once `deadline` has come, or earlier; replaces the alarm set before. `passed` is a time
   * after which input was polled for: whatever came before it has been delivered. By default it is now.
   */
  setAlarm(deadline: number, onAlarm: (passed?: number) => void): void;
  /** Takes the alarm back, if one is set. */
  clearAlarm(): void;
}

type OnAlarm = (passed?: number) => void;

/** What the schedulers of one clock share. */
interface Sharing {
  /** The first of them, which has the alarm of the clock to itself while it is the only one. */
  readonly first: Alarm;
  /** The alarms that are set; null while there is but one scheduler. */
  pending: Set<Alarm> | null;
}

const sharings = new WeakMap<Clock, Sharing>();

/**
 * The alarm of one scheduler. A clock has one, but may have several schedulers: then that is set to the earliest of
 * theirs, and when it comes, those are told whose time it is.
 */
export class Alarm {
  readonly #clock: Clock;
  readonly #onAlarm: OnAlarm;
  readonly #sharing: Sharing;
  #isSet = false;
  #deadline = 0;

  constructor(clock: Clock, onAlarm: OnAlarm) {
    this.#clock = clock;
    this.#onAlarm = onAlarm;
    const sharing = sharings.get(clock);
    this.#sharing = sharing ?? { first: this, pending: null };
    if (sharing === undefined) sharings.set(clock, this.#sharing);
    else sharing.pending ??= new Set(sharing.first.#isSet ? [sharing.first] : []);
  }

  /** Replaces the one that was set before. */
  set(deadline: number): void {
    this.#isSet = true;
    this.#deadline = deadline;
    const { pending } = this.#sharing;
    if (pending === null) {
      this.#clock.setAlarm(deadline, this.#onAlarm);
      return;
    }
    pending.add(this);
    this.#setEarliest(pending);
  }

  clear(): void {
    this.#isSet = false;
    const { pending } = this.#sharing;
    pending?.delete(this);
    if (pending === null || pending.size === 0) this.#clock.clearAlarm();
    // Anew, since a virtual clock waits for a round of the loop in which none of its schedulers had a turn.
    else this.#setEarliest(pending);
  }

  #setEarliest(pending: Set<Alarm>): void {
    let earliest = Infinity;
    for (const alarm of pending) earliest = Math.min(earliest, alarm.#deadline);
    this.#clock.setAlarm(earliest, (passed = this.#clock.now()) => {
      const due = [...pending].filter((alarm) => alarm.#deadline <= passed);
      for (const alarm of due) pending.delete(alarm);
      if (pending.size > 0) this.#setEarliest(pending);
      for (const alarm of due.toSorted((one, other) => one.#deadline - other.#deadline))
        alarm.#onAlarm(passed);
    });
  }
}

/**
 * @internal Calls back once input was polled for, and what came has got to whoever waits for it; for a deadline that has
 * passed. Gives a function that takes the call back.
 */
export function afterPoll(callback: () => void): () => void {
  // Immediates run after the poll that follows the timers. What it has brought may take one of them as well, as the end
  // of a TLS handshake does: so this is the one after.
  let immediate = setImmediate(() => {
    immediate = setImmediate(callback);
  });
  return () => clearImmediate(immediate);
}

/** The time of the system, with a Node timer as its alarm. */
export class RealClock implements Clock {
  #timer: NodeJS.Timeout | null = null;
  /** Set while the time has come, and the poll that follows has not ended. */
  #cancelAlarm: (() => void) | null = null;
  #deadline = Infinity;

  now(): number {
    return performance.now();
  }

  setAlarm(deadline: number, onAlarm: (passed: number) => void): void {
    // An alarm that comes too early does no harm and saves a new timer: the next one is set then.
    if (this.#cancelAlarm !== null || (this.#timer !== null && this.#deadline <= deadline)) return;
    this.clearAlarm();
    this.#deadline = deadline;
    const delay = Math.min(Math.max(Math.ceil(deadline - this.now()), 1), LONGEST);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const passed = this.now();
      this.#cancelAlarm = afterPoll(() => {
        this.#cancelAlarm = null;
        onAlarm(passed);
      });
    }, delay);
  }

  clearAlarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#cancelAlarm?.();
    this.#timer = null;
    this.#cancelAlarm = null;
  }
}

/**
 * Time that passes only when no coroutine is ready: then it jumps to the next deadline. Hours of
 * sleeping take no time in a test, and always end in the same order.
 *
 * @example
 * ```ts
 * import { Scheduler, sleep, VirtualClock } from 'skein';
 *
 * const clock = new VirtualClock();
 * await new Scheduler({ clock }).run(() => sleep(60_000));
 * console.log(clock.now()); // 60000
 * ```
 */
export class VirtualClock implements Clock {
  #now = 0;
  #jump: NodeJS.Immediate | null = null;

  now(): number {
    return this.#now;
  }

  setAlarm(deadline: number, onAlarm: () => void): void {
    // Set anew after every turn, so the jump comes only after a round of the loop without one.
    this.clearAlarm();
    if (deadline === Infinity) return;
    this.#jump = setImmediate(() => {
      this.#jump = null;
      this.#now = Math.max(this.#now, deadline);
      onAlarm();
    });
  }

  clearAlarm(): void {
    if (this.#jump !== null) clearImmediate(this.#jump);
    this.#jump = null;
  }
}
