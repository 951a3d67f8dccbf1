// Runs coroutines: the ready queue, the resume loop, the limits that keep it fair. Invariants: ready
// coroutines run in FIFO order (S1) and never on their waker's stack (S2); a turn runs in microtasks of
// one macrotask, and when its time is up it goes on in the next one, so that timers, signals and I/O go
// on whatever is ready (S4).

import {
  checkRunOptions,
  checkSchedulerOptions,
  checkSpawnOptions,
  type RunOptions,
  type SchedulerOptions,
  type SpawnOptions,
} from './arguments.ts';
import { captureContext, outside, outsideInContinuation, settled } from './async-context.ts';
import { beginYielded, stepYielded } from './bare-yield.ts';
import { type Clock, RealClock } from './clock.ts';
import { abandon, conclude, Coroutine, enroll, observe, running, start } from './coroutine.ts';
import { CancelledError, inWords } from './errors.ts';
import { closeInside } from './inner-scope.ts';
import { ARMED, type Body, type Co, core, SUSPENDED } from './operation.ts';
import { Random } from './random.ts';
import { Extras, type Scope } from './scope.ts';
import { watchSignal } from './signals.ts';
import { Timers } from './timers.ts';
import { reportUncaught, warnOfHold } from './warnings.ts';

/** Operations in a row before a coroutine gives way (S3). */
const STREAK = 128;
/** Operations and resumes between two readings of the clock. */
const CLOCK_EVERY = 32;
/** Milliseconds of a turn. */
const TURN = 10;
/** Clock readings in a turn, for a clock that stands still while coroutines run. */
const READINGS_PER_TURN = 4096;

/** Coroutines that are started inside each other before the stack is spared. */
const DEEP = 64;

/**
 * A world of its own: coroutines, timers and a clock. `run` and `spawn` use the default one; a test
 * makes its own to hand in another clock.
 *
 * @example
 * ```ts
 * import { Scheduler, sleep, VirtualClock } from 'skein';
 *
 * const scheduler = new Scheduler({ clock: new VirtualClock() });
 * await scheduler.run(() => sleep(3_600_000)); // at once
 * ```
 */
export class Scheduler {
  /** The time by which this scheduler's timers run. */
  readonly clock: Clock;
  /** @internal The network of its sockets; those who make sockets know what it is, and put it there if it is null. */
  network: object | null;
  /** @internal */ readonly timers: Timers;
  /** @internal What chance decides by: `select`, the jitter of `retry`. */
  readonly random: Random;
  /** @internal When this turn's coroutines were born: whole milliseconds of the clock. */
  get turnTime(): number {
    if (this.#turnTime < 0) this.#turnTime = Math.round(this.clock.now());
    return this.#turnTime;
  }
  /** Below zero until it is asked for. */
  #turnTime = -1;
  readonly #holdLimit: number;
  #first: Coroutine<unknown> | null = null;
  #last: Coroutine<unknown> | null = null;
  #isRunning = false;
  /** Events are being told, at the end of which the queue is run. */
  #isBatch = false;
  /** A microtask will run the queue. */
  #isScheduled = false;
  /** The turn's time is up: the queue waits for the next macrotask. */
  #isSpent = false;
  /** Coroutines that are being started inside each other. */
  #nesting = 0;
  /** Comes when the turn's macrotask is over; null while half of the turn's time has not passed. */
  #turnEnd: NodeJS.Immediate | null = null;
  /** When this half of the turn began, or one before it: most turns are too short to be timed at all. */
  #turnStart = 0;
  #readings = 0;
  readonly #drainOutside = (): void => this.#drain();
  readonly #drainFromMicrotask = (): void => {
    this.#isScheduled = false;
    if (!this.#isSpent) outsideInContinuation(this.#drainOutside);
  };
  readonly #beginTurn = (): void => {
    this.#turnEnd = null;
    this.#turnStart = this.clock.now();
    this.#readings = 0;
    this.#isSpent = false;
    outside(this.#drainOutside);
  };

  constructor(options: SchedulerOptions = {}) {
    checkSchedulerOptions(options);
    this.clock = options.clock ?? new RealClock();
    const { holdLimit, seed, network = null } = options;
    this.network = network;
    this.#holdLimit = holdLimit ?? (process.env['NODE_ENV'] === 'production' ? Infinity : 100);
    this.random = new Random(seed);
    this.timers = new Timers(this.clock, () => this.#schedule());
  }

  /** Runs a body as the root of a tree of coroutines of this scheduler; see the function `run`. */
  run<T>(body: Body<T>, options: RunOptions = {}): Promise<Awaited<T>> {
    try {
      checkRunOptions(options);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    const { signal, name, asyncContext } = options;
    if (signal?.aborted) return Promise.reject(new CancelledError(signal.reason));
    return new Promise((resolve, reject) => {
      const root = this.spawn(null, body, { name });
      if (asyncContext === true) keepContext(root);
      const unwatch = signal && watchSignal(signal, () => root.cancel(signal.reason));
      // The result first: a signal that somebody has made may throw when its listener is removed.
      observe(
        root,
        (value) => (resolve(value as Awaited<T>), unwatch?.()),
        (error) => (reject(error as Error), unwatch?.()),
      );
    });
  }

  /** @internal */
  spawn<T>(parent: Scope | null, body: Body<T>, options: SpawnOptions | undefined): Coroutine<T> {
    if (typeof body !== 'function') {
      const hint = typeof (body as Co<T> | null)?.next === 'function' ? '; write `() => body()`' : '';
      throw new TypeError(`expected a generator function, got ${inWords(body)}${hint}`);
    }
    // Out of a callback nobody runs: then the values are those of the scope's own coroutine.
    const spawner = running() ?? (parent === null ? null : parent.owner);
    if (options !== undefined) checkSpawnOptions(options);
    const coroutine = new Coroutine(this, parent, body, options, spawner) as Coroutine<unknown>;
    this.#admit(coroutine);
    return coroutine as Coroutine<T>;
  }

  /** Puts a new coroutine into the tree and the ready queue: into both or, if the stack overflows, into none. */
  #admit(coroutine: Coroutine<unknown>): void {
    if (!this.#isRunning) this.#schedule();
    if (coroutine.parent === null) enroll(coroutine);
    else coroutine.parent.take(coroutine);
    // From here on nothing is called.
    if (this.#last === null) this.#first = coroutine;
    else this.#last.nextReady = coroutine;
    this.#last = coroutine;
  }

  /**
   * @internal Starts a new coroutine within the call, as `co` does: it runs up to its first wait before the
   * caller goes on, who may be another coroutine. Too deep inside each other they are queued instead.
   */
  startNow(coroutine: Coroutine<unknown>): void {
    if (this.#nesting === DEEP) {
      this.#admit(coroutine);
      return;
    }
    if (coroutine.parent === null) enroll(coroutine);
    else coroutine.parent.take(coroutine);
    const { current, last, streak } = core;
    this.#nesting++;
    try {
      this.#resume(coroutine);
    } catch (error) {
      this.#survive(coroutine, error);
    }
    this.#nesting--;
    core.current = current;
    core.last = last;
    core.streak = streak;
    // Whoever has asked for the time of this turn relies on its end.
    this.#schedule();
  }

  /** @internal Puts a coroutine at the end of the ready queue. */
  ready(coroutine: Coroutine<unknown>): void {
    // First: if the stack overflows in it, nothing has been changed.
    if (!this.#isRunning) this.#schedule();
    coroutine.state = 'ready';
    if (this.#last === null) this.#first = coroutine;
    else this.#last.nextReady = coroutine;
    this.#last = coroutine;
  }

  /** @internal Reads the clock, seldom; true when the turn's time is up. */
  isTurnSpent(): boolean {
    core.untilClock = CLOCK_EVERY;
    const now = this.clock.now();
    const isLong = now - this.#turnStart >= TURN / 2 || ++this.#readings >= READINGS_PER_TURN / 2;
    if (!isLong) return this.#isSpent;
    this.#turnStart = now;
    this.#readings = 0;
    if (this.#turnEnd === null) this.#turnEnd = setImmediate(this.#beginTurn);
    else this.#isSpent = true;
    return this.#isSpent;
  }

  /**
   * @internal A batch of events is about to be told: whoever they wake runs when the batch ends, which saves a
   * microtask. Nothing runs in between, so waking still only queues (S2).
   */
  beginBatch(): void {
    this.#isBatch = !this.#isRunning;
  }

  /** @internal */
  endBatch(): void {
    if (!this.#isBatch) return;
    this.#isBatch = false;
    if (this.#first === null) this.timers.settle();
    else if (!this.#isSpent) outside(this.#drainOutside);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isRunning || this.#isSpent || this.#isBatch) return;
    this.#isScheduled = true;
    // A promise's continuation is the cheapest microtask there is.
    void settled.then(this.#drainFromMicrotask);
  }

  #drain(): void {
    // A run loop inside another's coroutine cannot be: wakers only queue.
    this.#isRunning = true;
    core.drains++;
    while (!this.#runReady());
    core.current = null;
    this.#isRunning = false;
    this.#turnTime = -1;
    this.timers.settle();
  }

  /** Resumes those who are ready, until none is left or the turn is spent; false if an error has ended it before. */
  #runReady(): boolean {
    const isTimed = this.#holdLimit !== Infinity;
    try {
      while (this.#first !== null) {
        if (this.#isSpent || (--core.untilClock <= 0 && this.isTurnSpent())) break;
        const coroutine = this.#first;
        this.#first = coroutine.nextReady;
        if (this.#first === null) this.#last = null;
        coroutine.nextReady = null;
        if (isTimed || (coroutine.extras !== null && coroutine.extras.context !== null))
          this.#resumeWithCare(coroutine, isTimed);
        else this.#resume(coroutine);
      }
      return true;
    } catch (error) {
      this.#survive(running(), error);
      return false;
    }
  }

  /** Beside resuming, what only few ask for: kept apart, since it would slow down all others. */
  #resumeWithCare(coroutine: Coroutine<unknown>, isTimed: boolean): void {
    const begun = isTimed ? this.clock.now() : 0;
    const context = coroutine.extras?.context ?? null;
    if (context === null) this.#resume(coroutine);
    else context.runInAsyncScope(() => this.#resume(coroutine));
    if (!isTimed) return;
    const held = this.clock.now() - begun;
    if (held > this.#holdLimit) warnOfHold(coroutine, held);
  }

  #resume(coroutine: Coroutine<unknown>): void {
    core.current = coroutine;
    core.streak = STREAK;
    coroutine.state = 'running';
    let result: IteratorResult<unknown, unknown>;
    try {
      if (coroutine.bare !== null) result = stepYielded(coroutine);
      else result = (coroutine.generator ?? start(coroutine)).next();
      while (result !== SUSPENDED && result.done !== true) result = beginYielded(coroutine, result.value);
      // Here, since an iterator of the user's may throw when it is asked for the value.
      if (result !== SUSPENDED) coroutine.value = result.value;
    } catch (error) {
      coroutine.bodyThrew(error);
      this.#bodyEnded(coroutine, true);
      return;
    }
    if (result === SUSPENDED) {
      const operation = core.last!;
      if (operation.state === ARMED) {
        operation.waiter = coroutine;
        coroutine.op = operation;
        coroutine.state = 'suspended';
        // Arming may have run user code that cancelled this very scope.
        if (coroutine.scope.cancellation !== null) coroutine.interrupt();
      } else {
        this.ready(coroutine);
      }
    } else {
      this.#bodyEnded(coroutine, false);
    }
  }

  #bodyEnded(coroutine: Coroutine<unknown>, hasThrown: boolean): void {
    coroutine.generator = null;
    coroutine.state = 'suspended';
    if (coroutine.scope !== coroutine) closeInside(coroutine, hasThrown);
    if (coroutine.isDrainedAfterBody()) conclude(coroutine);
  }

  /** An error of our own has come through, which should not be: it costs the coroutine concerned, and no other. */
  #survive(coroutine: Coroutine<unknown> | null, error: unknown): void {
    core.current = null;
    reportUncaught(`an internal error while ${coroutine?.name ?? 'nothing'} was run`, error);
    if (coroutine === null || coroutine.hasEnded) return;
    try {
      coroutine.cancel(error);
      abandon(coroutine, error);
    } catch (second) {
      reportUncaught(`an internal error while ${coroutine.name} was ended`, second);
    }
  }
}

/** Has a coroutine, and what it spawns, run in the context of AsyncLocalStorage that is current now. */
export function keepContext(coroutine: Coroutine<unknown>): void {
  (coroutine.extras ??= new Extras()).context = captureContext();
}

/** @internal The scheduler of whoever does not bring one. */
export const defaultScheduler = new Scheduler();

/** Whose callbacks run just now. */
let acting = defaultScheduler;

/** @internal The scheduler of the running coroutine or callback, else the default one. */
export function currentScheduler(): Scheduler {
  return running()?.scheduler ?? acting;
}

/** @internal A callback of this scheduler begins; gives the one to go back to when it has ended. */
export function actFor(scheduler: Scheduler): Scheduler {
  const before = acting;
  acting = scheduler;
  return before;
}
