// How long a peer is waited for that still has to take what is left for it, or to answer. One that makes no progress for
// 5 s is given up, and so is one that takes less than 1 KiB/s for 30 s (N6). Progress is what the peer takes, and not
// what the kernel does: that may have accepted megabytes at once. So there is no limit to the time in all: a slow but
// steady reader gets everything.

import { Timer, type Timers } from '../scheduler/timers.ts';
import type { Uptake } from './uptake.ts';

/** Milliseconds between two looks at what the peer has taken. */
const EVERY = 1_000;
/** So many looks without progress end it. */
const LOOKS = 5;
/**
 * So many where the system does not tell what the peer takes, since the kernel takes more in steps of up to megabytes; and
 * while the peer may have reason to be silent.
 */
const LOOKS_AT_MOST = 30;
/** Within so many looks the peer has to take so many bytes. */
const WINDOW = 30;
const AT_LEAST = WINDOW * 1_024;

export interface Waited {
  readonly uptake: Uptake;
  /** Bytes that have come from the peer: more of them are progress, too. */
  received(): number;
  /** Whether the peer may have reason to be silent: it waits for this side, or is at work on what it has. */
  isHeldUp(): boolean;
  /** It is given up. If it has taken everything, nothing is lost by leaving the rest to the kernel. */
  giveUp(hasAll: boolean): void;
}

export class Patience {
  readonly #peer: Waited;
  readonly #timer: Timer;
  /** What the peer took between the last looks. */
  readonly #taken: number[] = [];
  #received: number;
  /** Looks since the last progress. */
  #idleLooks = 0;

  constructor(peer: Waited, timers: Timers) {
    this.#peer = peer;
    this.#received = peer.received();
    this.#timer = new Timer(timers, () => this.#look());
    this.#timer.start(EVERY);
  }

  stop(): void {
    this.#timer.stop();
  }

  #look(): void {
    const { uptake } = this.#peer;
    const taken = uptake.look();
    this.#taken.push(taken);
    const received = this.#peer.received();
    if (taken > 0 || received !== this.#received) this.#idleLooks = 0;
    else this.#idleLooks++;
    this.#received = received;
    const looks = uptake.isTold && !this.#peer.isHeldUp() ? LOOKS : LOOKS_AT_MOST;
    if (this.#idleLooks < looks && !this.#isTooSlow()) this.#timer.start(EVERY);
    else this.#peer.giveUp(uptake.left === 0);
  }

  #isTooSlow(): boolean {
    const taken = this.#taken;
    // The first look has nothing to compare with.
    if (taken.length <= WINDOW) return false;
    taken.shift();
    return taken.reduce((sum, size) => sum + size) < AT_LEAST;
  }
}
