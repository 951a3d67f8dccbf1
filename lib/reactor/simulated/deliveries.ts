// What is on its way in a network in memory. Invariants: nothing arrives on the stack of whoever has sent it (R1), and
// all arrives in the order of its sending. It arrives in microtasks, so it needs no timer, and a clock whose time jumps when
// nothing is left to do, in a macrotask of its own, jumps after it. Two things need macrotasks: peers that answer each other
// for ever, which let timers and signals have their turn now and then, and streams of Node's. Then the hosts set their
// alarms again, behind what is still to come.

import type { Host } from '../contract.ts';

/** Rounds of deliveries, one of which may cause the next, until timers and signals have their turn. */
const ROUNDS = 1_024;

/** Rounds of the loop in which a stream of Node's goes on with what has come to it, as those of TLS do. */
const REST = 6;

const settled = Promise.resolve();

export class Deliveries {
  /** Those whose clocks may jump. */
  readonly hosts = new Set<Host>();
  #next: (() => void)[] = [];
  #rounds = 0;
  /** Rounds of the loop until no stream of Node's is at work. */
  #untilRest = 0;

  /** Calls `arrive` later, after all that was sent before. */
  send(arrive: () => void): void {
    if (this.#next.push(arrive) > 1) return;
    if (++this.#rounds < ROUNDS) {
      void settled.then(this.#deliver);
      return;
    }
    this.#rounds = 0;
    setImmediate(this.#deliver);
    void settled.then(this.#setAlarms);
  }

  /** Keeps time from jumping until streams of Node's, one of which is at work now, have come to rest. */
  holdTime(): void {
    const isHeld = this.#untilRest > 0;
    this.#untilRest = REST;
    if (isHeld) return;
    setImmediate(this.#beginRound);
    void settled.then(this.#setAlarms);
  }

  readonly #beginRound = (): void => {
    if (--this.#untilRest === 0) return;
    setImmediate(this.#beginRound);
    this.#setAlarms();
  };

  readonly #setAlarms = (): void => {
    for (const host of this.hosts) {
      host.beginBatch();
      host.endBatch();
    }
  };

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
