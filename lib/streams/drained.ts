// Waiting until a stream of Node's has room. Invariant: it looks first. An event that came between the write and the
// wait, as it may when a coroutine gives way in between, would be waited for in vain.

import type { Writable } from 'node:stream';
import { inWords } from '../../scheduler/kernel/errors.ts';
import { atLeaf, kind, Leaf, type Operation } from '../../scheduler/kernel/operation.ts';
import { prematureClose } from '../reactor/system-error.ts';

/**
 * Waits until a stream that is written to, such as a response, wants more; at once if it does. After each
 * `write`, so that a slow reader makes the writer wait.
 *
 * @throws the stream's error, or `ERR_STREAM_PREMATURE_CLOSE`, if it was destroyed; TypeError for what is no stream
 *
 * @example
 * ```ts
 * import { PassThrough } from 'node:stream';
 * import { drained, run } from 'skein';
 *
 * await run(function* () {
 *   const stream = new PassThrough().resume();
 *   for (let line = 1; line <= 10_000; line++) {
 *     stream.write(`line ${line}\n`);
 *     yield* drained(stream);
 *   }
 *   stream.end();
 * });
 * ```
 */
export function drained(stream: Writable): Operation<void> {
  if (typeof stream?.writableNeedDrain !== 'boolean') {
    throw new TypeError(`drained expects a stream that is written to, got ${inWords(stream)}`);
  }
  return new Leaf<void, Writable, (() => void) | null>(DRAINED, stream, null);
}

// A stream that somebody has ended does not drain any more: it finishes.
const EVENTS = ['drain', 'finish', 'close', 'error'];

const DRAINED = kind<void, Writable, (() => void) | null>({
  poll({ target }) {
    // One that is not destroyed by its error does nothing more either.
    if (target.errored) throw target.errored;
    if (target.destroyed) throw atLeaf(prematureClose());
    return !target.writableNeedDrain;
  },
  arm(operation) {
    const onChange = (): void => {
      operation.notify();
      DRAINED.disarm(operation);
    };
    operation.item = onChange;
    for (const event of EVENTS) operation.target.on(event, onChange);
  },
  disarm(operation) {
    const { item, target } = operation;
    operation.item = null;
    if (item !== null) for (const event of EVENTS) target.off(event, item);
  },
  describe: () => 'waiting for a stream to drain',
});
