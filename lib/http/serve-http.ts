// HTTP servers: a coroutine for each request, with Node's own request and response, so that all that is written for
// those works. Node's parser and its rules are used as they are, on connections of our reactor that are handed to a
// server which never listens. The deadlines are our own: Node looks for late clients only every 30 s.

import type { Duplex } from 'node:stream';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { select } from '../../scheduler/channel/select.ts';
import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import { inWords, isInstance } from '../../scheduler/kernel/errors.ts';
import type { Co, Operation } from '../../scheduler/kernel/operation.ts';
import { current } from '../../scheduler/run.ts';
import type { Latch } from '../../scheduler/sync/countdown.ts';
import { checkCallback, checkCount, timeLimit } from '../common/checks.ts';
import type { Connection } from '../connection/connection.ts';
import { builtin } from '../reactor/builtin.ts';
import {
  guard,
  printError as printServeError,
  serve,
  SERVE_OPTIONS,
  type ServeOptions,
  type Where,
} from '../serve/serve.ts';
import { CutOffError } from '../serve/server.ts';
import { supervise, type Supervisor } from '../serve/supervise.ts';
import {
  abandon,
  answerWith,
  clientOf,
  type Exchange,
  type ExchangeClass,
  exchangeClass,
  HttpClient,
  type Service,
} from './server-connection.ts';

/** Answers one request. A response that it leaves open is ended for it. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => Co<void> | Operation<void>;

/** Has a connection that asked to be upgraded, and what came of it after the request. */
export type UpgradeHandler = (
  request: IncomingMessage,
  stream: Duplex,
  head: Buffer,
  stopping: Latch,
) => Co<void> | Operation<void>;

/** How to serve HTTP; all are optional. */
export interface HttpOptions extends Omit<ServeOptions, 'onError'> {
  /**
   * Hears of what a handler threw and of what was cut off after `grace`, with the request, and without one of
   * errors of accepting. By default it is printed to stderr, as `serve` does it. What clients do wrong is answered (400, 408, 431) and is no error of the server.
   */
  readonly onError?: ((error: unknown, request: IncomingMessage | undefined) => void) | undefined;
  /**
   * Milliseconds that the headers of a request may take, from the first byte or from the connection; 0 for any time.
   * Default 8,000.
   */
  readonly headersTimeout?: number | undefined;
  /** Milliseconds that the body may take after them; 0 for any time. Default 300,000. */
  readonly requestTimeout?: number | undefined;
  /** Milliseconds that a connection may wait for its next request; 0 for any time. Default 5,000. */
  readonly keepAliveTimeout?: number | undefined;
  /** Bytes that the headers of a request may have. Default 16,384. */
  readonly maxHeaderSize?: number | undefined;
  /**
   * Takes connections over whose request asks for it (`Upgrade`); such requests are otherwise like any other. The
   * stream is open when it begins, and may close at any later time: `once(stream, 'close')` says when, also afterwards.
   * It is closed when the handler returns, and destroyed when it fails. `stopping` opens when the server ends.
   */
  readonly upgrade?: UpgradeHandler | undefined;
}

/** @internal */
export const HTTP_OPTIONS = {
  ...SERVE_OPTIONS,
  headersTimeout: true,
  keepAliveTimeout: true,
  maxHeaderSize: true,
  upgrade: true,
} as const satisfies Record<keyof HttpOptions, true>;

const OPTIONS = optionNames<HttpOptions>(HTTP_OPTIONS);

const HEADERS_TIMEOUT = 8_000;
const REQUEST_TIMEOUT = 300_000;
const KEEP_ALIVE_TIMEOUT = 5_000;

/**
 * Serves HTTP/1.1 with a coroutine for each request; request and response are those of `node:http`. A request that has
 * come as a whole is answered, whatever follows it, the end of the client's side included. A handler is cancelled when
 * the connection fails before the response is out, or when the rest of its request is not HTTP. An error of a handler is answered with 500, or with the `statusCode` that it has; if the headers are
 * out already the connection is destroyed.
 *
 * It ends as `serve` does: after `signal` has aborted, idle connections are closed at once, and requests in progress
 * may finish within `grace`, each as the last of its connection.
 *
 * @throws as `serve`
 *
 * @example
 * ```ts
 * import { readBody, run, serveHttp } from 'skein';
 *
 * const stop = new AbortController();
 * await run(() =>
 *   serveHttp(
 *     0,
 *     function* (request, response) {
 *       const body = yield* readBody(request, { limit: 10_000 });
 *       response.end(`${request.method} ${request.url}, ${body.byteLength} bytes`);
 *     },
 *     {
 *       signal: stop.signal,
 *       onListening: async (address) => {
 *         const response = await fetch(`http://${address}/hello`, { method: 'POST', body: 'hi' });
 *         console.log(await response.text()); // POST /hello, 2 bytes
 *         stop.abort();
 *       },
 *     },
 *   ),
 * );
 * ```
 */
export function* serveHttp(
  where: Where | readonly Where[],
  handler: HttpHandler,
  options: HttpOptions = {},
): Co<void> {
  checkOptions('serveHttp', options, OPTIONS);
  const { onError = printError, upgrade, maxHeaderSize, ...rest } = options;
  const { headersTimeout = HEADERS_TIMEOUT, requestTimeout = REQUEST_TIMEOUT, ...others } = rest;
  const { keepAliveTimeout = KEEP_ALIVE_TIMEOUT, ...serveOptions } = others;
  if (typeof handler !== 'function') {
    throw new TypeError(`serveHttp expects a handler, got ${inWords(handler)}`);
  }
  checkCallback(onError, 'the onError of serveHttp');
  if (upgrade !== undefined) checkCallback(upgrade, 'the upgrade of serveHttp');
  const headersLimit = timeLimit(headersTimeout, 'the headersTimeout of serveHttp');
  const requestLimit = timeLimit(requestTimeout, 'the requestTimeout of serveHttp');
  const keepAliveLimit = timeLimit(keepAliveTimeout, 'the keepAliveTimeout of serveHttp');
  checkCount(maxHeaderSize, 'the maxHeaderSize of serveHttp');
  const hear = guard(onError, 'the onError of serveHttp');
  const server = builtin('node:http').createServer<typeof IncomingMessage, ExchangeClass>({
    // Node says so in a header of its answers, and counts whole milliseconds.
    keepAliveTimeout: Number.isFinite(keepAliveTimeout) ? Math.floor(keepAliveTimeout) : 0,
    maxHeaderSize: maxHeaderSize === Infinity ? Number.MAX_SAFE_INTEGER : maxHeaderSize,
    requireHostHeader: false,
    ServerResponse: exchangeClass(),
  });
  server.on('request', (request, response) => {
    // Such as a write after the end, which otherwise would be nobody's error and end the process.
    response.on('error', (error) => hear(error, request));
    const client = clientOf(request.socket);
    if (hasOneHost(request)) client.begin(response);
    else client.decline(response, 400);
  });
  server.on('checkExpectation', (request, response) => clientOf(request.socket).decline(response, 417));
  // Node would reset the connection, and with it what is still on its way.
  server.on('connect', (_, stream) => clientOf(stream).refuse(0));
  server.on('timeout', (stream) => clientOf(stream).onTimeout());
  server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
    const status = statusOf(error);
    if (status === undefined) stream.destroy();
    else clientOf(stream).refuse(status);
  });
  const service: Service = {
    server,
    headersTimeout: headersLimit,
    requestTimeout: requestLimit,
    keepAliveTimeout: keepAliveLimit,
    handle: (exchange) => handler(exchange.req, exchange),
    supervisor: superviseExchange(hear),
  };
  if (upgrade !== undefined) {
    server.on('upgrade', (request, stream, head) => {
      const client = clientOf(stream);
      if (!hasOneHost(request)) {
        client.refuse(400);
        return;
      }
      // Once its client has gone, no event of the stream comes any more.
      const handle = (): ReturnType<UpgradeHandler> =>
        stream.destroyed ? nothing() : upgrade(request, stream, head, client.stopping);
      supervise(client.upgrade(), handle, { request, stream }, superviseUpgrade(hear));
    });
  }
  yield* serve(where, (conn, stopping) => serveClient(service, conn, stopping), {
    ...serveOptions,
    onError(error, conn) {
      const exchanges = isInstance(error, CutOffError) ? clientOf(conn!).exchanges : [];
      if (exchanges.length === 0) hear(error, undefined);
      // Not what the connection was waiting for.
      const { grace } = error as CutOffError;
      for (const exchange of exchanges) {
        hear(new CutOffError(grace, exchange.handler?.describe()), exchange.req);
      }
    },
  });
}

function* serveClient(service: Service, conn: Connection, stopping: Latch): Co<void> {
  const client = new HttpClient(service, conn, current(), stopping);
  const closed = client.closed.wait();
  try {
    const first = yield* select({ closed, stop: stopping.wait() });
    if (first.key === 'closed') return;
    client.stop();
    yield* closed;
  } finally {
    client.stream.destroy();
  }
}

type OnError = NonNullable<HttpOptions['onError']>;

function superviseExchange(onError: OnError): Supervisor<Exchange> {
  return {
    nameOf: ({ req }) => `${req.method} ${req.url}`,
    onEnd(handler, response) {
      if (response.refusal !== 0) abandon(response);
      else if (handler.state === 'done') response.end();
      else if (handler.state === 'failed') answerFor(handler.error(), response);
      else if (!response.writableFinished) response.client?.stream.destroy();
    },
    onError: (error, { req }) => onError(error, req),
  };
}

function* nothing(): Co<void> {}

interface TakeOver {
  readonly request: IncomingMessage;
  readonly stream: Duplex;
}

function superviseUpgrade(onError: OnError): Supervisor<TakeOver> {
  return {
    nameOf: ({ request }) => `upgraded ${request.url}`,
    onEnd(handler, { stream }) {
      if (handler.state === 'done') clientOf(stream).stream.destroySoon();
      else stream.destroy();
    },
    onError: (error, { request }) => onError(error, request),
  };
}

/** Answers for a handler that has failed. */
function answerFor(error: unknown, response: ServerResponse): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  answerWith(statusCodeOf(error) ?? 500, response);
}

/** The status that an error asks for, if it is one of an error. */
function statusCodeOf(error: unknown): number | undefined {
  try {
    const { statusCode } = error as { statusCode?: unknown };
    const isError =
      Number.isInteger(statusCode) && (statusCode as number) >= 400 && (statusCode as number) <= 599;
    return isError ? (statusCode as number) : undefined;
  } catch {
    // Anything can be thrown, also what throws itself when it is looked at.
    return undefined;
  }
}

/** As RFC 9112 has it: a proxy in front may have gone by the other one. HTTP/1.0 knows none. */
function hasOneHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count === 1 || (count === 0 && httpVersion < '1.1');
}

/** What is said to a client whose bytes are no HTTP; undefined if its connection has failed. */
function statusOf({ code = '' }: NodeJS.ErrnoException): number | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 413;
  return code.startsWith('HPE_') ? 400 : undefined;
}

function printError(error: unknown, request: IncomingMessage | undefined): void {
  if (request === undefined) {
    printServeError(error, undefined);
    return;
  }
  const { conn } = clientOf(request.socket);
  printServeError(error, conn, `${request.method} ${request.url}`);
}
