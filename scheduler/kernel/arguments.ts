// Options, counts and durations as users pass them. A misspelt option is a TypeError that suggests the right one, since it
// would otherwise be taken for one that was not given.

import type { Clock } from './clock.ts';
import { inWords } from './errors.ts';

/** How to run a body; all are optional. */
export interface RunOptions {
  /**
   * Cancels the coroutine and all its children when it aborts; its reason becomes the error's `cause`.
   * The body is not started if it has aborted before.
   */
  signal?: AbortSignal | undefined;
  /** The name in dumps and messages. */
  name?: string | undefined;
  /**
   * Keeps the contexts of `AsyncLocalStorage`: every coroutine runs in the one in which it was spawned. By
   * default coroutines run in none, since it costs 40 ns a spawn and 5 ns a resume.
   */
  asyncContext?: boolean | undefined;
}

/** How to start a coroutine; all are optional. */
export interface SpawnOptions {
  /** The name in dumps and messages; by default that of the generator function, or `coroutine-<id>`. */
  name?: string | undefined;
  /** Not waited for: cancelled when the body of its scope and all others have ended. Default false. */
  daemon?: boolean | undefined;
  /**
   * Called with the error if the coroutine fails; the error goes no further, and neither its scope nor
   * its siblings are disturbed. An error thrown here becomes the coroutine's and does go further.
   */
  onError?: ((error: unknown) => void) | undefined;
}

/** How to make a scheduler; all are optional. */
export interface SchedulerOptions {
  /** The time by which timers run; by default the system's. */
  clock?: Clock | undefined;
  /** Where the random numbers begin, such as those of `select`: the same seed, the same choices. */
  seed?: number | undefined;
  /**
   * A coroutine that blocks the thread for more milliseconds is named in a process warning, as others
   * cannot run meanwhile. By default 100, and `Infinity`, which is never, if NODE_ENV is `production`:
   * it costs a reading of the clock per resume.
   */
  holdLimit?: number | undefined;
  /** The network of its sockets, such as that of `memoryNetwork()` (`skein/testing`); by default the system's. */
  network?: object | undefined;
}

/** The names of the options of something; the compiler sees to it that they are all there. */
export function optionNames<T extends object>(names: Record<keyof T, true>): ReadonlySet<string> {
  return new Set(Object.keys(names));
}

/** @throws TypeError for options that are not an object, or have one that is not among `names` */
export function checkOptions(what: string, options: object, names: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${what} expects an object of options, got ${inWords(options)}`);
  }
  // Cheaper than `Object.keys`, which makes an array; so what is inherited is told apart only then.
  for (const name in options) if (!names.has(name)) refuse(what, options, name, names);
}

function refuse(what: string, options: object, name: string, names: ReadonlySet<string>): void {
  if (!Object.hasOwn(options, name) || options[name as keyof typeof options] === undefined) return;
  const [first, second] = [...names]
    .map((known) => ({ known, distance: distance(name.toLowerCase(), known.toLowerCase()) }))
    .toSorted((one, other) => one.distance - other.distance);
  const isClear = second === undefined || first!.distance < second.distance || first!.distance <= 1;
  const suggestion =
    first!.distance <= Math.max(2, name.length / 3) && isClear
      ? `did you mean ${first!.known}?`
      : `it has ${[...names].join(', ')}`;
  throw new TypeError(`${what} has no option ${name}; ${suggestion}`);
}

/** How many letters are to be put in, left out or changed to make one word of another; 1 if it begins with the other. */
function distance(one: string, other: string): number {
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  if (short.length > 2 && long.startsWith(short)) return 1;
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [line, letter] of [...one].entries()) {
    const next = [line + 1];
    for (let index = 0; index < other.length; index++) {
      const change = row[index]! + (other[index] === letter ? 0 : 1);
      next.push(Math.min(change, row[index + 1]! + 1, next[index]! + 1));
    }
    row = next;
  }
  return row[other.length]!;
}

const RUN = optionNames<RunOptions>({ signal: true, name: true, asyncContext: true });
const SCHEDULER = optionNames<SchedulerOptions>({ clock: true, seed: true, holdLimit: true, network: true });
const SPAWN = optionNames<SpawnOptions>({ name: true, daemon: true, onError: true });

export function checkRunOptions(options: RunOptions): void {
  checkOptions('run', options, RUN);
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw notASignal('run', signal);
}

export function checkSchedulerOptions(options: SchedulerOptions): void {
  checkOptions('Scheduler', options, SCHEDULER);
  const { holdLimit, seed, network } = options;
  if (holdLimit !== undefined && !(holdLimit >= 0)) throw badOption('holdLimit', 'milliseconds', holdLimit);
  if (seed !== undefined && !Number.isFinite(seed)) throw badOption('seed', 'a number', seed);
  if (network !== undefined && (typeof network !== 'object' || network === null))
    throw badOption('network', 'a network', network);
}

function badOption(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`Scheduler expects ${expected} as its ${name}, got ${inWords(value)}`);
}

export function checkSpawnOptions(options: SpawnOptions): void {
  if (hasUnknown(options)) checkOptions('spawn', options, SPAWN);
  const { onError } = options;
  if (onError === undefined || typeof onError === 'function') return;
  throw new TypeError(`spawn expects a function as its onError, got ${inWords(onError)}`);
}

/** Without a look into a set for each name, since a program may spawn for each message. */
function hasUnknown(options: SpawnOptions): boolean {
  if (typeof options !== 'object' || options === null) return true;
  for (const name in options) if (name !== 'name' && name !== 'daemon' && name !== 'onError') return true;
  return false;
}

export function notASignal(what: string, value: unknown): TypeError {
  return new TypeError(`${what} expects an AbortSignal as its signal, got ${inWords(value)}`);
}

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

/** How to make a channel, a lock or another thing to wait for. */
export interface NameOptions {
  /** The name in dumps and messages. */
  name?: string | undefined;
}

const NAME = optionNames<NameOptions>({ name: true });

/** The name of one that `what` makes; by default what it is, in words. */
export function nameOf(what: string, options: NameOptions, otherwise: string): string {
  checkOptions(what, options, NAME);
  return options.name ?? otherwise;
}

/** " (0 of 3 available, 2 waiting)": the state of what is waited for, and those in the same queue if several. */
export function notes({ length }: { readonly length: number }, state?: string): string {
  const parts = state === undefined ? [] : [state];
  if (length > 1) parts.push(`${length} waiting`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}
