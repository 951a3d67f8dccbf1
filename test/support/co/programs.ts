// What programs for `co` are made of that a test runs with the package and with ours: what they log, and
// what becomes of their promise, must be the same. Time is counted in turns of the event loop, so that it
// is the same too.

import { inspect } from 'node:util';
import type realCo from 'co';

export type Log = (...words: unknown[]) => void;
export type Any = Generator<any, any, any>;
export type Callback = (error?: unknown, ...values: unknown[]) => void;
export type Program = (co: typeof realCo, log: Log) => unknown;

/** Resolves after so many turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (; count > 0; count--) await new Promise((resolve) => setImmediate(resolve));
}

export async function later<T>(value: T, after = 1): Promise<T> {
  await turns(after);
  return value;
}

export async function failing(message: string, after = 1): Promise<never> {
  await turns(after);
  throw new Error(message);
}

export function broken(): unknown {
  throw new Error('broken');
}

export function thunk(value: unknown, after = 1): (callback: Callback) => void {
  // oxlint-disable-next-line promise/no-callback-in-promise
  return (callback) => void turns(after).then(() => callback(null, value));
}

export function* work(log: Log, name: string, ...steps: number[]): Any {
  log(name, 'begins');
  for (const step of steps) {
    yield later(step, step);
    log(name, 'after', step);
  }
  return name;
}

/** Yields a value bare. */
export function* one(value: any): Any {
  return yield value;
}

/** The error of an operation, if any. */
export function* caught(operation: Iterable<any>): Any {
  try {
    yield* operation;
    return undefined;
  } catch (error) {
    return error;
  }
}

/** An error as it is compared: the words of a TypeError are our own. */
export function inShort(error: unknown): unknown {
  if (error instanceof TypeError) return error.name;
  return error instanceof Error ? error.message : error;
}

/** What a program logs, also after its promise is settled, and what becomes of that. */
export async function outcome(program: Program, co: typeof realCo): Promise<string[]> {
  const log: string[] = [];
  const write: Log = (...words) => void log.push(words.map((word) => inspect(word, { depth: 9 })).join(' '));
  try {
    write('fulfilled', await program(co, write));
  } catch (error) {
    write('rejected', inShort(error));
  }
  await turns(12);
  return log;
}
