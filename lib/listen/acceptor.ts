// A listening socket, with both faces. Accepted connections go straight to those who asked, first come,
// first served; nothing is accepted while nobody asks, as far as the reactor can help it (N10). Below is `listen`,
// binding as an operation.

import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import { ClosedError, inWords } from '../../scheduler/kernel/errors.ts';
import { kind, Leaf, type Operation } from '../../scheduler/kernel/operation.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { WaitQueue } from '../../scheduler/kernel/wait-queue.ts';
import { warn } from '../../scheduler/kernel/warnings.ts';
import { currentScheduler } from '../../scheduler/kernel/scheduler.ts';
import { Address, type AddressLike } from '../common/address.ts';
import { checkCallback, checkCount } from '../common/checks.ts';
import { guarded, ioError, uncaught } from '../common/errors.ts';
import { Seldom } from '../common/log-limiter.ts';
import { Connection } from '../connection/connection.ts';
import type { Endpoint, Listener, ListenOptions as ReactorOptions, Socket } from '../reactor/contract.ts';
import { checkTls, serverOf, type TlsOptions } from '../tls/options.ts';
import { openListener } from './open-listener.ts';
import { proxySources } from './proxy-header.ts';

/** How to listen; all are optional. */
export interface ListenOptions extends ReactorOptions {
  /**
   * Connections speak TLS: those whose handshake is complete are accepted. A client has 10 s for it, or
   * `handshakeTimeout`. It takes a `key` and a `cert`, a `pfx` or an `SNICallback`.
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * A proxy stands in front, such as HAProxy with `send-proxy` or `send-proxy-v2`, and says of each connection whose it
   * is: by the PROXY protocol, version 1 or 2. The addresses of a connection are then the client's, and the one that
   * the client spoke to. Who sends a header can claim to be anybody, so only proxies are let in: those of this machine
   * (loopback, Unix sockets) with `true`, else those at the addresses and in the subnets that are named:
   * `['10.0.0.7', 'fd00::/8']`. Others, and connections without a well-formed header, are refused; a proxy has 10 s
   * for it. Default false.
   */
  readonly proxyProtocol?: boolean | readonly string[] | undefined;
  /**
   * Hears of errors of accepting (`EMFILE`, …), of refused connections, and of headers of proxies and handshakes that
   * failed, with the peer's address; the acceptor goes on. By default they become process warnings.
   */
  readonly onError?: ((error: Error) => void) | undefined;
  /** Told where it listens, once it does. */
  readonly onListening?: ((address: Address) => void) | undefined;
}

/** @internal */
export const LISTEN_OPTIONS = {
  backlog: true,
  ipv6Only: true,
  reusePort: true,
  unlinkOnClose: true,
  maxConnections: true,
  tls: true,
  proxyProtocol: true,
  onError: true,
  onListening: true,
} as const satisfies Record<keyof ListenOptions, true>;

const OPTIONS = optionNames<ListenOptions>(LISTEN_OPTIONS);

/** What takes connections by callback: an event loop. */
export interface Taker {
  readonly onConnection: (conn: Connection) => void;
  readonly onError: ((error: Error) => void) | undefined;
}

/**
 * Listens for connections. `listen` makes one for coroutines; in the callback style, `new Acceptor(9981)`
 * is bound when it is added to an event loop.
 *
 * @example
 * ```ts
 * import { Acceptor, EventLoop } from 'skein';
 *
 * const event = new EventLoop();
 * const acceptor = new Acceptor(0, { onListening: (address) => console.log(String(address)) });
 * event.add(acceptor, (conn) => conn.close());
 * event.loop();
 * event.stop();
 * acceptor.close();
 * ```
 */
export class Acceptor {
  readonly #scheduler = currentScheduler();
  readonly #requested: Address;
  readonly #options: ListenOptions;
  #listener: Listener | null = null;
  #isBound = false;
  #isClosed = false;
  #bindError: Error | null = null;
  /** Told when binding has ended, either way. */
  readonly #onBound: (() => void)[] = [];
  readonly #waiters = new WaitQueue<AcceptOperation>();
  #taker: Taker | null = null;
  readonly #warnings = new Seldom(this.#scheduler.clock);
  /** @internal The event loop that it was added to. */
  loop: { forget(acceptor: Acceptor): void } | null = null;

  /** @throws TypeError if the address or an option is malformed; what node:tls says of a malformed key or certificate */
  constructor(address: AddressLike | Address, options: ListenOptions = {}) {
    this.#requested = Address.parse(address);
    checkOptions('listen', options, OPTIONS);
    this.#options = options;
    checkCount(options.backlog, 'backlog');
    checkCount(options.maxConnections, 'maxConnections');
    const { tls, onError, onListening } = options;
    for (const name of ['ipv6Only', 'reusePort', 'unlinkOnClose'] as const) {
      const { [name]: flag = false } = options;
      if (typeof flag !== 'boolean')
        throw new TypeError(`${name} should be true or false, got ${inWords(flag)}`);
    }
    proxySources(options.proxyProtocol);
    if (onError !== undefined) checkCallback(onError, 'the onError of listen');
    if (onListening !== undefined) checkCallback(onListening, 'the onListening of listen');
    if (tls === undefined) return;
    checkTls(tls, 'the tls of listen');
    serverOf(tls, 'the tls of listen');
  }

  /** Where it listens; the port is known once it is bound. */
  get address(): Address {
    if (this.#listener === null || !this.#isBound) return this.#requested;
    const { host, port, path } = this.#listener.address;
    return new Address(host, port, path);
  }

  /** Connections that were refused because descriptors or `maxConnections` ran out, or whose header or handshake failed. */
  get dropped(): number {
    return this.#listener?.dropped ?? 0;
  }

  /** Closed by `close`, or never bound because that failed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * The next connection. Several may wait, first come, first served; cancelling loses no connection.
   *
   * @throws ClosedError when the acceptor is closed
   */
  accept(): Operation<Connection> {
    return new Leaf<Connection, Acceptor, Scheduler>(ACCEPT, this, currentScheduler());
  }

  /** Stops listening: whoever waits gets a `ClosedError`, accepted connections live on. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.loop?.forget(this);
    this.loop = null;
    this.#listener?.close();
    this.#endBinding();
    this.#wakeAll();
  }

  /** @internal */
  checkOpen(): void {
    if (this.#isClosed) throw new ClosedError(`the acceptor at ${this.address} was closed`);
  }

  /** @internal Begins to listen; calls back once it does, or cannot. */
  bind(onBound: () => void): void {
    this.checkOpen();
    this.#onBound.push(onBound);
    this.#listener ??= openListener(this.#requested, this.#options, this.#scheduler, this);
  }

  /** @internal It listens, or never will. */
  get isSettled(): boolean {
    return this.#isBound || this.#isClosed;
  }

  /** @internal Throws, on the user's stack, why binding failed. */
  checkBound(): void {
    if (this.#bindError !== null) {
      throw ioError(this.#bindError, `listening on ${this.#requested}`, this.#requested);
    }
    this.checkOpen();
  }

  /** @internal A connection that is there, or undefined: then `addWaiter`. */
  takeFor(operation: AcceptOperation): Connection | undefined {
    this.checkBound();
    if (this.#listener === null) {
      throw new TypeError(
        'accept needs an acceptor that listens: one of `listen`, or added to an event loop',
      );
    }
    const { first } = this.#waiters;
    if (first !== null && first !== operation) return undefined;
    const socket = this.#listener.take();
    return socket && new Connection(socket, true, operation.item);
  }

  /** @internal */
  addWaiter(operation: AcceptOperation): void {
    this.#waiters.push(operation);
    this.#listener?.want();
  }

  /** @internal */
  removeWaiter(operation: AcceptOperation): void {
    this.#waiters.remove(operation);
    this.#restIfUnasked();
  }

  /** @internal Whether an event loop has bound it already. */
  get isBinding(): boolean {
    return this.#listener !== null;
  }

  /** @internal */
  setTaker(taker: Taker | null): void {
    this.#taker = taker;
    if (taker === null) this.#restIfUnasked();
    else queueMicrotask(() => this.onConnection());
  }

  /** @internal */
  onListening(): void {
    this.#isBound = true;
    this.#endBinding();
    if (this.#options.onListening !== undefined)
      guarded(this.#scheduler, this.#options.onListening, this.address);
  }

  /** @internal */
  onListenError(error: Error): void {
    this.#bindError = error;
    this.#isClosed = true;
    this.#endBinding();
    this.#wakeAll();
  }

  /** @internal */
  onClosed(): void {
    this.close();
  }

  /** @internal */
  onConnection(): void {
    if (this.#isClosed || this.#listener === null) return;
    let socket: Socket | undefined;
    while (this.#isAsked() && (socket = this.#listener.take()) !== undefined) {
      const waiter = this.#waiters.shift();
      if (waiter !== null) waiter.fire(new Connection(socket, true, waiter.item));
      else
        guarded(this.#scheduler, this.#taker!.onConnection, new Connection(socket, false, this.#scheduler));
    }
    if (this.#isAsked()) this.#listener.want();
  }

  /** @internal */
  onAcceptError(error: Error): void {
    const failure = ioError(error, `accepting on ${this.address}`, this.address);
    this.#report(failure, failure.code === 'ERR_LIMIT');
  }

  /** @internal */
  onPrepareError(error: Error, peer: Endpoint, step: string): void {
    const from = Address.of(peer);
    this.#report(ioError(error, `accepting ${from} on ${this.address}: ${step}`, from), true);
  }

  #report(failure: NodeJS.ErrnoException, isPeers: boolean): void {
    const report = this.#options.onError ?? this.#taker?.onError;
    if (report !== undefined) guarded(this.#scheduler, report, failure);
    else if (this.#taker !== null && !isPeers) guarded(this.#scheduler, uncaught, failure);
    else this.#warn(failure);
  }

  #isAsked(): boolean {
    return !this.#isClosed && (this.#waiters.first !== null || this.#taker !== null);
  }

  #restIfUnasked(): void {
    if (!this.#isAsked()) this.#listener?.unwant();
  }

  /** A refusal is a peer's doing: it must not end the process, nor flood the log. */
  #warn(failure: NodeJS.ErrnoException): void {
    if (this.#warnings.ask() === undefined) return;
    const message = `${failure.message} (${this.dropped} refused so far)`;
    warn(message, { type: 'AcceptWarning', code: failure.code ?? '' });
  }

  #wakeAll(): void {
    for (let waiter = this.#waiters.shift(); waiter !== null; waiter = this.#waiters.shift()) waiter.notify();
  }

  #endBinding(): void {
    for (const onBound of this.#onBound.splice(0)) onBound();
  }
}

/** The scheduler is that of the coroutine, for its connection's timers. */
type AcceptOperation = Leaf<Connection, Acceptor, Scheduler>;

const ACCEPT = kind<Connection, Acceptor, Scheduler>({
  poll(operation) {
    const conn = operation.target.takeFor(operation);
    operation.value = conn;
    return conn !== undefined;
  },
  arm: (operation) => operation.target.addWaiter(operation),
  disarm: (operation) => operation.target.removeWaiter(operation),
  // A connection that arrived and will not be taken must not stay open.
  discard: (_, conn) => conn.reset(),
  describe: ({ target }) => `accepting on ${target.address}`,
});

/** Binds an acceptor; `make` gives it anew at each performance. */
export function bind(make: () => Acceptor): Operation<Acceptor> {
  return new Leaf<Acceptor, () => Acceptor, Acceptor | null>(BIND, make, null);
}

/** On what makes the acceptor, with the acceptor while it is being performed. */
const BIND = kind<Acceptor, () => Acceptor, Acceptor | null>({
  poll(operation) {
    const { target: make } = operation;
    const acceptor = (operation.item ??= make());
    if (!acceptor.isSettled) return false;
    operation.item = null;
    acceptor.checkBound();
    operation.value = acceptor;
    return true;
  },
  arm: (operation) => operation.item?.bind(() => operation.notify()),
  disarm(operation) {
    operation.item?.close();
    operation.item = null;
  },
  enlist: () => false,
  discard: (_, acceptor) => acceptor.close(),
  describe: ({ item }) => `binding ${item?.address ?? 'an address'}`,
});

/**
 * Listens on an address. A port alone binds loopback; port 0 lets the system choose one, which
 * `acceptor.address.port` tells.
 *
 * @throws TypeError if the address is malformed; the system's error (`EADDRINUSE`, `EACCES`, …)
 *
 * @example
 * ```ts
 * import { listen, run } from 'skein';
 *
 * await run(function* () {
 *   const acceptor = yield* listen('127.0.0.1:0', { backlog: 128 });
 *   console.log(`listening on ${acceptor.address}`);
 *   acceptor.close();
 * });
 * ```
 */
export function listen(address: AddressLike | Address, options?: ListenOptions): Operation<Acceptor> {
  const make = (): Acceptor => new Acceptor(address, options);
  // Made once in vain, so that malformed arguments are an error of this call and not of its performance.
  make();
  return bind(make);
}
