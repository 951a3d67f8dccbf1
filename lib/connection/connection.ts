// An established byte stream, with both faces: `recv` and `send` for callbacks; `read`, `write` and their kin for coroutines.
// What it reads from, and who may read, is `Input`; what it writes to `Output`. The socket beneath is not the same for ever:
// another one takes over when TLS begins. A connection is open until `close`, `reset` or its idle timeout; from then on whoever
// waits on it, or comes to it, gets an error that says so (N7).

import type { Duplex } from 'node:stream';
import { suspend } from '../../scheduler/interop/suspend.ts';
import { ClosedError, inWords, TimeoutError } from '../../scheduler/kernel/errors.ts';
import { type Co, IDLE, NEW, type Operation } from '../../scheduler/kernel/operation.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { Address } from '../common/address.ts';
import { checkCallback, checkData, checkDuration } from '../common/checks.ts';
import { KEEP_ALIVE, type Socket } from '../reactor/contract.ts';
import { type TlsInfo, tlsInfoOf } from '../tls/info.ts';
import {
  checkFrameSize,
  DEFAULT_LIMIT,
  DelimiterFraming,
  delimiterOf,
  type FrameOptions,
  type Framing,
  limitOf,
  LineFraming,
  PeekFraming,
  SizeFraming,
} from './framing.ts';
import {
  Input,
  type OnData,
  readFrame,
  readFrom,
  readInto,
  readOnLoan,
  type ReadOperation,
  Receipt,
} from './input.ts';
import { Linger, Uptake } from './linger.ts';
import { end, flush, Output, write } from './output.ts';
import type { Loan } from './relay-buffer.ts';
import { type StartTlsOptions, Upgrade } from './start-tls.ts';
import { IdleTimer, RequestTimer } from './timeouts.ts';
import { ConnectionDuplex, SecureDuplex } from './to-duplex.ts';

/** For those who name no limit. */
const LINES = new LineFraming(DEFAULT_LIMIT);

/**
 * A TCP or Unix connection. `listen`, `dial`, `serve` and `EventLoop` make them.
 *
 * @example
 * ```ts
 * import { dial, listen, run, spawn } from 'skein';
 *
 * await run(function* () {
 *   const acceptor = yield* listen(0);
 *   spawn(function* () {
 *     const conn = yield* acceptor.accept();
 *     yield* conn.write('hello');
 *     conn.close();
 *     acceptor.close();
 *   });
 *   const conn = yield* dial(acceptor.address);
 *   console.log(String(yield* conn.read())); // hello
 *   conn.close();
 * });
 * ```
 */
export class Connection {
  /** @internal The event loop that it was added to. */
  loop: { forget(conn: Connection): void } | null = null;
  /** @internal */ readonly input: Input;
  readonly #readOperation: ReadOperation;
  readonly #output: Output;
  #socket: Socket;
  readonly #scheduler: Scheduler;
  /** The host that was dialled; '' if none was. */
  readonly #host: string;
  /** Makes the error that later users get; null while open. */
  #closed: (() => Error) | null = null;
  #linger: Linger | null = null;
  // Made when somebody asks: there may be tens of thousands of connections.
  #localAddress: Address | null = null;
  #remoteAddress: Address | null = null;
  #noDelay = true;
  #keepAlive = KEEP_ALIVE;

  /** @internal */
  constructor(socket: Socket, isAdded: boolean, scheduler: Scheduler, host = '') {
    this.#output = new Output(socket, scheduler);
    this.input = new Input(socket, isAdded, this.#output, scheduler);
    this.#readOperation = readFrom(this.input);
    this.#socket = socket;
    this.#scheduler = scheduler;
    this.#host = host;
  }

  // Coroutine face.

  /**
   * The next bytes, as many as have come; null at the end of the stream. Cancelling loses nothing.
   *
   * @throws BusyError if somebody reads already; ClosedError after `close`; TimeoutError after
   * `idleTimeout`; the system's error (`ECONNRESET`, …) with this coroutine's stack
   */
  read(): Operation<Buffer | null> {
    const operation = this.#readOperation;
    if (operation.state === NEW) {
      operation.state = IDLE;
      throw new TypeError('read() was called before and never performed: `yield*` is missing');
    }
    if (operation.state === IDLE) operation.state = NEW;
    return operation;
  }

  /**
   * Reads into a buffer; gives the number of bytes, 0 at the end of the stream.
   *
   * @throws TypeError for a buffer of no bytes, and as `read`
   */
  readInto(buffer: Uint8Array): Operation<number> {
    if (!(buffer instanceof Uint8Array) || buffer.byteLength === 0) {
      throw new TypeError(`readInto expects a Uint8Array with room for a byte, got ${inWords(buffer)}`);
    }
    return readInto(this.input, buffer);
  }

  /** @internal As `readInto`, with memory that is borrowed when bytes have come. */
  readOnLoan(loan: Loan): Operation<number> {
    return readOnLoan(this.input, loan);
  }

  /** @internal Nothing between the buffers of `readOnLoan` and `send` and the kernel. */
  get isDirect(): boolean {
    return this.input.isDirect;
  }

  /**
   * The next line as text (UTF-8; what is none becomes U+FFFD), without the '\n' or '\r\n' that ends it; null at
   * the end of the stream. `limit` counts the bytes of the line alone. Cancelling loses nothing: what has come of
   * a line stays, for this or any other read. So it does after an error.
   *
   * @throws LimitError for a line longer than `limit` (65,536 bytes), again and again until something else reads it;
   * UnexpectedEofError if the stream ends inside of one; TypeError if `limit` is no count; and as `read`
   *
   * @example
   * ```ts
   * import { dial, listen, run, spawn } from 'skein';
   *
   * await run(function* () {
   *   const acceptor = yield* listen(0);
   *   spawn(function* () {
   *     const conn = yield* dial(acceptor.address);
   *     yield* conn.write('one\r\ntwo\n');
   *     conn.close();
   *   });
   *   const conn = yield* acceptor.accept();
   *   for (let line; (line = yield* conn.readLine()) !== null; ) console.log(line); // one, two
   *   conn.close();
   *   acceptor.close();
   * });
   * ```
   */
  readLine(options?: FrameOptions): Operation<string | null> {
    const limit = limitOf('readLine', options);
    return this.readFrame<string | null>(limit === DEFAULT_LIMIT ? LINES : new LineFraming(limit));
  }

  /**
   * The next bytes up to a delimiter, with it; null at the end of the stream. `limit` counts the bytes before it.
   * Otherwise as `readLine`.
   *
   * @throws TypeError for a delimiter of no bytes, and as `readLine`
   */
  readUntil(delimiter: string | Uint8Array, options?: FrameOptions): Operation<Buffer | null> {
    return this.readFrame(new DelimiterFraming(delimiterOf(delimiter), limitOf('readUntil', options), false));
  }

  /**
   * Just so many bytes. Memory grows as they come, not with `size`. Cancelling loses nothing.
   *
   * @throws UnexpectedEofError if the stream ends before: what has come stays; TypeError if `size` is no count;
   * and as `read`
   */
  readExactly(size: number): Operation<Buffer> {
    checkFrameSize(size, 'readExactly');
    return this.readFrame(new SizeFraming(size));
  }

  /**
   * A copy of the next bytes, which stay; waits until there are so many, or gives fewer at the end of the stream.
   *
   * @throws TypeError if `size` is no count; and as `read`
   */
  peek(size: number): Operation<Buffer> {
    checkFrameSize(size, 'peek');
    return this.readFrame(new PeekFraming(size));
  }

  /**
   * Puts a copy of bytes before those that were not read yet, also if they never came from here; `bytesRead`
   * goes down by their number.
   *
   * @throws TypeError if they are no Uint8Array; ClosedError after `close`, TimeoutError after `idleTimeout`
   */
  unread(bytes: Uint8Array): void {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`unread expects a Uint8Array, got ${inWords(bytes)}`);
    }
    this.input.unread(bytes);
  }

  /** @internal */
  readFrame<T>(framing: Framing<T>): Operation<T> {
    return readFrame(this.input, framing);
  }

  /**
   * Writes text (as UTF-8) or bytes. Returns at once while at most 64 KiB wait for the kernel; the
   * writes of a turn go out together. The caller owns its buffer again when it returns or throws.
   * Cancelling a write that waits its turn takes it back whole; one that was handed over is delivered,
   * and the error's `accepted` says how many bytes that were.
   *
   * @throws TypeError for anything else; ClosedError after `end` or `close`; the error of an earlier
   * write that failed (`EPIPE`, `ECONNRESET`, …)
   */
  write(data: string | Uint8Array): Operation<void> {
    // Looked at here, since this is done for each message.
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) checkData(data);
    return write(this.#output, data);
  }

  /** Writes several pieces as one: nothing of another writer comes between them. Otherwise as `write`. */
  writeAll(parts: readonly (string | Uint8Array)[]): Operation<void> {
    if (!Array.isArray(parts)) throw new TypeError(`writeAll expects an array, got ${inWords(parts)}`);
    for (const part of parts) checkData(part);
    return write(this.#output, [...parts]);
  }

  /** Waits until the kernel has taken all that was written. Cancelling ends the wait only. */
  flush(): Operation<void> {
    return flush(this.#output);
  }

  /** Half-close: no more writes, reads go on. Waits as `flush` does. */
  end(): Operation<void> {
    return end(this.#output);
  }

  /**
   * Goes on over TLS, for protocols that begin in the clear and agree to (STARTTLS). Waits until what was written is
   * out, then until the handshake is over; meanwhile nobody else may read or write. What has come and was not read
   * belongs to the handshake. The one whose handshake fails finds the connection reset; so does who cancels it.
   *
   * @throws TypeError if the options do not fit; BusyError if somebody reads or writes; StateError if it is over
   * TLS already; ClosedError after `end` or `close`; TimeoutError after `handshakeTimeout` ms; the error of the handshake
   * (`CERT_HAS_EXPIRED`, …), which all later uses of the connection throw as well
   *
   * @example
   * ```ts
   * import { type Co, type Connection } from 'skein';
   *
   * function* submit(conn: Connection): Co<void> {
   *   yield* conn.write('STARTTLS\r\n');
   *   if (!String(yield* conn.read()).startsWith('220')) throw new Error('no TLS here');
   *   yield* conn.startTls();
   * }
   * ```
   */
  startTls(options: StartTlsOptions = {}): Co<void> {
    return new Upgrade(
      {
        input: this.input,
        output: this.#output,
        scheduler: this.#scheduler,
        host: this.#host,
        resume: (socket) => this.#resume(socket),
        abort: (reason) => this.#abort(reason),
      },
      options,
    ).run();
  }

  // Callback face.

  /**
   * Asks for the next bytes, once: `onData(data, null)`, `onData(null, null)` at the end of the stream,
   * `onData(null, error)`. It is never called inside this call, and not while the connection is taken
   * out of its event loop; what `listen`, `dial` and `serve` give needs none.
   *
   * @returns a function that takes the request back
   * @throws BusyError if somebody reads already; TypeError if `onData` is not a function
   */
  recv(onData: OnData): () => void {
    const receipt = new Receipt(this.input, onData);
    return () => receipt.cancel();
  }

  /**
   * Writes, without limit; `onSent(error)` comes when the kernel has taken the bytes, or never will.
   * The buffer is borrowed until then.
   */
  send(data: string | Uint8Array, onSent?: (error: Error | null) => void): void {
    checkData(data);
    if (onSent !== undefined) checkCallback(onSent, 'send');
    this.#output.send(typeof data === 'string' ? Buffer.from(data) : data, onSent);
  }

  /**
   * Closes, gracefully and at once: what was written is still delivered, input is discarded, and whoever
   * waits is woken with a `ClosedError`; that of a write that was handed over says in `accepted` how many
   * bytes go out. A peer that makes no progress for 5 s, or takes less than 1 KiB/s for 30 s, is reset;
   * one that is slow gets everything. May be called twice.
   */
  close(): void {
    if (this.#closed !== null) return;
    this.#shutAndLinger(
      () => new ClosedError(`the connection to ${this.remoteAddress} was closed on this side`),
    );
  }

  /** Closes at once: what was not delivered is dropped, and a TCP peer sees a reset. */
  reset(): void {
    const reason = (): Error =>
      new ClosedError(`the connection to ${this.remoteAddress} was reset on this side`);
    if (this.#closed !== null) {
      this.#linger?.reset(reason);
      return;
    }
    this.#abort(reason);
  }

  /**
   * The connection as a stream of Node's, to which it is given up: `read` and `recv` are busy from then on, and
   * what is written here comes between what the stream writes. Reading is on demand, `end` is half-close, and
   * 'finish' comes when the kernel has taken all. Destroying the stream closes the connection if it has finished
   * writing, and else resets it; closing the connection destroys the stream. Errors of the network are the
   * stream's, and an `idleTimeout` is one.
   *
   * It has what `net.Socket` documents for a connection that is made, and over TLS what `tls.TLSSocket` does
   * (`encrypted`, `authorized`, `getPeerCertificate`, …), for libraries that ask for it.
   *
   * @throws BusyError if somebody reads; ClosedError after `close`
   *
   * @example
   * ```ts
   * import { pipeline } from 'node:stream/promises';
   * import { createGzip } from 'node:zlib';
   * import { dial, listen, run, spawn, wait } from 'skein';
   *
   * await run(function* () {
   *   const acceptor = yield* listen(0);
   *   spawn(function* () {
   *     const stream = (yield* acceptor.accept()).toDuplex();
   *     acceptor.close();
   *     yield* wait(pipeline(stream, createGzip(), stream));
   *   });
   *   const conn = yield* dial(acceptor.address);
   *   yield* conn.write('hello');
   *   yield* conn.end();
   *   console.log((yield* conn.read())?.readUInt16BE().toString(16)); // 1f8b
   *   conn.close();
   * });
   * ```
   */
  toDuplex(): Duplex {
    if (this.#closed !== null) throw this.#closed();
    const { tls } = this;
    if (tls === null) return new ConnectionDuplex(this, this.input, this.#output, this.#scheduler);
    return new SecureDuplex(tls, this, this.input, this.#output, this.#scheduler);
  }

  // What it is, and what can be set.

  /** This side's address. */
  get localAddress(): Address {
    this.#localAddress ??= Address.of(this.#socket.localAddress);
    return this.#localAddress;
  }

  /** The peer's address, as it was when the connection was made. */
  get remoteAddress(): Address {
    this.#remoteAddress ??= Address.of(this.#socket.remoteAddress);
    return this.#remoteAddress;
  }

  /** What was agreed on with the peer; null for a connection without TLS. */
  get tls(): TlsInfo | null {
    return tlsInfoOf(this.#socket);
  }

  /** Bytes that the kernel has taken. */
  get bytesWritten(): number {
    return this.#socket.sent;
  }

  /** Small writes are sent at once, without Nagle's delay. Default true. */
  get noDelay(): boolean {
    return this.#noDelay;
  }
  set noDelay(on: boolean) {
    this.#noDelay = on;
    this.#socket.setNoDelay(on);
  }

  /**
   * Milliseconds of silence before a dead peer is probed for; 0 or `Infinity` for never. Default 15,000. A peer that answers none of ten
   * probes, one a second, is given up: who reads or writes gets an `ETIMEDOUT`. So is one that has not acknowledged what it
   * was sent, in about the same time. One that is there and does not read is not.
   */
  get keepAlive(): number {
    return this.#keepAlive;
  }
  set keepAlive(ms: number) {
    checkDuration(ms, 'keepAlive');
    this.#keepAlive = ms;
    this.#socket.setKeepAlive(ms === Infinity ? 0 : ms);
  }

  /** Bytes that were read, less those that were put back. */
  get bytesRead(): number {
    return this.input.bytesRead;
  }

  /** @internal */
  setAdded(isAdded: boolean): void {
    this.input.setAdded(isAdded);
  }

  /** Closed on this side, by `close`, `reset` or the idle timeout. */
  get isClosed(): boolean {
    return this.#closed !== null;
  }

  /**
   * Milliseconds without a byte in either direction after which the connection is closed and whoever
   * waits gets a `TimeoutError`; 0, the default, for never. Input that waits to be read is no silence,
   * nor is it while the peer takes what was written: one that takes nothing has the time twice.
   */
  get idleTimeout(): number {
    return this.input.idle?.timeout ?? 0;
  }
  set idleTimeout(ms: number) {
    checkDuration(ms, 'idleTimeout');
    if (this.isClosed) return;
    this.input.idle ??= new IdleTimer(this.#scheduler, this.input, this.uptake(), () =>
      this.#expire(
        `no byte from or to ${this.remoteAddress} for ${this.idleTimeout} ms`,
        this.#output.waiting > 0,
      ),
    );
    this.#output.watchWith(this.input.idle);
    this.input.idle.start(ms === Infinity ? 0 : ms);
  }

  /**
   * Milliseconds in which a whole request has to come, from its first byte until something is written; 0, the default,
   * for as long as it takes. The connection is closed then, and whoever reads gets a `TimeoutError`. A client that
   * sends a byte now and then never trips `idleTimeout`, but this. Time in which nobody reads does not end it: a
   * handler may think as long as it likes. It is for protocols in which each request is answered: of one that is not,
   * the time goes on.
   */
  get requestTimeout(): number {
    return this.input.request?.timeout ?? 0;
  }
  set requestTimeout(ms: number) {
    checkDuration(ms, 'requestTimeout');
    if (this.isClosed) return;
    this.input.request ??= new RequestTimer(this.#scheduler, this.input, this.#output, () => {
      const what = `the request of ${this.remoteAddress} was not complete`;
      this.#expire(`${what} after ${this.requestTimeout} ms`, false);
    });
    this.input.request.start(ms === Infinity ? 0 : ms);
  }

  /** @internal Nothing that was written waits for the kernel. */
  get hasDelivered(): boolean {
    return this.#output.waiting <= 0;
  }

  /** @internal What the peer takes, for a timer that is about to give it up. */
  uptake(): Uptake {
    return new Uptake(this.#output);
  }

  /** @internal Waits, after `close`, until all was delivered; throws what kept it from that. */
  delivered(): Operation<void> {
    const linger = this.#linger;
    return suspend<void>(function deliver(resume) {
      if (linger === null) resume();
      else linger.whenDelivered(resume);
    });
  }

  /** TLS has begun. */
  #resume(socket: Socket): void {
    this.#socket = socket;
    this.input.resume(socket);
    this.#output.resume(socket);
    socket.setKeepAlive(this.keepAlive);
    this.input.idle?.touch();
  }

  #abort(reason: () => Error): void {
    if (this.#closed !== null) return;
    this.#shut(reason);
    this.#socket.reset();
    this.#output.abort(reason);
  }

  #shut(reason: () => Error): void {
    this.#closed = reason;
    // Perhaps TLS was being started.
    this.#output.resume(this.#socket);
    this.loop?.forget(this);
    this.loop = null;
    this.input.idle?.stop();
    this.input.request?.stop();
    this.#output.close(reason);
    this.input.close(reason);
  }

  #shutAndLinger(reason: () => Error): Linger {
    this.#shut(reason);
    this.#linger = new Linger(this.#socket, this.#output, this.#scheduler.timers);
    return this.#linger;
  }

  /** One that is stuck takes nothing: what waits for it would wait in vain. */
  #expire(message: string, isStuck: boolean): void {
    const reason = (): Error => new TimeoutError(message);
    const linger = this.#shutAndLinger(reason);
    if (isStuck) linger.reset(reason);
  }
}
