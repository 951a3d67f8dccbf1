// When a key expires, as commands say it: in seconds or milliseconds, from now on or since 1970.

import { expectWhole } from './numbers.ts';
import { Refusal } from './reply.ts';

/** The words, each with how many milliseconds its unit has, and whether it counts from now on. */
export const UNITS: Readonly<Record<string, { readonly ms: number; readonly isRelative: boolean }>> = {
  EX: { ms: 1000, isRelative: true },
  PX: { ms: 1, isRelative: true },
  EXAT: { ms: 1000, isRelative: false },
  PXAT: { ms: 1, isRelative: false },
};

const LATEST = 2 ** 63;

/** Milliseconds since 1970. A time that has passed is one too, but not one of zero or less. */
export function expiryOf(text: string, unit: string, command: string): number {
  const value = expectWhole(text);
  if (value <= 0) throw invalid(command);
  return timeOf(value, unit, command);
}

/** The same for the commands to which any time will do. */
export function timeOf(value: number, unit: string, command: string): number {
  const { ms, isRelative } = UNITS[unit]!;
  const time = value * ms + (isRelative ? Date.now() : 0);
  if (Math.abs(value * ms) >= LATEST || time >= LATEST) throw invalid(command);
  return time;
}

function invalid(command: string): Refusal {
  return new Refusal(`ERR invalid expire time in '${command.toLowerCase()}' command`);
}
