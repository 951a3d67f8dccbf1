// The entrances: from plain code into coroutines (`run`), and from one coroutine to the next (`spawn`).

import { watchProcess } from './debug/deadlock.ts';
import type { RunOptions, SpawnOptions } from './kernel/arguments.ts';
import { type Coroutine, onFirstRoot, running } from './kernel/coroutine.ts';
import type { Body } from './kernel/operation.ts';
import { currentScheduler } from './kernel/scheduler.ts';

onFirstRoot(watchProcess);

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
  return expectRunning('spawn').scope.spawn(body, options);
}

/**
 * The running coroutine.
 *
 * @throws TypeError outside of a coroutine
 */
export function current(): Coroutine<unknown> {
  return expectRunning('current');
}

function expectRunning(what: string): Coroutine<unknown> {
  const coroutine = running();
  if (coroutine !== null) return coroutine;
  throw new TypeError(`${what} needs a running coroutine: use run, or spawn of a scope, in callbacks`);
}
