// Settings from the environment, for the samples that have some. One that makes no sense ends the program before
// anything has begun, with a sentence that names it; an empty one counts as not set.

import { realpathSync, statSync } from 'node:fs';

/** Where to listen: HOST and PORT. */
export function whereToListen(port = 9981): { host: string; port: number } {
  return { host: text('HOST') ?? '127.0.0.1', port: whole('PORT', port, { most: 65_535 }) };
}

/** A whole number, of milliseconds or whatever there is to count. */
export function whole(name: string, fallback: number, { least = 0, most = Infinity } = {}): number {
  const given = text(name);
  if (given === undefined) return fallback;
  const number = Number(given);
  if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
  const range = most === Infinity ? `, ${least} or more,` : ` from ${least} to ${most},`;
  return refuseToStart(`${name} expects a whole number${range} got "${given}"`);
}

/** The real path of a folder. */
export function folder(name: string, fallback: string): string {
  const given = text(name) ?? fallback;
  if (statSync(given, { throwIfNoEntry: false })?.isDirectory()) return realpathSync(given);
  return refuseToStart(`${name} expects a folder, got "${given}"`);
}

export function text(name: string): string | undefined {
  return process.env[name]?.trim() || undefined;
}

/** Without a stack: it is not the program that must be changed. */
export function refuseToStart(why: string): never {
  console.error(why);
  process.exit(1);
}
