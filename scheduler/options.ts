// How to run a body, and how to make a scheduler.

import type { Clock } from './clock.ts';
import type { SpawnOptions } from './coroutine.ts';
import { inWords } from './errors.ts';

/** How to run a body; all are optional. */
export interface RunOptions {
  /**
   * Cancels the coroutine and all its children when it aborts; its reason becomes the error's `cause`.
   * The body is not started if it has aborted before.
   */
  signal?: AbortSignal | undefined;
  /** The name in dumps and messages. */
  name?: string | undefined;
  /**
   * Keeps the contexts of `AsyncLocalStorage`: every coroutine runs in the one in which it was spawned. By
   * default coroutines run in none, since it costs 40 ns a spawn and 5 ns a resume.
   */
  asyncContext?: boolean | undefined;
}

/** How to make a scheduler; all are optional. */
export interface SchedulerOptions {
  /** The time by which timers run; by default the system's. */
  clock?: Clock | undefined;
  /** Where the random numbers begin, such as those of `select`: the same seed, the same choices. */
  seed?: number | undefined;
  /**
   * A coroutine that holds the thread for more milliseconds is named in a process warning, as others
   * cannot run meanwhile. By default 100, and `Infinity`, which is never, if NODE_ENV is `production`:
   * it costs a reading of the clock per resume.
   */
  holdLimit?: number | undefined;
}

export function checkSchedulerOptions({ holdLimit, seed }: SchedulerOptions): void {
  if (holdLimit !== undefined && !(holdLimit >= 0)) throw badOption('holdLimit', 'milliseconds', holdLimit);
  if (seed !== undefined && !Number.isFinite(seed)) throw badOption('seed', 'a number', seed);
}

function badOption(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`Scheduler expects ${expected} as its ${name}, got ${inWords(value)}`);
}

export function checkSpawnOptions({ onError }: SpawnOptions): void {
  if (onError === undefined || typeof onError === 'function') return;
  throw new TypeError(`spawn expects a function as its onError, got ${inWords(onError)}`);
}

export function notASignal(what: string, value: unknown): TypeError {
  return new TypeError(`${what} expects an AbortSignal as its signal, got ${inWords(value)}`);
}
