// How many descriptors this process may open, and has open. libuv, out of descriptors, closes new
// clients unseen; only a limit of our own, below the system's, keeps that from happening (N10).

import { readdirSync, readFileSync } from 'node:fs';

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

  fits(open: number): boolean {
    if (open >= this.#countAgainAt && performance.now() - this.#countedAt >= COUNT_EVERY) this.#count(open);
    return open < this.limit;
  }

  #count(open: number): void {
    this.#soft ??= softLimit();
    const room = Math.max(0, this.#soft - openDescriptors() - RESERVE);
    this.limit = open + room;
    this.#countAgainAt = open + Math.floor(room / 2);
    this.#countedAt = performance.now();
  }
}

function softLimit(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    if (limit !== undefined) return Number(limit);
  } catch {
    // No /proc on this system: the report knows it too, at the price of some milliseconds.
  }
  const report = process.report.getReport() as unknown as {
    userLimits?: { open_files?: { soft?: unknown } };
  };
  const soft = Number(report.userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : Infinity;
}

function openDescriptors(): number {
  try {
    return readdirSync('/dev/fd').length;
  } catch {
    return USUAL;
  }
}
