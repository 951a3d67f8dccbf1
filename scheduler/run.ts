// The entrances: from plain code into coroutines (`run`), and from one coroutine to the next (`spawn`).

import type { RunOptions } from './kernel/arguments.ts';
import type { Coroutine, SpawnOptions } from './kernel/coroutine.ts';
import { type Body, core } from './kernel/operation.ts';
import { Scheduler } from './kernel/scheduler.ts';

/** @internal The scheduler of whoever does not bring one. */
export const defaultScheduler = new Scheduler();

/** Whose callbacks run just now. */
let acting = defaultScheduler;

/** @internal The scheduler of the running coroutine or callback, else the default one. */
export function currentScheduler(): Scheduler {
  return core.current?.scheduler ?? acting;
}

/** @internal A callback of this scheduler begins; gives the one to go back to when it has ended. */
export function actFor(scheduler: Scheduler): Scheduler {
  const before = acting;
  acting = scheduler;
  return before;
}

/**
 * Runs a coroutine from plain code. The promise is fulfilled with what its body returns, after all its
 * children have ended, and rejected with any error that nobody inside handled.
 *
 * @param body a generator function, or a function that returns a generator or an operation
 * @param options `signal` cancels everything inside; `name` is shown in dumps
 *
 * @example
 * ```ts
 * import { run, sleep } from 'skein';
 *
 * const answer = await run(function* () {
 *   yield* sleep(5);
 *   return 42;
 * });
 * ```
 */
export function run<T>(body: Body<T>, options?: RunOptions): Promise<Awaited<T>> {
  return currentScheduler().run(body, options);
}

/**
 * Starts a coroutine in the innermost open scope of the running one, which waits for it. It is queued,
 * never run on the spot.
 *
 * @throws TypeError outside of a coroutine, or if `body` is not a function
 *
 * @example
 * ```ts
 * import { run, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   spawn(() => sleep(5));
 *   spawn(() => sleep(5));
 * }); // after 5 ms: both have ended
 * ```
 */
export function spawn<T>(body: Body<T>, options?: SpawnOptions): Coroutine<T> {
  return running('spawn').scope.spawn(body, options);
}

/**
 * The running coroutine.
 *
 * @throws TypeError outside of a coroutine
 */
export function current(): Coroutine<unknown> {
  return running('current');
}

function running(what: string): Coroutine<unknown> {
  if (core.current === null) {
    throw new TypeError(`${what} needs a running coroutine: use run, or spawn of a scope, in callbacks`);
  }
  return core.current;
}
