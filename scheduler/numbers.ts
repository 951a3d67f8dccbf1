// Numbers as arguments: counts and durations, or a TypeError that says what was expected.

import { inWords } from './errors.ts';

/** @throws TypeError unless `value` is a whole number from `least` to `most` */
export function expectWhole(what: string, value: number, least: number, most = Infinity): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const range = most === Infinity ? `${least} or more` : `from ${least} to ${most}`;
  throw new TypeError(`${what} expects a whole number, ${range}, got ${inWords(value)}`);
}

/** @throws TypeError unless `ms` is a number; any will do, also a negative one or `Infinity` */
export function milliseconds(ms: number, what: string): number {
  if (typeof ms === 'number' && !Number.isNaN(ms)) return ms;
  throw new TypeError(`${what} expects milliseconds, got ${inWords(ms)}`);
}
