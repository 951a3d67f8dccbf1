// Those who wait for the same thing, first come, first served. The links stand in the operations
// themselves, so that joining and leaving cost O(1) and no memory (H2, H5).
//
//   first ──► op ◄──► op ◄──► op ◄── last

import { Operation } from './operation.ts';

/** An operation that can stand in one queue at a time. */
export abstract class QueuedOperation<T> extends Operation<T> {
  /** @internal */ declare ahead: QueuedOperation<unknown> | null;
  /** @internal */ declare behind: QueuedOperation<unknown> | null;

  constructor() {
    super();
    this.ahead = null;
    this.behind = null;
  }
}

export class WaitQueue<O extends QueuedOperation<unknown>> {
  declare first: O | null;
  declare last: O | null;

  constructor() {
    this.first = null;
    this.last = null;
  }

  push(operation: O): void {
    operation.ahead = this.last;
    if (this.last === null) this.first = operation;
    else this.last.behind = operation;
    this.last = operation;
  }

  remove(operation: O): void {
    const { ahead, behind } = operation as { ahead: O | null; behind: O | null };
    if (ahead === null) this.first = behind;
    else ahead.behind = behind;
    if (behind === null) this.last = ahead;
    else behind.ahead = ahead;
    operation.ahead = null;
    operation.behind = null;
  }

  shift(): O | null {
    const { first } = this;
    if (first !== null) this.remove(first);
    return first;
  }
}
