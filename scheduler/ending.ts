// How a coroutine ends: its outcome goes to those who join it, its error to its parent, and with it each
// ancestor ends that waited only for this. A loop: coroutines may be nested deeper than the thread's stack.
// Invariant: once begun, an end is brought to its end. Whatever is called on the way may throw, and is reported.

import { runAs } from './core.ts';
import type { Coroutine } from './coroutine.ts';
import type { InnerScope } from './inner-scope.ts';
import type { JoinOperation } from './join.ts';
import { strike } from './registry.ts';
import { ENDED, type Extras } from './scope.ts';
import type { WaitQueue } from './wait-queue.ts';
import { reportUncaught } from './warnings.ts';

/** Ends a coroutine that has no more children, and then each ancestor that waited only for this. */
export function conclude(coroutine: Coroutine<unknown>): void {
  let ended = coroutine;
  for (;;) {
    let failed = ended.errors !== null;
    ended.state = failed ? 'failed' : ended.cutOff ? 'cancelled' : 'done';
    const { extras } = ended;
    if (extras !== null) {
      if (extras.supervisor !== null) tellSupervisor(ended, extras);
      if (failed && (extras.onError !== undefined || extras.supervisor !== null))
        failed = !isHandled(ended, extras);
    }
    if (ended.joiners !== null) tellJoiners(ended.joiners);
    const { parent } = ended;
    if (parent === null) {
      strike(ended);
      return;
    }
    // A handle that somebody keeps must not keep its ancestors.
    ended.parent = null;
    if (!parent.childEnded(ended, failed, failed ? ended.error() : undefined)) return;
    if (parent.owner !== parent) {
      (parent as InnerScope).drain?.notify();
      return;
    }
    ended = parent as Coroutine<unknown>;
  }
}

/** Ends a coroutine that cannot be ended otherwise, and leaves its children where they are. */
export function abandon(coroutine: Coroutine<unknown>, error: unknown): void {
  coroutine.errors = new Set([error]);
  coroutine.phase = ENDED;
  conclude(coroutine);
}

function tellSupervisor(coroutine: Coroutine<unknown>, { supervisor, subject }: Extras): void {
  try {
    supervisor?.onEnd(coroutine, subject);
  } catch (error) {
    reportUncaught(`an internal error at the end of ${coroutine.name}`, error);
  }
}

function tellJoiners(joiners: WaitQueue<JoinOperation<unknown>>): void {
  for (let joiner; (joiner = joiners.shift()) !== null;) {
    try {
      joiner.notify();
    } catch (error) {
      reportUncaught('an internal error at the end of a coroutine', error);
    }
  }
}

/**
 * Gives the error to `onError`; one that is thrown there takes its place (C2a). That of a supervisor is shared by many
 * coroutines, which must not be ended by it: what it throws is reported.
 */
function isHandled(coroutine: Coroutine<unknown>, { onError, supervisor, subject }: Extras): boolean {
  const error = coroutine.error();
  try {
    const result: unknown =
      onError === undefined
        ? runAs(coroutine, (given) => supervisor!.onError(given, subject), error)
        : runAs(coroutine, onError, error);
    if (typeof (result as Iterator<unknown> | undefined)?.next !== 'function') return true;
    const message = `the onError of ${coroutine.name} is a generator function, which nobody runs`;
    throw new TypeError(message, { cause: error });
  } catch (thrown) {
    if (onError !== undefined) {
      coroutine.errors = new Set([thrown]);
      return false;
    }
    reportUncaught(`the onError of ${coroutine.name} has thrown`, thrown);
    return true;
  }
}
