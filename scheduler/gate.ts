// What WaitGroup and Latch have in common: a count, and those who wait until it is zero. Whoever waited at
// that moment goes on, even if the count rises again before they run.

import { StateError } from './errors.ts';
import { notes } from './sync.ts';
import { QueuedOperation, WaitQueue } from './wait-queue.ts';

export class Gate {
  readonly name: string;
  readonly line = new WaitQueue<GateOperation>();
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
    for (let one = this.line.shift(); one !== null; one = this.line.shift()) one.fire();
  }
}

export class GateOperation extends QueuedOperation<void> {
  /** @internal */ declare gate: Gate;

  constructor(gate: Gate) {
    super();
    this.gate = gate;
  }

  poll(): boolean {
    return this.gate.count === 0;
  }

  arm(): void {
    this.gate.line.push(this);
  }

  disarm(): void {
    this.gate.line.remove(this);
  }

  describe(): string {
    const { name, line, count } = this.gate;
    return `waiting for ${name}${notes(line, `${count} to go`)}`;
  }
}
