// The server loop: one coroutine per client. A client's error is its own, and its connection is closed
// when its handler ends. It ends in stages: stop accepting, let the handlers finish, cancel the rest.

import { CancelledError, ClosedError, inWords } from '../scheduler/errors.ts';
import type { Coroutine } from '../scheduler/coroutine.ts';
import type { Co, Operation } from '../scheduler/operation.ts';
import { notASignal } from '../scheduler/options.ts';
import { scope } from '../scheduler/inner-scope.ts';
import type { Scope, Supervisor } from '../scheduler/scope.ts';
import { sleep } from '../scheduler/sleep.ts';
import { Acceptor, type ListenOptions } from './acceptor.ts';
import type { Address, AddressLike } from './address.ts';
import type { Connection } from './connection.ts';
import { checkCallback, checkDuration } from './io-error.ts';
import { bind, listen } from './listen.ts';

/** How to serve; all are optional. */
export interface ServeOptions extends Omit<ListenOptions, 'onError'> {
  /**
   * Hears of what a handler threw, of a write that failed after its handler had ended, and, without a
   * connection, of errors of accepting. By default they are printed to stderr.
   */
  readonly onError?: ((error: unknown, conn: Connection | undefined) => void) | undefined;
  /** Ends the server when it aborts: no new clients, and those there are may finish within `grace`. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that handlers have to finish before they are cancelled. Default 5,000. */
  readonly grace?: number | undefined;
}

const GRACE = 5_000;

/**
 * Serves each connection in a coroutine of its own. Returns after `signal` has aborted, or the acceptor
 * was closed, and all handlers have ended; cancelling it cancels the handlers at once. The connection of
 * a handler that was cancelled is reset. An acceptor that
 * is handed in is closed in the end as well.
 *
 * @throws TypeError for malformed arguments; the system's error if it cannot listen (`EADDRINUSE`, …)
 *
 * @example
 * ```ts
 * import { run, serve } from 'skein';
 *
 * const stop = new AbortController();
 * await run(() =>
 *   serve(
 *     0,
 *     function* (conn) {
 *       for (let data; (data = yield* conn.read()) !== null; ) yield* conn.write(data);
 *     },
 *     { signal: stop.signal, onListening: () => stop.abort() },
 *   ),
 * );
 * ```
 */
export function* serve(
  where: AddressLike | Address | Acceptor,
  handler: (conn: Connection) => Co<void> | Operation<void>,
  options: ServeOptions = {},
): Co<void> {
  const { signal, grace = GRACE, onError = printError, onListening, ...listenOptions } = options;
  if (typeof handler !== 'function') throw new TypeError(`serve expects a handler, got ${inWords(handler)}`);
  checkCallback(onError, 'the onError of serve');
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw notASignal('serve', signal);
  }
  checkDuration(grace, 'the grace of serve');
  const report = (error: Error): void => onError(error, undefined);
  const acceptor = yield* where instanceof Acceptor
    ? bind(() => where)
    : listen(where, { ...listenOptions, onError: report });
  const stop = (): void => acceptor.close();
  if (signal?.aborted) stop();
  else signal?.addEventListener('abort', stop, { once: true });
  try {
    onListening?.(acceptor.address);
    yield* scope((clients) => acceptAll(acceptor, handler, onError, grace, clients));
  } finally {
    signal?.removeEventListener('abort', stop);
    acceptor.close();
  }
}

function* acceptAll(
  acceptor: Acceptor,
  handler: (conn: Connection) => Co<void> | Operation<void>,
  onError: (error: unknown, conn: Connection) => void,
  grace: number,
  clients: Scope,
): Co<void> {
  const supervisor: Supervisor<Connection> = {
    nameOf: (conn) => `client ${conn.remoteAddress}`,
    onEnd(coroutine, conn) {
      if (release(conn, coroutine)) return;
      // What was written is on its way; if it does not get there, somebody should hear of it.
      clients.supervise(() => conn.delivered(), conn, { ...supervisor, onEnd() {} });
    },
    onError,
  };
  // The handler is the coroutine's body, with nothing around it: each generator around it would cost at each
  // resume. So its connection is closed from outside, once all that it has spawned has ended as well.
  for (let conn; (conn = yield* acceptUnlessClosed(acceptor)) !== null;) {
    clients.supervise(handler, conn, supervisor);
  }
  clients.spawn(
    function* cutOff() {
      yield* sleep(grace);
      clients.cancel();
    },
    { daemon: true },
  );
}

function* acceptUnlessClosed(acceptor: Acceptor): Co<Connection | null> {
  try {
    return yield* acceptor.accept();
  } catch (error) {
    if (error instanceof ClosedError && acceptor.isClosed) return null;
    throw error;
  }
}

/** Closes the connection of a handler that has ended; false if somebody should wait until all is delivered. */
function release(conn: Connection, handler: Coroutine<unknown>): boolean {
  const wasCutOff = handler.state === 'cancelled' || handler.errors?.[0] instanceof CancelledError;
  // Who was cut off has had its time: a peer that never ends must not hold the process up.
  if (wasCutOff) conn.reset();
  else conn.close();
  return handler.state !== 'done' || conn.hasDelivered;
}

function printError(error: unknown, conn: Connection | undefined): void {
  console.error(conn === undefined ? 'skein:' : `skein: client ${conn.remoteAddress}:`, error);
}
