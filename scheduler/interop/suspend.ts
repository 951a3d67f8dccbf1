// From callbacks to coroutines, in one function. Invariant: what a callback brings after the wait has ended, or twice, is
// ignored.

import { ARMED, kind, Leaf, type Operation } from '../kernel/operation.ts';

/** What `suspend` hands out: it ends the wait with a value, or with an error that is neither null nor undefined. */
export type Resume<T> = (error?: unknown, value?: T) => void;
type Start<T> = (resume: Resume<T>) => unknown;

/** One performance: a `resume` of an earlier one is without effect. */
interface Call {
  hook: (() => void) | null;
}

const SUSPEND = kind<unknown, Start<unknown>, Call | null>({
  startsWork: true,

  arm(operation) {
    const call: Call = { hook: null };
    operation.item = call;
    const resume: Resume<unknown> = (error, value) => {
      if (operation.item !== call) return;
      if (error === undefined || error === null) operation.fire(value);
      else operation.fail(error);
    };
    let hook: unknown;
    try {
      hook = operation.target(resume);
    } catch (error) {
      operation.fail(error);
    }
    if (typeof hook !== 'function') return;
    if (operation.state === ARMED) call.hook = hook as () => void;
    // `start` served another case of the same select, and so this one was disarmed before it had its hook.
    else if (operation.item !== call) (hook as () => void)();
  },

  disarm(operation) {
    const call = operation.item;
    operation.item = null;
    call?.hook?.();
  },

  describe: ({ target }) => (target.name === '' ? 'waiting for a callback' : `suspended in ${target.name}`),
});

/**
 * Waits for a callback: `start` is called with a `resume(error, value)`, and the operation ends when
 * that is called, at once or later; only the first call counts. If `start` returns a function, it is
 * called when the wait is cancelled, to take back what was asked for.
 *
 * @throws the error that `resume` was given, or that `start` threw
 *
 * @example
 * ```ts
 * import { run, suspend } from 'skein';
 *
 * await run(function* () {
 *   const answer = yield* suspend<number>((resume) => {
 *     const timer = setTimeout(() => resume(null, 42), 5);
 *     return () => clearTimeout(timer);
 *   });
 *   console.log(answer); // 42
 * });
 * ```
 */
// `start` may return anything, so that an arrow function around a callback interface stays one line.
export function suspend<T>(start: (resume: Resume<T>) => unknown): Operation<T> {
  if (typeof start !== 'function') throw new TypeError('suspend expects a function that is given `resume`');
  return new Leaf(SUSPEND, start, null) as Operation<unknown> as Operation<T>;
}
