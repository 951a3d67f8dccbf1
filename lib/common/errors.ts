// The errors of lib/: its own classes, with codes as those of the scheduler have them; and errors of the network, with
// the stack of the coroutine that was waiting and the system's error as their cause (N11). Below is what calls users back:
// a callback that throws keeps no other from running (N12).

import { type AsyncContext, captureContext, outside } from '../../scheduler/kernel/async-context.ts';
import { TimeoutError } from '../../scheduler/kernel/errors.ts';
import { atLeaf } from '../../scheduler/kernel/operation.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { actFor } from '../../scheduler/kernel/scheduler.ts';
import type { Address } from './address.ts';

/** The peer broke the protocol: what it sent is not what the protocol allows at that place. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code = 'ERR_PROTOCOL';
}

/**
 * More came than was allowed, or was to be sent: a line, a frame. What came is still there for `read`.
 *
 * @example
 * ```ts
 * import { dial, LimitError, listen, run, spawn } from 'skein';
 *
 * await run(function* () {
 *   const acceptor = yield* listen(0);
 *   spawn(function* () {
 *     const conn = yield* dial(acceptor.address);
 *     yield* conn.write('far too long\n');
 *     conn.close();
 *   });
 *   const conn = yield* acceptor.accept();
 *   try {
 *     yield* conn.readLine({ limit: 5 });
 *   } catch (error) {
 *     console.log(error instanceof LimitError); // true
 *   }
 *   conn.close();
 *   acceptor.close();
 * });
 * ```
 */
export class LimitError extends Error {
  override readonly name = 'LimitError';
  readonly code = 'ERR_LIMIT';
}

/** The stream has ended inside of a frame. What came of it is still there for `read`. */
export class UnexpectedEofError extends Error {
  override readonly name = 'UnexpectedEofError';
  readonly code = 'ERR_UNEXPECTED_EOF';
}

/** An error that names who was spoken to, made where the coroutine waits, from what the system said. */
export function ioError(cause: Error, action: string, address: Address): NodeJS.ErrnoException {
  const { code, syscall, reason } = cause as NodeJS.ErrnoException & { reason?: unknown };
  // A socket has one error: the write that meets that of a read must not say "read ECONNRESET".
  const isTransfer = syscall === 'read' || syscall === 'write';
  // The messages of OpenSSL name its source files; the reason is what it has to say.
  const said = typeof reason === 'string' ? reason : cause.message;
  const Kind = cause instanceof TimeoutError ? TimeoutError : Error;
  const error = new Kind(`${action}: ${isTransfer && code ? code : said}`, { cause });
  return detailed(atLeaf(error), cause, address);
}

/** Says of an error what Node says of one of the system: what that was, if there was one, and the address. */
export function detailed<E extends Error>(error: E, cause: Error | null, address: Address): E {
  const { code, syscall, errno } = (cause ?? {}) as NodeJS.ErrnoException;
  return Object.assign(
    error,
    code === undefined ? {} : { code },
    errno === undefined ? {} : { errno },
    syscall === undefined ? {} : { syscall },
    address.path === '' ? { address: address.host, port: address.port } : { address: address.path },
  );
}

/**
 * Calls a user's callback, outside of all contexts, with the scheduler of its object as the current one; what it throws
 * is uncaught, and disturbs nobody else.
 */
export function guarded<A extends unknown[]>(
  scheduler: Scheduler,
  callback: (...args: A) => void,
  ...args: A
): void {
  const before = actFor(scheduler);
  try {
    outside(callback, ...args);
  } catch (error) {
    throwLater(error);
  } finally {
    actFor(before);
  }
}

/**
 * The callbacks of one connection, which are called per message. They share a context, as those of one of Node's sockets
 * do: a new one for each call would cost a twelfth of a message. What one throws is uncaught, and disturbs nobody else.
 */
export class Callbacks {
  readonly #scheduler: Scheduler;
  #context: AsyncContext | null = null;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  call<A, B>(callback: (first: A, second: B) => void, first: A, second: B): void {
    this.#context ??= outside(captureContext);
    const before = actFor(this.#scheduler);
    try {
      this.#context.runInAsyncScope(
        callback as (this: unknown, first: A, second: B) => void,
        undefined,
        first,
        second,
      );
    } catch (error) {
      throwLater(error);
    } finally {
      actFor(before);
    }
  }
}

function throwLater(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

/** An error that nobody asked for. */
export function uncaught(error: Error): never {
  throw error;
}
