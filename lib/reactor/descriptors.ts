// How many descriptors this process may open, and has open. libuv, out of descriptors, closes new
// clients unseen; only a limit of our own, below the system's, keeps that from happening (N10).

import { readdirSync, readFileSync } from 'node:fs';

/** Left for files, pipes and dials that are opened later. */
const RESERVE = 8;
/** What a Node process holds open by itself, where it cannot be counted. */
const USUAL = 32;

/** Sockets that may be open at once, beside what the process holds at this moment. */
export function socketBudget(): number {
  return Math.max(1, softLimit() - openDescriptors() - RESERVE);
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
