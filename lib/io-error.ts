// Errors of the network as users meet them: with the stack of the coroutine that was waiting, and with
// what the system said (N11). And the way out for callbacks that throw (N12).

import { core } from '../scheduler/core.ts';
import { inWords } from '../scheduler/errors.ts';
import { Leaf } from '../scheduler/operation.ts';
import type { Address } from './address.ts';

/** An error that names who was spoken to, made where the coroutine waits, from what the system said. */
export function ioError(cause: Error, action: string, address: Address): NodeJS.ErrnoException {
  const { code, syscall, errno } = cause as NodeJS.ErrnoException;
  const error: NodeJS.ErrnoException = new Error(`${action}: ${cause.message}`, { cause });
  // Ten frames are few: they should be the user's, from the line that waited, not ours.
  if (core.current !== null) Error.captureStackTrace(error, Leaf.prototype.next);
  return Object.assign(
    error,
    code === undefined ? {} : { code },
    errno === undefined ? {} : { errno },
    syscall === undefined ? {} : { syscall },
    address.path === '' ? { address: address.host, port: address.port } : { address: address.path },
  );
}

/** Calls a user's callback; what it throws is uncaught, and disturbs nobody else. */
export function guarded<A extends unknown[]>(callback: (...args: A) => void, ...args: A): void {
  try {
    callback(...args);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

export function checkCallback(callback: unknown, what: string): void {
  if (typeof callback !== 'function')
    throw new TypeError(`${what} expects a callback, got ${inWords(callback)}`);
}

/** A duration given by the user. */
export function checkDuration(ms: unknown, what: string): void {
  if (typeof ms !== 'number' || !(ms >= 0)) {
    throw new TypeError(`${what} expects milliseconds, 0 or more, got ${inWords(ms)}`);
  }
}
