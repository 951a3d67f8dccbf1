import {
  CancelledError,
  type Clock,
  type Coroutine,
  type Co,
  Scheduler,
  spawn,
  VirtualClock,
} from '../../scheduler/index.ts';

/** How a program that was cancelled at some step has ended. */
export type Ending<T> = { value: T } | { error: unknown };

/** More steps than any program here takes: one that does not end would run for ever. */
const MANY = 5_000;

/**
 * Runs a program again and again, each time cancelling it one step later, until it has ended by itself
 * before its step came. A step is a coroutine becoming ready, before it runs, or the end of a turn, when
 * all of them wait. Each time nothing may be left: every coroutine has ended, and no timer is armed.
 *
 * @param program makes a new one each time
 * @param beside runs at the same time, and is never cancelled
 * @param check is called after each run, with how the program ended; a cancelled one throws a CancelledError
 * that has the step as its cause
 * @returns how many steps there were
 */
export async function cancelAtEveryStep<T>(
  program: () => Co<T>,
  check: (ending: Ending<T>) => void,
  beside: () => Co<void> = function* () {},
): Promise<number> {
  for (let last = 1; last < MANY; last++) {
    let steps = 0;
    let target: Coroutine<T> | undefined;
    const step = (): void => {
      if (target === undefined || target.state === 'done') return;
      if (++steps === last) target.cancel(`step ${last}`);
    };
    const scheduler = new Watched(new EndOfTurns(step), step);
    const ending = await scheduler.run(function* (): Co<Ending<T>> {
      target = spawn(program, { onError: () => {} });
      spawn(beside);
      try {
        return { value: yield* target.join() };
      } catch (error) {
        return { error };
      }
    });
    if (scheduler.timers.live > 0) throw new Error(`step ${last}: ${scheduler.timers.live} timers are left`);
    const isCancelled = 'error' in ending && ending.error instanceof CancelledError;
    if (isCancelled && (ending.error as Error).cause !== `step ${last}`) {
      throw new Error(`step ${last}: the reason is ${String((ending.error as Error).cause)}`);
    }
    check(ending);
    // Empty turns come now and then, so that the number of steps varies a little.
    if (steps + 3 < last) return steps;
  }
  throw new Error(`the program has not ended after ${MANY} steps`);
}

/** Tells when a coroutine becomes ready. */
class Watched extends Scheduler {
  readonly #step: () => void;

  constructor(clock: Clock, step: () => void) {
    super({ clock, seed: 1 });
    this.#step = step;
  }

  override ready(coroutine: Coroutine<unknown>): void {
    super.ready(coroutine);
    this.#step();
  }
}

/** Tells when a turn has ended: the alarm is set or cleared then. */
class EndOfTurns extends VirtualClock {
  readonly #step: () => void;

  constructor(step: () => void) {
    super();
    this.#step = step;
  }

  override setAlarm(deadline: number, onAlarm: () => void): void {
    super.setAlarm(deadline, onAlarm);
    this.#step();
  }

  override clearAlarm(): void {
    super.clearAlarm();
    this.#step();
  }
}
