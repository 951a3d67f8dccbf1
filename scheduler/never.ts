// The operation that never ends. It is one for all, so it keeps no state: each performance waits in an
// operation of its own.

import { kind } from './kind.ts';
import { Leaf, type Operation, type Suspension } from './operation.ts';

const WAIT = kind<never>({
  poll: () => false,
  arm: () => {},
  disarm: () => {},
  describe: () => 'waiting for ever',
});

class NeverOperation extends Leaf<never, undefined, undefined> {
  override next(): IteratorResult<Suspension, never> {
    return new Leaf(WAIT, undefined, undefined).next();
  }
}

/**
 * Never ends, unless it is cancelled. As a case of `select` it is one that is switched off.
 *
 * @example
 * ```ts
 * import { Channel, never, run, select, sleep } from 'skein';
 *
 * await run(function* () {
 *   const lines = new Channel<string>();
 *   const isListening = false;
 *   const first = yield* select({ line: isListening ? lines.receive() : never, pause: sleep(5) });
 *   console.log(first.key); // pause
 * });
 * ```
 */
export const never: Operation<never> = new NeverOperation(WAIT, undefined, undefined);
