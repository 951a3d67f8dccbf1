// How many descriptors this process may open, and has open. libuv, out of descriptors, closes new
// clients unseen; only a limit of our own, below the system's, keeps that from happening (N10).

import { builtin } from './builtin.ts';

/** Left for files, pipes and dials that are opened later. */
const RESERVE = 8;
/** What a Node process holds open by itself, where it cannot be counted. */
const USUAL = 32;

/** Milliseconds between two counts at the limit. */
const COUNT_EVERY = 20;

/**
 * Says whether one more socket fits. Descriptors are counted anew each time half of the room that was
 * found is used up, so files that others open and close meanwhile are seen, and a count stays rare.
 */
export class SocketBudget {
  /** Sockets that may be open at once. */
  limit = 0;
  #countAgainAt = 0;
  #countedAt = -Infinity;
  #soft: number | undefined;
  readonly #now: () => number;

  /** `now` is in milliseconds. */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  fits(open: number): boolean {
    if (open >= this.#countAgainAt && this.#now() - this.#countedAt >= COUNT_EVERY) this.#count(open);
    return open < this.limit;
  }

  #count(open: number): void {
    this.#soft ??= descriptorLimit('soft');
    const room = roomForSockets(this.#soft);
    this.limit = open + room;
    this.#countAgainAt = open + Math.floor(room / 2);
    this.#countedAt = this.#now();
  }
}

/** How many more sockets the process may open now; Infinity where that cannot be found out. */
export function roomForSockets(limit = descriptorLimit('soft')): number {
  return Math.max(0, limit - openDescriptors() - RESERVE);
}

/** How many descriptors the process may have; Infinity where that cannot be found out. */
export function descriptorLimit(which: 'soft' | 'hard'): number {
  try {
    const limits = builtin('node:fs').readFileSync('/proc/self/limits', 'latin1');
    const limit = /^Max open files\s+(?<soft>\d+)\s+(?<hard>\d+)/m.exec(limits)?.groups?.[which];
    if (limit !== undefined) return Number(limit);
  } catch {
    // No /proc on this system: the report knows it too, at the price of some milliseconds.
  }
  const report = process.report.getReport() as unknown as {
    userLimits?: { open_files?: { soft?: unknown; hard?: unknown } };
  };
  const limit = Number(report.userLimits?.open_files?.[which]);
  return Number.isFinite(limit) ? limit : Infinity;
}

function openDescriptors(): number {
  try {
    return builtin('node:fs').readdirSync('/dev/fd').length;
  } catch {
    return USUAL;
  }
}
