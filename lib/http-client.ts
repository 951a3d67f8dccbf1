// One client of `serveHttp`: its stream, its requests in progress, its deadline. Invariants: a client that sends its
// headers or body slowly is cut off by a deadline that no byte pushes back; a handler does not outlive its client
// while its response is not out; while many requests wait for their responses nothing more is read, however many
// a client sends ahead.
//
//   HEADERS ── request ──► BUSY ── last response out ──► IDLE ── a byte ──► HEADERS
//      │ headersTimeout     │ requestTimeout, for its body │ keepAliveTimeout, by Node
//      └──────► 408 ◄───────┘                              └──► closed

import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Coroutine } from '../scheduler/coroutine.ts';
import { Latch } from '../scheduler/latch.ts';
import type { Co, Operation } from '../scheduler/operation.ts';
import type { Scope, Supervisor } from '../scheduler/scope.ts';
import { Timer } from '../scheduler/timers.ts';
import type { ConnectionDuplex } from './connection-duplex.ts';
import type { Connection } from './connection.ts';

/** Requests of one client in progress, above which nothing more is read. */
const AHEAD = 16;

/** Milliseconds that a client has to take the answer that it is cut off with. */
const LAST_WORDS = 1_000;

/** What all clients of a server have in common. */
export interface Service {
  readonly server: Server<typeof IncomingMessage, typeof Exchange>;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly handle: (exchange: Exchange) => Co<void> | Operation<void>;
  readonly supervisor: Supervisor<Exchange>;
}

/** A response that knows whose it is, and who makes it. */
export class Exchange extends ServerResponse<IncomingMessage> {
  client: HttpClient | null = null;
  handler: Coroutine<unknown> | null = null;
}

/** Whose stream, and whose connection, each is: events tell no more. */
const clients = new WeakMap<object, HttpClient>();

export const clientOf = (whose: Duplex | Connection): HttpClient => clients.get(whose)!;

export class HttpClient {
  readonly conn: Connection;
  readonly stream: ConnectionDuplex;
  /** Open once the stream is closed. */
  readonly closed = new Latch(1, { name: 'the end of the connection' });
  /** Open once the server ends: then each response is the last of its connection. */
  readonly stopping: Latch;
  readonly #service: Service;
  /** Where its handlers run. */
  readonly #scope: Scope;
  /** What the client may be late with; nothing while it is armed for no one. */
  readonly #deadline: Timer;
  /** Not done, in the order of their coming. */
  readonly #open = new Set<Exchange>();
  /** No byte of a next request has come. */
  #isIdle = false;
  /** It was told why it is cut off. */
  #isRefused = false;
  #isUpgraded = false;

  constructor(service: Service, conn: Connection, scope: Coroutine<unknown>, stopping: Latch) {
    this.#service = service;
    this.stopping = stopping;
    this.#scope = scope;
    this.conn = conn;
    this.stream = conn.toDuplex() as ConnectionDuplex;
    this.#deadline = new Timer(scope.scheduler.timers, () => this.#onLate());
    this.#deadline.start(service.headersTimeout);
    const { stream } = this;
    clients.set(stream, this);
    clients.set(conn, this);
    stream.onInput = () => this.#onInput();
    stream.on('close', () => this.#onClose());
    // Node's own listener, which comes after this one, would reset it.
    stream.on('timeout', () => this.#open.size === 0 && conn.close());
    // What goes wrong with it shows in its end; Node takes its own listener away when it upgrades.
    stream.on('error', () => {});
    service.server.emit('connection', stream);
  }

  /** Those in progress. */
  get exchanges(): Exchange[] {
    return [...this.#open];
  }

  /** A request has come: its handler is started. */
  begin(exchange: Exchange): void {
    this.#isIdle = false;
    const { headers } = exchange.req;
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
      this.#deadline.stop();
    } else {
      this.#deadline.start(this.#service.requestTimeout);
    }
    exchange.client = this;
    this.#open.add(exchange);
    if (this.#open.size === AHEAD) this.stream.hold(true);
    if (this.stopping.isOpen) makeLast(exchange);
    exchange.on('close', onResponseClose);
    exchange.handler = this.#scope.supervise(this.#service.handle, exchange, this.#service.supervisor);
  }

  /** The stream is no longer HTTP: gives the one who runs its coroutine. */
  upgrade(): Scope {
    this.#isUpgraded = true;
    this.#deadline.stop();
    this.stream.onInput = null;
    return this.#scope;
  }

  /** The response is out, or never will be. */
  ended(exchange: Exchange): void {
    if (!this.#open.delete(exchange)) return;
    if (this.#open.size === AHEAD - 1) this.stream.hold(false);
    if (this.#open.size > 0) return;
    const request = exchange.req;
    if (this.stopping.isOpen) this.stream.destroySoon();
    else if (request.complete) this.#isIdle = true;
    // What is still coming of a body that nobody reads stands before the next request, and may be late.
    else request.resume();
  }

  /** The server ends: closes at once if nothing is in progress, else after the responses. */
  stop(): void {
    if (this.#isUpgraded) return;
    if (this.#open.size === 0) this.conn.close();
    for (const exchange of this.#open) makeLast(exchange);
  }

  /** Cuts the client off, with an answer if none has begun. */
  refuse(statusLine: string): void {
    const { stream, conn } = this;
    const isUnanswered = [...this.#open].every(({ headersSent }) => !headersSent);
    if (!stream.writable || !isUnanswered || this.#isRefused) {
      stream.destroy();
      return;
    }
    this.#isRefused = true;
    stream.end(`HTTP/1.1 ${statusLine}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    stream.destroySoon();
    // One who goes on sending, or does not read, must not hold its place.
    new Timer(this.#deadline.timers, () => conn.reset()).start(LAST_WORDS);
  }

  #onInput(): void {
    if (!this.#isIdle) return;
    this.#isIdle = false;
    this.#deadline.start(this.#service.headersTimeout);
  }

  #onLate(): void {
    const [first] = this.#open;
    // Its body has come long ago; it waits for its handler.
    if (first !== undefined && [...this.#open].every(({ req }) => req.complete)) return;
    this.refuse('408 Request Timeout');
  }

  #onClose(): void {
    this.#deadline.stop();
    const reason = this.stream.errored ?? new Error('the client is gone');
    for (const { handler, writableFinished } of this.#open) if (!writableFinished) handler?.cancel(reason);
    this.#open.clear();
    this.closed.countDown();
  }
}

/** Has the client told that no request may follow. */
function makeLast(exchange: Exchange): void {
  if (!exchange.headersSent) exchange.setHeader('Connection', 'close');
}

function onResponseClose(this: Exchange): void {
  this.client?.ended(this);
}
