// TLS in the middle of a stream: the same connection goes on over another socket. Invariants: what was written before
// goes out first, in the clear; what has come and was not read belongs to the handshake, so that nothing that came
// in the clear passes for what came over TLS (CVE-2011-0411); from the first byte of the handshake on the connection is
// over TLS, or it is reset.

import { BusyError, ClosedError, StateError } from '../../scheduler/kernel/errors.ts';
import { type Co, kind, Leaf } from '../../scheduler/kernel/operation.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { Address } from '../common/address.ts';
import { ioError } from '../common/errors.ts';
import type { Socket } from '../reactor/contract.ts';
import { asClient, asServer, type OnSecured, type Role, secureInTime } from '../tls/handshake.ts';
import { tlsInfoOf } from '../tls/info.ts';
import {
  checkTls,
  clientOptions,
  HANDSHAKE_TIMEOUT,
  handshakeLimit,
  serverOf,
  type TlsOptions,
} from '../tls/options.ts';
import type { Input, Reader } from './input.ts';
import { flush, type Output } from './output.ts';

/** How to go on over TLS. */
export interface StartTlsOptions extends TlsOptions {
  /**
   * The server's role, which shows `key` and `cert`. Default false, the client's, whichever side has dialled: it checks the
   * certificate against `servername`, by default the host that was dialled.
   */
  readonly isServer?: boolean | undefined;
}

/** A connection, to those who begin TLS on it. */
export interface Upgradable {
  readonly input: Input;
  readonly output: Output;
  readonly scheduler: Scheduler;
  /** The host that was dialled; '' if none was. */
  readonly host: string;
  /** Goes on with a socket over TLS. */
  resume(socket: Socket): void;
  /** Resets the connection, unless it is closed; `reason` makes the error of those who use it. */
  abort(reason: () => Error): void;
}

/** The change of one connection. While the handshake lasts it claims the connection as a reader does. */
export class Upgrade implements Reader {
  readonly #conn: Upgradable;
  readonly #role: Role;
  readonly #timeout: number;
  /** The one who waits, while the handshake lasts. */
  #operation: Handshake | null = null;
  /** Ends the handshake. */
  #end: () => void = () => {};

  /** @throws TypeError if the options do not fit */
  constructor(conn: Upgradable, options: StartTlsOptions) {
    checkTls(options, 'startTls');
    this.#conn = conn;
    this.#role = options.isServer
      ? asServer(serverOf(options, 'startTls'))
      : asClient(clientOptions(options, conn.host, 'startTls'));
    this.#timeout = handshakeLimit(options, HANDSHAKE_TIMEOUT);
  }

  get peer(): Address {
    return this.#conn.output.peer;
  }

  *run(): Co<void> {
    this.#check();
    yield* flush(this.#conn.output);
    yield* new Leaf<void, Upgrade>(HANDSHAKE, this, undefined);
  }

  begin(operation: Handshake): void {
    this.#check();
    const { input, output } = this.#conn;
    if (output.waiting > 0) throw new BusyError(`cannot start TLS: somebody is writing to ${this.peer}`);
    const unread = input.surrender(this);
    output.suspend(() => new BusyError(`cannot write to ${this.peer}: TLS is being started`));
    this.#operation = operation;
    const onSecured: OnSecured = (error, socket) => {
      if (socket === null) {
        this.#conn.abort(() => ioError(error!, `starting TLS with ${this.peer}`, this.peer));
        this.notify();
        return;
      }
      this.#operation = null;
      this.#conn.resume(socket);
      operation.fire();
    };
    const { scheduler } = this.#conn;
    this.#end = secureInTime(output.socket, this.#role, this.#timeout, scheduler, onSecured, unread);
  }

  /** Throws why the one who waits was woken, and not given its result. */
  checkOpen(): void {
    this.#conn.output.check();
  }

  /** Half a handshake is of no use to anybody. */
  cancel(): void {
    this.#operation = null;
    this.#end();
    this.#conn.abort(() => new ClosedError(`starting TLS with ${this.peer} was cancelled half-way`));
  }

  /** The connection was closed. */
  notify(): void {
    this.#end();
    this.#operation?.notify();
    this.#operation = null;
  }

  #check(): void {
    const { input, output } = this.#conn;
    output.checkOpen();
    input.checkFree(this);
    if (tlsInfoOf(output.socket) !== null) throw new StateError(`${this.peer} is spoken to over TLS already`);
  }
}

type Handshake = Leaf<void, Upgrade>;

const HANDSHAKE = kind<void, Upgrade>({
  poll({ target }) {
    target.checkOpen();
    return false;
  },
  arm: (operation) => operation.target.begin(operation),
  disarm: (operation) => operation.target.cancel(),
  describe: ({ target }) => `starting TLS with ${target.peer}`,
  enlist: () => false,
});
