// One execution for all who ask for the same thing at the same time. Invariants: there are never two
// executions of one key at once; an execution lives only while at least one caller waits for it; nothing is
// kept when it has ended. It is a root of its own, so that no caller's scope can cut it off for the others.

import { type Coroutine, observe } from '../kernel/coroutine.ts';
import { inWords, isCancelledError } from '../kernel/errors.ts';
import { type Co, core, type Operation } from '../kernel/operation.ts';
import { currentScheduler } from '../kernel/scheduler.ts';
import { shield } from '../time/timeout.ts';

/** An execution, and those who wait for it. */
interface Flight<T> {
  readonly work: Coroutine<T>;
  callers: number;
}

/**
 * Gives a function of the same results that runs the body once for all who call it with the same key at
 * the same time; each of them gets its result or its error. Nothing is cached: who comes later runs it
 * anew. A caller that is cancelled leaves; when the last one leaves, the body is cancelled, and
 * this caller waits until it has unwound.
 *
 * @param body is given the key; keys are told apart as in a `Map`
 * @throws TypeError if `body` is not a function
 *
 * @example
 * ```ts
 * import { all, run, singleflight, sleep } from 'skein';
 *
 * const lookUp = singleflight(function* (name: string) {
 *   yield* sleep(5);
 *   console.log('looked up', name); // once
 *   return name.length;
 * });
 *
 * await run(() => all([() => lookUp('skein'), () => lookUp('skein')]));
 * ```
 */
export function singleflight<K, T>(body: (key: K) => Co<T> | Operation<T>): (key: K) => Co<T> {
  if (typeof body !== 'function') throw new TypeError(`singleflight expects a body, got ${inWords(body)}`);
  const flights = new Map<K, Flight<T>>();

  function start(key: K): Flight<T> {
    const work = currentScheduler().spawn(null, () => body(key), { name: body.name || undefined });
    const flight = { work, callers: 0 };
    flights.set(key, flight);
    const forget = (): boolean => flights.delete(key);
    observe(work, forget, forget);
    return flight;
  }

  return function* (key: K): Co<T> {
    core.current?.scope.throwIfCancelled();
    let flight = flights.get(key);
    while (flight?.work.cancelled === true) {
      yield* unwound(flight.work);
      flight = flights.get(key);
      core.current?.scope.throwIfCancelled();
    }
    flight ??= start(key);
    flight.callers++;
    const { work } = flight;
    try {
      return yield* work.join();
    } finally {
      flight.callers--;
      if (flight.callers === 0 && !work.hasEnded) {
        work.cancel();
        yield* shield(() => abandoned(work));
      }
    }
  };
}

/** Waits for the end of an execution that others have left; its outcome is theirs. */
function* unwound(work: Coroutine<unknown>): Co<void> {
  try {
    yield* work.join();
  } catch (error) {
    if (!work.hasEnded) throw error;
  }
}

/** Waits for the end of an execution that was cancelled; nobody else hears of an error of its cleanup. */
function* abandoned(work: Coroutine<unknown>): Co<void> {
  try {
    yield* work.join();
  } catch (error) {
    if (!isCancelledError(error)) throw error;
  }
}
