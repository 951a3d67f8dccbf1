// Waiting for time: `sleep` counts from each performance, `after` from its creation, `every` from ideal moment to ideal
// moment (T3), and `pause` waits for one's next turn. All but the last are timers themselves, so that waiting makes no
// further object.

import { milliseconds } from '../kernel/arguments.ts';
import { inWords } from '../kernel/errors.ts';
import {
  core,
  FIRED,
  IDLE,
  kind,
  type Kind,
  Leaf,
  type Operation,
  SUSPENDED,
  type Suspension,
} from '../kernel/operation.ts';
import { Timer, type Timers } from '../kernel/timers.ts';
import { currentScheduler } from '../kernel/scheduler.ts';

const SLEEP = kind<void, Timer, number>({
  poll: ({ item: ms }) => ms <= 0,
  arm: ({ target, item: ms }) => target.start(ms),
  disarm: ({ target }) => target.stop(),
  describe: ({ item: ms }) => `sleeping for ${ms} ms`,
});

const AFTER = kind<void, Timer, number>({
  poll: ({ target, item: deadline }) => target.timers.isOver(deadline),
  arm: ({ target, item: deadline }) => target.startAt(deadline),
  disarm: ({ target }) => target.stop(),
  describe: ({ target, item: deadline }) =>
    `waiting for ${(deadline - target.timers.clock.now()).toFixed()} ms more`,
});

/** The next tick, and the time between two. */
interface Ticks {
  due: number;
  readonly period: number;
}

const EVERY = kind<void, Timer, Ticks>({
  poll({ target, item: ticks }) {
    if (!target.timers.isOver(ticks.due)) return false;
    const late = target.timers.clock.now() - ticks.due;
    ticks.due += (Math.floor(late / ticks.period) + 1) * ticks.period;
    return true;
  },
  arm: ({ target, item: { due } }) => target.startAt(due),
  disarm: ({ target }) => target.stop(),
  expire: (operation) => operation.notify(),
  describe: ({ target, item: { due } }) =>
    `waiting for ${(due - target.timers.clock.now()).toFixed()} ms more`,
});

/** An operation that waits for its timer. */
function timed<Item>(behaviour: Kind<void, Timer, Item>, timers: Timers, item: Item): Operation<void> {
  const timer = new Timer(timers, nobody);
  const operation = new Leaf(behaviour, timer, item);
  timer.owner = operation as Leaf<void>;
  return operation;
}

function nobody(): void {}

/**
 * Waits for `ms` milliseconds, never less; counted from each time it is performed. Zero or less returns
 * at once; delays of more than 24 days work. `Infinity` sleeps until it is cancelled and, unlike
 * `never`, keeps the process alive. It belongs to the scheduler in which it is made.
 *
 * @throws TypeError if `ms` is not a number
 *
 * @example
 * ```ts
 * import { run, sleep } from 'skein';
 *
 * await run(() => sleep(10));
 * ```
 */
export function sleep(ms: number): Operation<void> {
  return timed(SLEEP, currentScheduler().timers, milliseconds(ms, 'sleep'));
}

/**
 * A case for `select`: is ready once `ms` milliseconds have passed since it was created, and stays so. Made
 * before a loop, it is a deadline for the whole of it.
 *
 * @throws TypeError if `ms` is not a number
 *
 * @example
 * ```ts
 * import { after, Channel, run, select } from 'skein';
 *
 * await run(function* () {
 *   const news = new Channel<string>();
 *   const deadline = after(20);
 *   for (;;) {
 *     const next = yield* select({ news: news.receive(), deadline });
 *     if (next.key === 'deadline') break;
 *   }
 * });
 * ```
 */
export function after(ms: number): Operation<void> {
  const { timers } = currentScheduler();
  const deadline = timers.clock.now() + milliseconds(ms, 'after');
  return timed(AFTER, timers, ms <= 0 ? -Infinity : deadline);
}

/**
 * Ticks: each performance waits for the next of the moments that lie `ms` milliseconds apart, the first one
 * `ms` after it was created. They are computed from the ideal time, so that delays do not add up; ticks
 * that were missed are dropped. It holds no timer while nobody waits.
 *
 * @throws TypeError if `ms` is not a number above 0
 *
 * @example
 * ```ts
 * import { every, run } from 'skein';
 *
 * await run(function* () {
 *   const tick = every(5);
 *   for (let count = 0; count < 3; count++) yield* tick;
 * });
 * ```
 */
export function every(ms: number): Operation<void> {
  if (!(milliseconds(ms, 'every') > 0)) {
    throw new TypeError(`every expects more than 0 milliseconds, got ${inWords(ms)}`);
  }
  const { timers } = currentScheduler();
  return timed(EVERY, timers, { due: timers.clock.now() + ms, period: ms });
}

const PAUSE = kind<void>({
  poll: () => false,
  // As a case of `select` it needs somebody to stand at the end of the queue for it.
  arm(operation) {
    currentScheduler().spawn(
      null,
      function* () {
        operation.fire();
      },
      undefined,
    );
  },
  disarm: () => {},
  describe: () => 'pausing',
});

/** Never armed, so whoever receives SUSPENDED queues itself again at once, as one who gives way. */
const givingWay = new Leaf(PAUSE, undefined, undefined);

class PauseOperation extends Leaf<void, undefined, undefined> {
  override next(): IteratorResult<Suspension, void> {
    const { current } = core;
    if (this.state !== IDLE || current === null || current.scope.isUnwinding) {
      return super.next();
    }
    this.state = FIRED;
    core.last = givingWay as Leaf<unknown>;
    return SUSPENDED;
  }
}

/**
 * Lets every other ready coroutine run first, then goes on.
 *
 * @example
 * ```ts
 * import { pause, run } from 'skein';
 *
 * await run(function* () {
 *   for (let row = 0; row < 1000; row++) {
 *     // … a piece of long work …
 *     yield* pause();
 *   }
 * });
 * ```
 */
export function pause(): Operation<void> {
  return new PauseOperation(PAUSE, undefined, undefined);
}
