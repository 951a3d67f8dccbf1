// Arguments of users, checked in the call that they pass them to: a mistake is a TypeError that says what was expected and
// what came.

import { inWords } from '../../scheduler/kernel/errors.ts';

export function checkCallback(callback: unknown, what: string): void {
  if (typeof callback !== 'function')
    throw new TypeError(`${what} expects a callback, got ${inWords(callback)}`);
}

/** What is to be written or sent. */
export function checkData(data: unknown): void {
  if (typeof data === 'string' || data instanceof Uint8Array) return;
  throw new TypeError(`expected a string or a Uint8Array to write, got ${inWords(data)}`);
}

/** A resolver given by the user; undefined stands for that of the system. */
export function checkLookup(lookup: unknown, what: string): void {
  if (lookup === undefined || typeof lookup === 'function') return;
  throw new TypeError(`the lookup of ${what} expects a function, got ${inWords(lookup)}`);
}

/** A count given by the user; undefined stands for the default. */
export function checkCount(count: unknown, what: string): void {
  if (count === undefined || count === Infinity || (Number.isInteger(count) && (count as number) >= 0))
    return;
  throw new TypeError(`${what} expects a whole number, 0 or more, got ${inWords(count)}`);
}

/** A duration given by the user. */
export function checkDuration(ms: unknown, what: string): asserts ms is number {
  if (typeof ms !== 'number' || !(ms >= 0)) {
    throw new TypeError(`${what} expects milliseconds, 0 or more, got ${inWords(ms)}`);
  }
}

/** The longest that silence or a phase may last: `Infinity` where the user has said 0 or `Infinity`, which are never. */
export function timeLimit(ms: unknown, what: string): number {
  checkDuration(ms, what);
  return ms === 0 ? Infinity : ms;
}
