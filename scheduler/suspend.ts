// From callbacks to coroutines, in one function.

import { ARMED, Leaf, type Operation } from './operation.ts';

type Resume<T> = (error?: unknown, value?: T) => void;
type Start<T> = (resume: Resume<T>) => unknown;

export class SuspendOperation<T> extends Leaf<T> {
  declare start: Start<T>;
  declare hook: (() => void) | null;
  /** Counts the performances, so that a `resume` of an earlier one is without effect. */
  declare round: number;

  constructor(start: Start<T>) {
    super();
    this.start = start;
    this.hook = null;
    this.round = 0;
  }

  poll(): boolean {
    return false;
  }

  arm(): void {
    const round = ++this.round;
    this.hook = null;
    const resume: Resume<T> = (error, value) => {
      if (round !== this.round) return;
      this.hook = null;
      if (error === undefined || error === null) this.fire(value as T);
      else this.fail(error);
    };
    try {
      const hook = this.start(resume);
      if (typeof hook === 'function' && this.state === ARMED) this.hook = hook as () => void;
    } catch (error) {
      this.fail(error);
    }
  }

  disarm(): void {
    this.round++;
    this.hook?.();
  }

  override enlist(): boolean {
    return false;
  }

  describe(): string {
    return this.start.name === '' ? 'suspended' : `suspended in ${this.start.name}`;
  }
}

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
  return new SuspendOperation(start);
}
