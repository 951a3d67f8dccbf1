// What the programs of several contestants have in common.

import { median } from '../../shared/median.ts';
import type { Figures } from './meter.ts';

/** Coroutines per batch where they are spawned and ended together. */
export const BATCH = 1000;
/** Coroutines in the ring. */
export const RING = 1000;
/** Coroutines in the chain. */
export const CHAIN = 10_000;
/** What the buffered channel holds. */
export const CAPACITY = 128;
/** Coroutines that are parked at once. */
export const PARKED = 1_000_000;
/** Coroutines that wait on one channel. */
export const WAITERS = 100_000;
/** Timers that are pending while others are armed and cancelled. */
export const PENDING = 1_000_000;
/** Timers that are armed together, to be cancelled in a later turn. */
export const TIMERS = 10_000;

/** Milliseconds for the i-th timer: one of a thousand durations from a minute to an hour, shuffled. */
export function duration(i: number): number {
  return 60_000 + 3600 * ((i * 7919) % 1000);
}

/** A million timers of Node that are not due while the program runs. */
export function pendingTimers(): NodeJS.Timeout[] {
  return Array.from({ length: PENDING }, (_, i) => setTimeout(() => {}, duration(i)));
}

/** The numbers below `count` in an order that looks random and is always the same. */
export function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 12_345;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const j = state % (i + 1);
    const other = order[j]!;
    order[j] = order[i]!;
    order[i] = other;
  }
  return order;
}

/** Bytes on the heap that are still in use. */
export function heapInUse(): number {
  for (let i = 0; i < 2; i++) globalThis.gc!();
  return process.memoryUsage().heapUsed;
}

/** A promise, and what fulfils it. */
export function opening<T>(): { gate: Promise<T>; open: (value: T) => void } {
  const made = {} as { gate: Promise<T>; open: (value: T) => void };
  made.gate = new Promise((resolve) => void (made.open = resolve));
  return made;
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Milliseconds of processor time and of wall time. */
export interface Lap {
  cpu: number;
  wall: number;
}

export class Stopwatch {
  #cpu = process.cpuUsage();
  #wall = performance.now();

  /** The time since the previous call. */
  lap(): Lap {
    const { user, system } = process.cpuUsage(this.#cpu);
    const wall = performance.now();
    const lap = { cpu: (user + system) / 1e3, wall: wall - this.#wall };
    this.#cpu = process.cpuUsage();
    this.#wall = wall;
    return lap;
  }
}

/** Laps that are added up, as figures: `name` is their processor time, `name-wall` their wall time. */
export function inAll(name: string, ...laps: Lap[]): Figures {
  const all = new Laps();
  all.add(...laps);
  return all.figures(name);
}

/** Medians of what is done several times. */
export class Laps {
  readonly #cpu: number[] = [];
  readonly #wall: number[] = [];

  add(...laps: Lap[]): void {
    this.#cpu.push(laps.reduce((sum, lap) => sum + lap.cpu, 0));
    this.#wall.push(laps.reduce((sum, lap) => sum + lap.wall, 0));
  }

  figures(name: string): Figures {
    return { [name]: median(this.#cpu), [`${name}-wall`]: median(this.#wall) };
  }
}
