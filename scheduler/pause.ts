// Waiting for one's next turn.

import { core } from './core.ts';
import { kind } from './kind.ts';
import { FIRED, IDLE, Leaf, type Operation, SUSPENDED, type Suspension } from './operation.ts';
import { currentScheduler } from './run.ts';

const PAUSE = kind<void>({
  poll: () => false,
  // As a case of `select` it needs somebody to stand at the end of the queue for it.
  arm(operation) {
    currentScheduler().spawn(
      null,
      function* () {
        operation.fire();
      },
      undefined,
    );
  },
  disarm: () => {},
  describe: () => 'pausing',
});

/** Never armed, so whoever receives SUSPENDED queues itself again at once, as one who gives way. */
const givingWay = new Leaf(PAUSE, undefined, undefined);

class PauseOperation extends Leaf<void, undefined, undefined> {
  override next(): IteratorResult<Suspension, void> {
    const { current } = core;
    if (this.state !== IDLE || current === null || current.scope.isCancelled) {
      return super.next();
    }
    this.state = FIRED;
    core.last = givingWay as Leaf<unknown>;
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
  return new PauseOperation(PAUSE, undefined, undefined);
}
