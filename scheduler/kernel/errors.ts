// The errors of skein. Each has a stable `code`, and a message that says what was expected and what
// came; errors of peers and of the system keep the codes of the operating system instead.

/**
 * Thrown by the operation at which a cancelled coroutine was waiting, and by every later one.
 * `name` and `code` are those of Node's own `AbortError`; `cause` is the reason given to `cancel`.
 * It captures no stack: cancelling ten thousand coroutines must not cost ten thousand stacks.
 *
 * @example
 * ```ts
 * import { CancelledError, run, sleep, spawn } from 'skein';
 *
 * await run(function* () {
 *   const sleeper = spawn(() => sleep(1000));
 *   sleeper.cancel('no longer needed');
 *   try {
 *     yield* sleeper.join();
 *   } catch (error) {
 *     console.log(error instanceof CancelledError); // true
 *   }
 * });
 * ```
 */
export class CancelledError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';

  constructor(reason?: unknown) {
    const limit = limitStacks(0);
    super('the operation was cancelled', reason === undefined ? undefined : { cause: reason });
    limitStacks(limit);
  }
}

/** @internal As `instanceof`. Anything can be thrown, also what throws itself when it is looked at. */
export function isInstance<T>(error: unknown, kind: abstract new (...args: never[]) => T): error is T {
  try {
    return error instanceof kind;
  } catch {
    return false;
  }
}

/** @internal Whether what was thrown is a CancelledError. */
export function isCancelledError(error: unknown): error is CancelledError {
  return isInstance(error, CancelledError);
}

/** Whether the number of frames could be set so far. */
let isLimitOurs = true;

/**
 * @internal Sets how many frames the next errors capture, and returns what it was. Where it cannot be written
 * (`--frozen-intrinsics`, `Object.freeze(Error)`), stacks keep the length that they have.
 */
export function limitStacks(frames: number): number {
  const before = Error.stackTraceLimit;
  // Not by Reflect.set, which took 70 ns of each cancellation.
  try {
    if (isLimitOurs) Error.stackTraceLimit = frames;
  } catch {
    isLimitOurs = false;
  }
  return before;
}

/** A deadline passed before the work was done. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
  readonly code = 'ERR_TIMEOUT';
}

/** The object was closed on this side: by `close`, `reset`, `end` or the end of its scope. */
export class ClosedError extends Error {
  override readonly name = 'ClosedError';
  readonly code = 'ERR_CLOSED';
}

/** The object is in use: two readers on one connection, or one operation performed twice at once. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
  readonly code = 'ERR_BUSY';
}

/** What a coroutine waits for can never happen, such as its own end. */
export class DeadlockError extends Error {
  override readonly name = 'DeadlockError';
  readonly code = 'ERR_DEADLOCK';
}

/** The call does not fit the state of its object: unlocking what is not locked, counting below zero. */
export class StateError extends Error {
  override readonly name = 'StateError';
  readonly code = 'ERR_STATE';
}

/** Says what a value is, for messages of the form "expected …, got …"; whatever the value does when it is looked at. */
export function inWords(value: unknown): string {
  try {
    return describe(value);
  } catch {
    return typeof value === 'function' ? 'a function' : 'an object';
  }
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
    case 'number':
    case 'boolean':
    case 'undefined':
    case 'bigint':
      return String(value);
    case 'function':
      return value.name === '' ? 'a function' : `the function ${value.name}`;
    case 'symbol':
      return value.toString();
    default:
      break;
  }
  if (Array.isArray(value)) return 'an array';
  if (Object.prototype.toString.call(value) === '[object Generator]') return 'a generator';
  if ('kind' in (value as object) && 'next' in (value as object)) return 'an operation';
  const name: unknown = (value as object).constructor?.name;
  return typeof name === 'string' && name !== 'Object' && name !== ''
    ? `an instance of ${name}`
    : 'an object';
}
