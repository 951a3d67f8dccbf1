// One client of `serveHttp`: its stream, its requests in progress, its state, and the deadline of that state.
// Invariants: a client that sends a head or a body slowly is cut off by a deadline that no byte pushes back, and one
// that owes nothing has none; each request that came whole is answered, in order, whatever comes behind it: garbage,
// an upgrade, the end; no more than `AHEAD` are in progress; a handler does not outlive its client while its response
// is not out.
//
//          a byte           the head is there           the body is there        the last answer is out
//   IDLE ─────────► HEAD ───────────────────────► BODY ──────────────────► BUSY ────────────────────────► IDLE
//    │               │     └─ of no body ─► BUSY    │  └─ answered before ─► IDLE │
//    │ keepAlive-    │ headers-                     │ requestTimeout               └─ and it was the last request,
//    │ Timeout       │ Timeout                      │ (408 when it is its turn)       by `Connection: close`, the peer's
//    ▼               ▼                              ▼                                 end, or the end of the server
//   close         LEAVING ◄─────────────────────────┴─── what is no HTTP, once all before it is answered ───┘
//
// A connection begins in HEAD. Heads that come in BODY or BUSY are parsed when they are whole, and it stays BUSY.
// LEAVING: the answers are out, and so is what was refused (400, 408, 431, …); the client has LAST_WORDS to take them.

import type { Duplex } from 'node:stream';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Coroutine } from '../../scheduler/kernel/coroutine.ts';
import type { Co, Operation } from '../../scheduler/kernel/operation.ts';
import type { Scope } from '../../scheduler/kernel/scope.ts';
import { Timer } from '../../scheduler/kernel/timers.ts';
import { Latch } from '../../scheduler/sync/countdown.ts';
import type { Connection } from '../connection/connection.ts';
import type { Uptake } from '../connection/linger.ts';
import type { ConnectionDuplex, Intake } from '../connection/to-duplex.ts';
import { builtin } from '../reactor/builtin.ts';
import { supervise, type Supervisor } from '../serve/supervise.ts';

/** Requests of one client in progress at once; further ones wait unparsed. */
const AHEAD = 16;

/** Bytes that wait unparsed, above which nothing more is read. */
const ENOUGH = 16_384;

/** Milliseconds that a client has to take the answer that it is cut off with, from when it last took some of it. */
const LAST_WORDS = 1_000;

/** In a list of tokens. */
const CLOSES = /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i;
const KEEPS_ALIVE = /(?:^|,)[ \t]*keep-alive[ \t]*(?:,|$)/i;

type State = 'head' | 'body' | 'busy' | 'idle' | 'leaving';

/** What all clients of a server have in common. Milliseconds are `Infinity` for never. */
export interface Service {
  readonly server: Server<typeof IncomingMessage, ExchangeClass>;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
  readonly handle: (exchange: Exchange) => Co<void> | Operation<void>;
  readonly supervisor: Supervisor<Exchange>;
}

/** A response that knows whose it is, and who makes it. */
export interface Exchange extends ServerResponse<IncomingMessage> {
  client: HttpClient | null;
  handler: Coroutine<unknown> | null;
  /** The status with which it is answered for its handler, since its request will never be whole; 0 for none. */
  refusal: number;
}

export type ExchangeClass = typeof ServerResponse<IncomingMessage> &
  (new (request: IncomingMessage) => Exchange);

let made: ExchangeClass | null = null;

/** The class of exchanges: made for the first server, since Node's HTTP is loaded for it. */
export function exchangeClass(): ExchangeClass {
  return (made ??= class Exchange extends builtin('node:http').ServerResponse<IncomingMessage> {
    client = null;
    handler = null;
    refusal = 0;
  });
}

/** Whose stream, and whose connection, each is: events tell no more. */
const clients = new WeakMap<object, HttpClient>();

export const clientOf = (whose: Duplex | Connection): HttpClient => clients.get(whose)!;

export class HttpClient implements Intake {
  readonly conn: Connection;
  readonly stream: ConnectionDuplex;
  /** Open once the stream is closed. */
  readonly closed = new Latch(1, { name: 'the end of the connection' });
  /** Open once the server ends: then the requests in progress are the last of the connection. */
  readonly stopping: Latch;
  readonly #service: Service;
  /** Where its handlers run. */
  readonly #scope: Scope;
  #state: State = 'head';
  /** Looks at the deadline; armed for it, or earlier: most states end soon, and then cost no new timer (T4). */
  readonly #timer: Timer;
  /** When `#timer` expires; `Infinity` while it is not armed. */
  #looksAt = Infinity;
  /** When the state has lasted too long; `Infinity` for never. */
  #deadline = Infinity;
  /** Since when nothing is read, although a head or a body is due; 0 while it is. */
  #heldSince = 0;
  /** Milliseconds of the deadline in which that was so: they are not the client's. */
  #heldFor = 0;
  /** What the client takes of its answers. */
  readonly #uptake: Uptake;
  /** What has come and was not parsed. */
  readonly #slices = new Slices();
  /** Not done, in the order of their coming. */
  readonly #open = new Set<Exchange>();
  /** The one whose head came last. */
  #latest: Exchange | null = null;
  /** How many may be in progress at once. */
  #ahead = AHEAD;
  /** Bytes of its body that have not come, by its Content-Length. */
  #bodySize = 0;
  /** No further request is taken. */
  #isLast = false;
  /** The peer has ended its side. */
  #isEnded = false;
  /** Something was no HTTP, or late: nothing more is parsed, not even the rest of a body. */
  #isRefused = false;
  /** The status of the answer to what came behind the last request; 0 for none. */
  #refusal = 0;
  #isUpgraded = false;

  constructor(service: Service, conn: Connection, scope: Coroutine<unknown>, stopping: Latch) {
    this.#service = service;
    this.stopping = stopping;
    this.#scope = scope;
    this.conn = conn;
    this.stream = conn.toDuplex() as ConnectionDuplex;
    this.#uptake = conn.uptake();
    this.#timer = new Timer(scope.scheduler.timers, () => this.#look());
    this.#startDeadline();
    const { stream } = this;
    clients.set(stream, this);
    clients.set(conn, this);
    stream.intake = this;
    stream.on('close', () => this.#onClose());
    // What goes wrong with it shows in its end; Node takes its own listener away when it upgrades.
    stream.on('error', () => {});
    stream.on('resume', () => this.onRoom());
    service.server.emit('connection', stream);
  }

  /** Those in progress. */
  get exchanges(): Exchange[] {
    return [...this.#open];
  }

  /** A request has come: its handler is started. */
  begin(exchange: Exchange): void {
    this.#enter(exchange);
    exchange.handler = supervise(this.#scope, this.#service.handle, exchange, this.#service.supervisor);
  }

  /** A request has come that no handler is to see. */
  decline(exchange: Exchange, status: number): void {
    this.#enter(exchange);
    this.#isLast = true;
    answerWith(status, exchange);
  }

  /** The stream is no longer HTTP: gives the one who runs its coroutine. */
  upgrade(): Scope {
    const { stream } = this;
    this.#isUpgraded = true;
    this.#timer.stop();
    stream.intake = null;
    const rest = this.#slices.takeAll();
    if (rest !== null) stream.push(rest);
    if (this.#isEnded) stream.push(null);
    else stream.ask();
    return this.#scope;
  }

  /** The response is out, or never will be. */
  ended(exchange: Exchange): void {
    if (!this.#open.delete(exchange)) return;
    // What is still coming of a body that nobody reads stands before the next request.
    if (!exchange.req.complete) exchange.req.resume();
    this.#advance();
  }

  /** The server ends: closes at once if nothing is in progress, else after the responses. */
  stop(): void {
    if (this.#isUpgraded || this.#state === 'leaving') return;
    if (this.#open.size === 0) this.conn.close();
    else this.#makeLast();
  }

  /** Takes nothing more from the client, and says why, unless it is 0, once all that it asked before is answered. */
  refuse(status: number): void {
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#isLast = true;
    const latest = this.#latest;
    if (latest === null || latest.req.complete) {
      this.#refusal = status;
    } else if (this.#open.has(latest)) {
      latest.refusal = status;
      if (latest.handler === null) abandon(latest);
      else latest.handler.cancel(new Error(`the request was refused: ${status} ${reasonOf(status)}`));
    }
    this.#advance();
  }

  /** Node's 'timeout' of the stream, which `setTimeout` of requests and responses asks for; Node would destroy it. */
  onTimeout(): void {
    const { exchanges } = this;
    if (exchanges.length === 0) return;
    const isHeard = exchanges.some(
      (exchange) => exchange.listenerCount('timeout') > 0 || exchange.req.listenerCount('timeout') > 0,
    );
    if (!isHeard) this.stream.destroy();
  }

  take(data: Buffer | null): void {
    if (data === null) this.#isEnded = true;
    else this.#slices.append(data);
    this.#advance();
  }

  onRoom(): void {
    // Never inside of `_read`, where what is pushed is not passed on at once.
    if (!this.stream.isAsking) queueMicrotask(() => this.#advance());
  }

  /** Once the last answer is out Node sets `keepAliveTimeout`, which is a deadline of ours. */
  get countsSilence(): boolean {
    for (const { writableFinished } of this.#open) if (!writableFinished) return false;
    return true;
  }

  #enter(exchange: Exchange): void {
    const { headers, httpVersion } = exchange.req;
    exchange.client = this;
    this.#latest = exchange;
    this.#open.add(exchange);
    this.#bodySize = Number(headers['content-length'] ?? 0);
    // A body has a time of its own, also right behind another one.
    if (this.#state === 'body') this.#state = 'busy';
    exchange.on('close', onResponseClose);
    if (isLast(httpVersion, headers.connection)) this.#isLast = true;
    // Whether the connection outlives an answer to HTTP/1.0 is not known before that is there.
    this.#ahead = httpVersion < '1.1' ? 1 : AHEAD;
  }

  /** Gives the parser what it may have, and does what follows from what there is. */
  #advance(): void {
    const { stream } = this;
    if (this.#isUpgraded || stream.destroyed) return;
    // A stream that is paused keeps a slice; whether the next one may follow is seen once that is parsed.
    while (stream.readableLength === 0) {
      const slice = this.#next();
      if (slice === null) break;
      stream.push(slice);
      if (this.#isUpgraded || stream.destroyed) return;
    }
    if (this.#isEnded) {
      if (this.#slices.length === 0 && stream.readableLength === 0) this.#onEnd();
    } else if (this.#slices.length <= ENOUGH && stream.readableLength === 0) {
      stream.ask();
      if (this.#heldSince !== 0) this.#noteHeld();
    } else if (this.#heldSince === 0) {
      this.#heldSince = this.#timer.timers.clock.now();
    }
    if (this.#isLast && this.#open.size === 0) this.#leave();
    else this.#settle();
  }

  /** What the parser may have now; null for nothing. */
  #next(): Buffer | null {
    if (this.#isBodyDue && !this.#isRefused) {
      const slice = this.#slices.takeBody(this.#bodySize);
      this.#bodySize = Math.max(0, this.#bodySize - (slice?.byteLength ?? 0));
      return slice;
    }
    // Node ends the stream itself after an answer that says so.
    if (this.#isLast || this.stream.writableEnded) {
      this.#slices.takeAll();
      return null;
    }
    const { size } = this.#open;
    if (size === 0) return this.#slices.takeHead();
    return size < this.#ahead ? this.#slices.takeNextHead() : null;
  }

  /** The body of the latest request has not come, as a whole. */
  get #isBodyDue(): boolean {
    return this.#latest !== null && !this.#latest.req.complete;
  }

  /** All that will ever come has been parsed. */
  #onEnd(): void {
    if (this.#isLast) return;
    // It ends inside of a request.
    if (this.#isBodyDue || this.#slices.isInHead) this.refuse(400);
    else this.#makeLast();
  }

  /** No request will be taken after those in progress; the client is told so. */
  #makeLast(): void {
    this.#isLast = true;
    const last = [...this.#open].at(-1);
    if (last !== undefined && !last.headersSent) last.setHeader('Connection', 'close');
  }

  #settle(): void {
    const state = this.#stateNow();
    if (state === this.#state) return;
    this.#state = state;
    this.#startDeadline();
  }

  #stateNow(): State {
    if (this.#isBodyDue) return 'body';
    if (this.#open.size > 0) return 'busy';
    return this.#latest === null || this.#slices.isInHead ? 'head' : 'idle';
  }

  /** That of the state; there may be none. */
  #startDeadline(): void {
    this.#heldFor = 0;
    this.#setDeadline(this.#timeoutOf(this.#state));
  }

  #setDeadline(timeout: number): void {
    this.#deadline = timeout === Infinity ? Infinity : this.#timer.timers.clock.now() + timeout;
    if (this.#deadline < this.#looksAt) this.#lookAtDeadline();
  }

  #lookAtDeadline(): void {
    this.#looksAt = this.#deadline;
    if (this.#deadline !== Infinity) this.#timer.startAt(this.#deadline);
  }

  #look(): void {
    if (this.#timer.timers.hasPassed(this.#deadline)) {
      this.#looksAt = Infinity;
      this.#onLate();
    } else {
      this.#lookAtDeadline();
    }
  }

  #timeoutOf(state: State): number {
    if (state === 'head') return this.#service.headersTimeout;
    if (state === 'body') return this.#service.requestTimeout;
    if (state === 'idle') return this.#service.keepAliveTimeout;
    return state === 'leaving' && this.#isRefused ? LAST_WORDS : Infinity;
  }

  #onLate(): void {
    const state = this.#state;
    if (state !== 'leaving') this.#settle();
    if (this.#state !== state) return;
    if (state === 'idle' || state === 'leaving') {
      // One that still takes its answers is not idle yet, and a reset would take them away.
      if (this.#uptake.isTaking()) this.#startDeadline();
      else if (state === 'idle') this.conn.close();
      else this.conn.reset();
      return;
    }
    // Nobody is late while nothing of it is read, because a handler has not asked for more of the body, say.
    if (this.#heldSince !== 0) this.#noteHeld();
    if (!this.stream.isAsking) this.#heldSince = this.#timer.timers.clock.now();
    const more = this.#heldFor;
    this.#heldFor = 0;
    if (more > 0) this.#setDeadline(more);
    else this.refuse(408);
  }

  #noteHeld(): void {
    this.#heldFor += this.#timer.timers.clock.now() - this.#heldSince;
    this.#heldSince = 0;
  }

  /** Ends the connection once what was written is out. */
  #leave(): void {
    if (this.#state === 'leaving') return;
    this.#state = 'leaving';
    const { stream } = this;
    if (this.#refusal !== 0 && stream.writable) {
      const statusLine = `HTTP/1.1 ${this.#refusal} ${reasonOf(this.#refusal)}`;
      stream.end(`${statusLine}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    }
    stream.destroySoon();
    this.#startDeadline();
  }

  #onClose(): void {
    if (this.#state !== 'leaving' || !this.#isRefused) this.#timer.stop();
    const reason = this.stream.errored ?? new Error('the client is gone');
    for (const { handler, writableFinished } of this.#open) if (!writableFinished) handler?.cancel(reason);
    this.#open.clear();
    // Node forgets a request that was answered, and whoever reads the rest of its body would wait for ever.
    if (this.#latest !== null && this.#isBodyDue && this.#latest.writableFinished) this.#latest.req.destroy();
    this.closed.countDown();
  }
}

/** Answers with a status and its name, and nothing of what was set before. */
export function answerWith(status: number, response: ServerResponse): void {
  for (const name of response.getHeaderNames()) if (name !== 'connection') response.removeHeader(name);
  response.statusCode = status;
  response.statusMessage = reasonOf(status) ?? 'Error';
  // Rather than take in a body that nobody wants.
  if (!response.req.complete) response.setHeader('Connection', 'close');
  response.setHeader('Content-Type', 'text/plain');
  response.end(`${response.statusMessage}\n`);
}

/** Ends an exchange whose request will never be whole, as well as that still goes. */
export function abandon(exchange: Exchange): void {
  if (exchange.writableEnded) return;
  // Node waits for its turn with this, too.
  if (exchange.headersSent) exchange.destroy();
  else answerWith(exchange.refusal, exchange);
}

function reasonOf(status: number): string | undefined {
  return builtin('node:http').STATUS_CODES[status];
}

/** Whether a client will send no request after this one. */
function isLast(httpVersion: string, connection = ''): boolean {
  return CLOSES.test(connection) || (httpVersion < '1.1' && !KEEPS_ALIVE.test(connection));
}

function onResponseClose(this: Exchange): void {
  this.client?.ended(this);
}

const END = '\r\n\r\n';
const END_BYTES = Buffer.from(END);
const CR = 13;
const LF = 10;

/** After these the connection speaks another protocol, and answers could not follow any more. */
const CHANGES_PROTOCOL = /^CONNECT |\nupgrade[ \t]*:/i;

/**
 * What a client has sent and the parser has not got yet, cut for it. Node's parser runs through all that it is given,
 * so what must not be parsed yet must not be given to it. Invariant: at most one request begins in a slice, and what
 * stands behind a request is in another slice than its end. Where a slice is cut changes nothing for the parser.
 *
 *   GET /a … CRLF CRLF │ POST /b … CRLF CRLF │ its body, by Content-Length │ GET /c …
 *                      └ a chunked body ends, as each of its trailers does, with CRLF CRLF too
 */
export class Slices {
  /** Null when there is nothing. */
  #bytes: Buffer | null = null;
  /** The last bytes that were given out, as text, where they may be the beginning of an `END`. */
  #tail = '';
  /** A part of a head was given out, and the rest was not. */
  #isInHead = false;

  get length(): number {
    return this.#bytes === null ? 0 : this.#bytes.byteLength;
  }

  get isInHead(): boolean {
    return this.#isInHead;
  }

  append(bytes: Buffer): void {
    this.#bytes = this.#bytes === null ? bytes : Buffer.concat([this.#bytes, bytes]);
  }

  /** All that there is, uncut. */
  takeAll(): Buffer | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes;
  }

  /** A head, or as much of it as there is; null for nothing but the empty lines that may stand before one. */
  takeHead(): Buffer | null {
    if (!this.#isInHead) this.#skipEmptyLines();
    if (this.#bytes === null) return null;
    const end = this.#find();
    this.#isInHead = end === -1;
    return this.#take(end === -1 ? this.length : end, end !== -1);
  }

  /** A head that is whole, and after which the connection still speaks HTTP. */
  takeNextHead(): Buffer | null {
    this.#skipEmptyLines();
    if (this.#bytes === null) return null;
    const end = this.#find();
    if (end === -1 || CHANGES_PROTOCOL.test(this.#bytes.toString('latin1', 0, end))) return null;
    return this.#take(end, true);
  }

  /** Of a body of which `size` bytes are due; with 0, of one that is chunked. */
  takeBody(size: number): Buffer | null {
    if (this.#bytes === null) return null;
    if (size > 0) return this.#take(Math.min(size, this.length), true);
    const end = this.#find();
    return this.#take(end === -1 ? this.length : end, end !== -1);
  }

  /** Where the first `END` ends; -1 if there is none. It may have begun in what was given out. */
  #find(): number {
    const bytes = this.#bytes!;
    if (this.#tail !== '') {
      const at = (this.#tail + bytes.toString('latin1', 0, END.length - 1)).indexOf(END);
      if (at !== -1) return at + END.length - this.#tail.length;
    }
    const at = bytes.indexOf(END_BYTES);
    return at === -1 ? -1 : at + END.length;
  }

  #take(size: number, isCut: boolean): Buffer {
    const bytes = this.#bytes!;
    const slice = size === bytes.byteLength ? bytes : bytes.subarray(0, size);
    this.#bytes = size === bytes.byteLength ? null : bytes.subarray(size);
    const keep = END.length - 1;
    if (isCut) this.#tail = '';
    else this.#tail = (this.#tail + slice.toString('latin1', Math.max(0, size - keep))).slice(-keep);
    return slice;
  }

  /** The parser skips them as well; but they are no beginning of a request. */
  #skipEmptyLines(): void {
    const bytes = this.#bytes;
    if (bytes === null || (bytes[0] !== CR && bytes[0] !== LF)) return;
    let at = 1;
    while (bytes[at] === CR || bytes[at] === LF) at++;
    this.#bytes = at === bytes.byteLength ? null : bytes.subarray(at);
  }
}
