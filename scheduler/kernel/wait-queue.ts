// Those who wait for the same thing, first come, first served. The links stand in the operations
// themselves, so that joining and leaving cost O(1) and no memory (H2, H5).
//
//   first ──► op ◄──► op ◄──► op ◄── last

import type { Leaf } from './operation.ts';

/** An operation stands in one queue at a time. */
export class WaitQueue<O extends Leaf<unknown>> {
  declare length: number;
  declare first: O | null;
  declare last: O | null;

  constructor() {
    this.length = 0;
    this.first = null;
    this.last = null;
  }

  push(operation: O): void {
    operation.queue = this;
    this.length++;
    operation.ahead = this.last;
    if (this.last === null) this.first = operation;
    else this.last.behind = operation;
    this.last = operation;
  }

  /** Does nothing for one that does not stand here. */
  remove(operation: O): void {
    if (operation.queue !== this) return;
    operation.queue = null;
    this.length--;
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
    if (first === null) return null;
    const behind = first.behind as O | null;
    this.first = behind;
    if (behind === null) this.last = null;
    else behind.ahead = null;
    this.length--;
    first.queue = null;
    first.behind = null;
    return first;
  }
}
