// What is on its way in a network in memory. Invariants: nothing arrives on the stack of whoever has sent it (R1), and
// all arrives in the order of its sending. It arrives in microtasks, so it needs no timer, and a clock whose time jumps when
// nothing is left to do, in a macrotask of its own, jumps after it. Peers that answer each other for ever would keep all
// macrotasks from running: so every now and then it waits for one, and has the hosts set their alarms again behind it.

import type { Host } from '../contract.ts';

/** Rounds of deliveries, one of which may cause the next, until timers and signals have their turn. */
const ROUNDS = 1_024;

const settled = Promise.resolve();

export class Deliveries {
  /** Those whose clocks may jump. */
  readonly hosts = new Set<Host>();
  #next: (() => void)[] = [];
  #rounds = 0;

  /** Calls `arrive` later, after all that was sent before. */
  send(arrive: () => void): void {
    if (this.#next.push(arrive) > 1) return;
    if (++this.#rounds < ROUNDS) {
      void settled.then(this.#deliver);
      return;
    }
    this.#rounds = 0;
    setImmediate(this.#deliver);
    for (const host of this.hosts) {
      host.beginBatch();
      host.endBatch();
    }
  }

  readonly #deliver = (): void => {
    const arriving = this.#next;
    this.#next = [];
    for (const arrive of arriving) {
      try {
        arrive();
      } catch (error) {
        // Whatever comes of it, the others arrive as well.
        setImmediate(() => {
          throw error;
        });
      }
    }
  };
}
