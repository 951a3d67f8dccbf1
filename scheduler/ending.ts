// How a coroutine ends: its outcome goes to those who join it, its error to its parent, and with it each
// ancestor ends that waited only for this. A loop: coroutines may be nested deeper than the thread's stack.

import { core } from './core.ts';
import type { Coroutine } from './coroutine.ts';
import type { InnerScope } from './inner-scope.ts';
import { strike } from './registry.ts';
import { ENDED, type Extras } from './scope.ts';

/** Ends a coroutine that has no more children, and then each ancestor that waited only for this. */
export function conclude(coroutine: Coroutine<unknown>): void {
  let ended = coroutine;
  for (;;) {
    let failed = ended.errors !== null;
    ended.state = failed ? 'failed' : ended.cutOff ? 'cancelled' : 'done';
    const { extras } = ended;
    if (extras !== null) {
      extras.supervisor?.onEnd(ended, extras.subject);
      if (failed && (extras.onError !== undefined || extras.supervisor !== null))
        failed = !isHandled(ended, extras);
    }
    while (ended.joiners !== null && ended.joiners.first !== null) ended.joiners.shift()!.notify();
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
  coroutine.errors = [error];
  coroutine.phase = ENDED;
  conclude(coroutine);
}

/** Gives the error to `onError`; one that is thrown there takes its place (C2a). */
function isHandled(coroutine: Coroutine<unknown>, { onError, supervisor, subject }: Extras): boolean {
  core.current = null;
  try {
    const error = coroutine.error();
    const result: unknown = onError === undefined ? supervisor?.onError(error, subject) : onError(error);
    if (typeof (result as Iterator<unknown> | undefined)?.next !== 'function') return true;
    throw new TypeError(`the onError of ${coroutine.name} is a generator function, which nobody runs`);
  } catch (error) {
    // What it was called with must not be lost.
    if (error instanceof Error && error.cause === undefined) error.cause = coroutine.error();
    coroutine.errors = [error];
    return false;
  }
}
