// Waiting for one's next turn.

import { core } from './core.ts';
import { FIRED, IDLE, Leaf, type Operation, SUSPENDED, type Suspension } from './operation.ts';

class PauseOperation extends Leaf<void> {
  poll(): boolean {
    return false;
  }
  arm(): void {
    this.fire();
  }
  disarm(): void {}
  describe(): string {
    return 'pausing';
  }

  /** Suspends without being armed, as one who gives way: so it is queued again at once. */
  override next(sent?: unknown): IteratorResult<Suspension, void> {
    if (this.state !== IDLE || sent !== undefined || core.current === null) return super.next(sent);
    core.current.scope.throwIfCancelled();
    this.state = FIRED;
    core.last = this as Leaf<unknown>;
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
  return new PauseOperation();
}
