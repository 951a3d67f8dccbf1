// Serving, in one call: it binds, runs a coroutine for each client, and shuts down gracefully: it stops accepting, lets the
// handlers finish, and cuts off the rest.

import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import type { Clock } from '../../scheduler/kernel/clock.ts';
import { inWords, isInstance } from '../../scheduler/kernel/errors.ts';
import type { Co } from '../../scheduler/kernel/operation.ts';
import { reportUncaught } from '../../scheduler/kernel/warnings.ts';
import { currentScheduler } from '../../scheduler/kernel/scheduler.ts';
import type { Address, AddressLike } from '../common/address.ts';
import { checkCallback, checkCount, checkDuration } from '../common/checks.ts';
import { networkOf } from '../common/current-reactor.ts';
import { Seldom } from '../common/log-limiter.ts';
import type { Connection } from '../connection/connection.ts';
import { Acceptor, bind, listen, LISTEN_OPTIONS, type ListenOptions } from '../listen/acceptor.ts';
import { CutOffError, type Handler, Server } from './server.ts';
import { checkStop, type StopOptions, watchStop } from './stop-signals.ts';

/** How to serve; all are optional. */
export interface ServeOptions extends Omit<ListenOptions, 'onError'>, StopOptions {
  /**
   * Hears of what a handler threw, of a write that failed after its handler had ended, of clients that were cut off
   * after `grace` (a `TimeoutError` that says what the handler was waiting for), and, without a connection, of
   * errors of accepting. By default errors are printed to stderr, those of accepting once a second at most: a peer can
   * cause as many of them as it likes. What it throws disturbs no client: it is an uncaught exception if the process
   * listens to these, and is printed otherwise.
   */
  readonly onError?: ((error: unknown, conn: Connection | undefined) => void) | undefined;
  /** Milliseconds that handlers have to finish before they are cut off. Default 5,000. */
  readonly grace?: number | undefined;
  /**
   * Clients that are served at once, at all addresses together; nobody is accepted beyond. By default as many as
   * the process may open descriptors for when it begins to serve.
   */
  readonly maxConnections?: number | undefined;
  /** The `idleTimeout` of each connection. Default 0, for never, as with `Infinity`. */
  readonly idleTimeout?: number | undefined;
  /** The `requestTimeout` of each connection, a total and not a gap: for protocols in which each is answered. Default 0, for none. */
  readonly requestTimeout?: number | undefined;
}

/** @internal */
export const SERVE_OPTIONS = {
  ...LISTEN_OPTIONS,
  signal: true,
  signals: true,
  grace: true,
  idleTimeout: true,
  requestTimeout: true,
} as const satisfies Record<keyof ServeOptions, true>;

const OPTIONS = optionNames<ServeOptions>(SERVE_OPTIONS);

/** Where to serve. */
export type Where = AddressLike | Address | Acceptor;

const GRACE = 5_000;

/**
 * Serves each connection in a coroutine of its own, and closes it when its handler has ended. An error of one
 * handler ends no other.
 *
 * It shuts down gracefully: when `signal` aborts, one of `signals` comes, or all acceptors were closed, nobody is
 * accepted any more; `stopping`, which the handler is given, opens, so that a handler can `select` on
 * `stopping.wait()` or look at `stopping.isOpen`; those that have not finished within `grace` are cancelled, their
 * connections reset, and reported to `onError`. Then `serve` returns. Cancelling `serve` itself cancels the
 * handlers at once. An acceptor that is handed in is closed in the end as well.
 *
 * @param where an address, an acceptor, or several of them
 * @throws TypeError for malformed arguments; the system's error if it cannot listen (`EADDRINUSE`, …)
 *
 * @example
 * ```ts
 * import { run, select, serve } from 'skein';
 *
 * const stop = new AbortController();
 * await run(() =>
 *   serve(
 *     ['127.0.0.1:0', '127.0.0.1:0'],
 *     function* (conn, stopping) {
 *       for (;;) {
 *         const next = yield* select({ data: conn.read(), stop: stopping.wait() });
 *         if (next.key === 'stop' || next.value === null) return;
 *         yield* conn.write(next.value);
 *       }
 *     },
 *     { signal: stop.signal, grace: 1000, onListening: () => stop.abort() },
 *   ),
 * );
 * ```
 */
export function* serve(
  where: Where | readonly Where[],
  handler: Handler,
  options: ServeOptions = {},
): Co<void> {
  checkOptions('serve', options, OPTIONS);
  const { signal, signals, grace = GRACE, idleTimeout = 0, requestTimeout = 0, ...others } = options;
  const { onError = printError, onListening, ...listenOptions } = others;
  if (typeof handler !== 'function') throw new TypeError(`serve expects a handler, got ${inWords(handler)}`);
  checkCallback(onError, 'the onError of serve');
  if (onListening !== undefined) checkCallback(onListening, 'the onListening of serve');
  checkStop('serve', options);
  checkDuration(grace, 'the grace of serve');
  checkDuration(idleTimeout, 'the idleTimeout of serve');
  checkDuration(requestTimeout, 'the requestTimeout of serve');
  checkCount(options.maxConnections, 'maxConnections');
  const places = Array.isArray(where) ? (where as readonly Where[]) : [where as Where];
  if (places.length === 0) throw new TypeError('serve expects an address or an acceptor, got an empty array');
  const { maxConnections = Math.max(1, networkOf(currentScheduler()).room()) } = options;
  const acceptors: Acceptor[] = [];
  try {
    const hear = guard(onError, 'the onError of serve');
    const report = (error: Error): void => hear(error, undefined);
    for (const one of places) {
      const binding =
        one instanceof Acceptor
          ? bind(() => one)
          : listen(one, { ...listenOptions, maxConnections, onError: report });
      acceptors.push(yield* binding);
    }
    const settings = { onError: hear, grace, maxConnections, idleTimeout, requestTimeout };
    const server = new Server(acceptors, handler, settings);
    const unwatch = watchStop({ signal, signals }, () => server.stop());
    try {
      for (const { address } of acceptors) onListening?.(address);
      yield* server.run();
    } finally {
      unwatch();
    }
  } finally {
    for (const acceptor of acceptors) acceptor.close();
  }
}

/**
 * @internal An `onError` that disturbs nobody: what it throws is reported as uncaught. It gives what the other
 * returns, so that a generator function is noticed.
 */
export function guard<A extends unknown[]>(
  onError: (...args: A) => void,
  what: string,
): (...args: A) => void {
  return (...args) => {
    try {
      return onError(...args);
    } catch (error) {
      reportUncaught(`${what} has thrown`, error);
    }
  };
}

/** Errors of accepting, and others of peers that no handler had: of all servers, since stderr is one for all. */
const peersErrors = new WeakMap<Clock, Seldom>();

function peersErrorsBy(clock: Clock): Seldom {
  const seldom = peersErrors.get(clock) ?? new Seldom(clock);
  peersErrors.set(clock, seldom);
  return seldom;
}

/** @internal The `onError` of whoever has none; `what` is what the client had asked for. */
export function printError(error: unknown, conn: Connection | undefined, what?: string): void {
  let who = 'skein';
  if (conn !== undefined) {
    who += `: client ${conn.remoteAddress}`;
  } else if (!isInstance(error, CutOffError)) {
    const passedOver = peersErrorsBy(currentScheduler().clock).ask();
    if (passedOver === undefined) return;
    if (passedOver > 0) who += ` (${passedOver} more like this were not printed)`;
  }
  const where = what === undefined ? who : `${who}, ${what}`;
  // Of a client that was cut off there is no more to say than that, and there may be thousands.
  if (isInstance(error, CutOffError)) console.error(`${where}: ${error.message}`);
  else console.error(`${where}:`, error);
}
