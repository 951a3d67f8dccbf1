// The registers of this thread: which coroutine runs, which operation suspended last, and how much
// the running coroutine may still do before it must give way. Every leaf reads them at each step, so
// they stand in one flat object. They are written by the resume loop, and by whatever suspends.

import type { Coroutine } from './coroutine.ts';
import type { Leaf } from './operation.ts';

interface Registers {
  /** The coroutine whose generator is being resumed; null outside of every coroutine. */
  current: Coroutine<unknown> | null;
  /** The operation that returned the suspended result last: whoever received it attaches itself here. */
  last: Leaf<unknown> | null;
  /** Leafs that the running coroutine may still perform in a row. */
  streak: number;
  /** Leafs and resumes until the clock is read again. */
  untilClock: number;
  /** How often the ready queue was run. */
  drains: number;
}

export const core: Registers = { current: null, last: null, streak: 0, untilClock: 0, drains: 0 };

/**
 * @internal Calls what a coroutine has left with others (a hook, a listener, its `onError`) as that coroutine would:
 * with its values of `local`, in its context of AsyncLocalStorage, whoever the caller is.
 */
export function runAs<A, R>(coroutine: Coroutine<unknown>, call: (argument: A) => R, argument: A): R {
  const { current } = core;
  const context = coroutine.extras?.context ?? null;
  core.current = coroutine;
  try {
    if (context === null) return call(argument);
    return context.runInAsyncScope(call as (this: unknown, argument: A) => R, undefined, argument);
  } finally {
    core.current = current;
  }
}
