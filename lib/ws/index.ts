/**
 * WebSockets, served and dialled, through the package `ws`, which is for the user to install: 'skein' itself never
 * imports it.
 *
 * @module skein/ws
 */

// Invariant: no WebSocket outlives its handler.

import type { Duplex } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { type ClientOptions, WebSocketServer } from 'ws';
import { whenClosed } from '../../scheduler/interop/once.ts';
import { suspend } from '../../scheduler/interop/suspend.ts';
import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import { inWords, isCancelledError } from '../../scheduler/kernel/errors.ts';
import { scope } from '../../scheduler/kernel/inner-scope.ts';
import type { Co, Operation } from '../../scheduler/kernel/operation.ts';
import { currentScheduler } from '../../scheduler/kernel/scheduler.ts';
import { timeLimit } from '../common/checks.ts';
import {
  HTTP_OPTIONS,
  type HttpHandler,
  type HttpOptions,
  serveHttp,
  type UpgradeHandler,
} from '../http/serve-http.ts';
import type { Where } from '../serve/serve.ts';
import { Closable, NEVER, WebSocketConnection } from './web-socket.ts';

export { type Message, WebSocketConnection } from './web-socket.ts';

/** Has a WebSocket, which is closed when it returns: with 1000, or with 1011 if it throws. */
export type WebSocketHandler = (
  socket: WebSocketConnection,
  request: IncomingMessage,
) => Co<void> | Operation<void>;

/** How WebSockets are taken over; all are optional. */
export interface WebSocketOptions {
  /** Bytes that a message may have; a longer one closes the WebSocket with 1009. Default 1 MiB. */
  readonly maxPayload?: number | undefined;
}

const OPTIONS = optionNames<WebSocketOptions>({ maxPayload: true });
const SERVER_OPTIONS = new Set([...Object.keys(HTTP_OPTIONS), ...OPTIONS]);
SERVER_OPTIONS.delete('upgrade');

const MAX_PAYLOAD = 1_048_576;

const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

/**
 * Serves WebSockets, each in a coroutine of its own. Other requests are answered with 426. It ends as `serveHttp`
 * does: each WebSocket is closed with 1001 then, so that `receive` gives null.
 *
 * @throws as `serveHttp`
 *
 * @example
 * ```ts
 * import { run } from 'skein';
 * import { dialWebSocket, serveWebSocket } from 'skein/ws';
 *
 * const stop = new AbortController();
 * await run(() =>
 *   serveWebSocket(
 *     0,
 *     function* echo(socket) {
 *       for (let message; (message = yield* socket.receive()) !== null; ) yield* socket.send(message);
 *     },
 *     {
 *       signal: stop.signal,
 *       onListening: (address) =>
 *         void run(function* () {
 *           const socket = yield* dialWebSocket(`ws://${address}`);
 *           yield* socket.send('hello');
 *           console.log(yield* socket.receive()); // hello
 *           socket.close();
 *           stop.abort();
 *         }),
 *     },
 *   ),
 * );
 * ```
 */
export function serveWebSocket(
  where: Where | readonly Where[],
  handler: WebSocketHandler,
  options: Omit<HttpOptions, 'upgrade'> & WebSocketOptions = {},
): Co<void> {
  checkOptions('serveWebSocket', options, SERVER_OPTIONS);
  const { maxPayload, ...httpOptions } = options;
  const upgrade = webSockets(handler, { maxPayload });
  return serveHttp(where, upgradeRequired, { ...httpOptions, upgrade });
}

const upgradeRequired: HttpHandler = function* upgradeRequired(_, response) {
  response.writeHead(426, { Upgrade: 'websocket', Connection: 'Upgrade' });
  response.end();
};

/**
 * The same as the `upgrade` of a `serveHttp` that has other requests to answer, too.
 *
 * @throws TypeError for malformed arguments
 *
 * @example
 * ```ts
 * import { run, serveHttp } from 'skein';
 * import { webSockets } from 'skein/ws';
 *
 * await run(() =>
 *   serveHttp(
 *     0,
 *     function* (request, response) {
 *       response.end(`a page at ${request.url}`);
 *     },
 *     {
 *       signal: AbortSignal.abort(),
 *       upgrade: webSockets(function* (socket) {
 *         yield* socket.send('hello');
 *       }),
 *     },
 *   ),
 * );
 * ```
 */
export function webSockets(handler: WebSocketHandler, options: WebSocketOptions = {}): UpgradeHandler {
  checkOptions('webSockets', options, OPTIONS);
  const { maxPayload = MAX_PAYLOAD } = options;
  if (typeof handler !== 'function') {
    throw new TypeError(`webSockets expects a handler, got ${inWords(handler)}`);
  }
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload,
    WebSocket: Closable,
    ...{ closeTimeout: NEVER },
  });
  return function* (request, stream, head, stopping) {
    const socket = yield* accept(server, request, stream, head);
    if (socket === null) return;
    yield* scope(function* (watch) {
      watch.spawn(
        function* leave() {
          yield* stopping.wait();
          socket.close(GOING_AWAY);
        },
        { daemon: true },
      );
      yield* attend(socket, () => handler(socket, request));
    });
  };
}

/** Null if the request is none of RFC 6455, which `ws` has told the client, or if the client has gone. */
function accept(
  server: WebSocketServer,
  request: IncomingMessage,
  stream: Duplex,
  head: Buffer,
): Operation<WebSocketConnection | null> {
  return suspend<WebSocketConnection | null>((resume) => {
    const { timers } = currentScheduler();
    // The client may be gone already, and `ws` then says nothing.
    const forget = whenClosed(stream, () => resume(null, null));
    server.handleUpgrade(request, stream, head, (ws) => {
      forget();
      const socket = new WebSocketConnection(ws, timers);
      socket.stream = stream;
      resume(null, socket);
    });
    return forget;
  });
}

/** Runs the handler, and closes its WebSocket however it ends. */
function* attend(socket: WebSocketConnection, handler: () => Co<void> | Operation<void>): Co<void> {
  try {
    try {
      yield* handler();
      socket.close();
    } catch (error) {
      socket.close(INTERNAL_ERROR);
      throw error;
    } finally {
      socket.isLeft = true;
      yield* farewell(socket);
    }
  } finally {
    socket.reset();
  }
}

/** Lets what was sent arrive, which ends as `close` says. A client that is cut off has had its time: its wait ends at once. */
function* farewell(socket: WebSocketConnection): Co<void> {
  try {
    // The answer comes behind what nobody receives any more.
    while ((yield* socket.receive()) !== null);
  } catch (error) {
    // How the handler has ended is what counts.
    if (isCancelledError(error)) throw error;
  }
}

/**
 * Opens a WebSocket. Cancelling ends the attempt.
 *
 * @param options those of `ws`: `headers`, `handshakeTimeout`, `maxPayload` (default 1 MiB), …
 * @throws the system's error (`ECONNREFUSED`, …), or an error that says what the server answered
 *
 * @example
 * ```ts
 * import { run } from 'skein';
 * import { dialWebSocket } from 'skein/ws';
 *
 * await run(function* () {
 *   try {
 *     yield* dialWebSocket('ws://127.0.0.1:1/', { handshakeTimeout: 5_000 });
 *   } catch (error) {
 *     console.log((error as NodeJS.ErrnoException).code); // ECONNREFUSED
 *   }
 * });
 * ```
 */
export function dialWebSocket(
  url: string | URL,
  options: ClientOptions & { readonly protocols?: string | string[] } = {},
): Operation<WebSocketConnection> {
  const { protocols = [], handshakeTimeout = 0, ...clientOptions } = options;
  // `ws` knows 0 only.
  const limit = timeLimit(handshakeTimeout, 'the handshakeTimeout of dialWebSocket');
  const settings = limit < Infinity ? { ...clientOptions, handshakeTimeout: limit } : clientOptions;
  return suspend<WebSocketConnection>(function dialling(resume) {
    const ours = { maxPayload: MAX_PAYLOAD, closeTimeout: NEVER };
    const ws = new Closable(url, protocols, { ...ours, ...settings });
    const socket = new WebSocketConnection(ws, currentScheduler().timers);
    ws.once('upgrade', (response) => (socket.stream = response.socket));
    ws.once('error', (error) => resume(error));
    ws.once('open', () => resume(null, socket));
    return () => socket.reset();
  });
}
