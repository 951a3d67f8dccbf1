// What WaitGroup and Latch have in common: a count, and those who wait until it is zero. Whoever waited at
// that moment goes on, even if the count rises again before they run.

import { StateError } from './errors.ts';
import { kind } from './kind.ts';
import { Leaf, type Operation } from './operation.ts';
import { notes } from './sync.ts';
import { WaitQueue } from './wait-queue.ts';

export class Gate {
  readonly name: string;
  readonly line = new WaitQueue<Leaf<void, Gate, undefined>>();
  count: number;

  constructor(name: string, count: number) {
    this.name = name;
    this.count = count;
  }

  /** @throws StateError if less would be left than nothing */
  lower(count: number): void {
    if (count > this.count) {
      throw new StateError(`cannot count ${this.name} down by ${count}: its count is ${this.count}`);
    }
    this.count -= count;
    if (this.count > 0) return;
    // Only those who stand there now: whoever they wake may come back at once.
    for (let left = this.line.length; left > 0; left--) this.line.shift()?.fire();
  }

  /** Waits until the count is zero. */
  wait(): Operation<void> {
    return new Leaf<void, Gate, undefined>(PASS, this, undefined);
  }
}

const PASS = kind<void, Gate>({
  poll: ({ target }) => target.count === 0,
  arm: (operation) => operation.target.line.push(operation),
  disarm: (operation) => operation.target.line.remove(operation),
  describe: ({ target: { name, line, count } }) => `waiting for ${name}${notes(line, `${count} to go`)}`,
});
