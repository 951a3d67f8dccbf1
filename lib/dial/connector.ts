// Outgoing connections, both faces: dialling can be cancelled and has a deadline. The error of a dial that has failed lists
// the addresses that were tried, and how each attempt has ended or where it stands.

import type { LookupFunction } from 'node:net';
import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import { TimeoutError } from '../../scheduler/kernel/errors.ts';
import { atLeaf, kind, Leaf, type Operation } from '../../scheduler/kernel/operation.ts';
import { Timer } from '../../scheduler/kernel/timers.ts';
import { currentScheduler } from '../../scheduler/kernel/scheduler.ts';
import { Address, type AddressLike } from '../common/address.ts';
import { checkCallback, checkLookup, timeLimit } from '../common/checks.ts';
import { detailed, guarded, ioError } from '../common/errors.ts';
import { Connection } from '../connection/connection.ts';
import type { Socket } from '../reactor/contract.ts';
import { asClient, handshakeTimeout, type Role, secureInTime } from '../tls/handshake.ts';
import {
  checkTls,
  clientOptions,
  DEFAULTS,
  HANDSHAKE_TIMEOUT,
  handshakeLimit,
  type TlsOptions,
} from '../tls/options.ts';
import { type Attempt, HappyEyeballs } from './happy-eyeballs.ts';

/** How to dial; all are optional. */
export interface DialOptions {
  /** Milliseconds after which dialling fails with a `TimeoutError`; by default, and with 0, the system decides. */
  readonly timeout?: number | undefined;
  /**
   * Resolves a name, as the option of `net.connect` does: called as `lookup(name, { all: true, … }, callback)`, it gives
   * `[{ address, family }, …]` to its callback. `dns.lookup` by default. It is not asked about addresses and paths.
   */
  readonly lookup?: LookupFunction | undefined;
  /**
   * Speak TLS: the connection is there once the handshake is complete, and the server has shown that it is the host
   * that is dialled. With `true` it is verified by the certificates that Node trusts. The `timeout` covers the
   * handshake as well; without one there are 10 s for it.
   */
  readonly tls?: true | TlsOptions | undefined;
}

const OPTIONS = optionNames<DialOptions>({ timeout: true, lookup: true, tls: true });

/** What `connect` calls back: with a connection or with an error. */
export type OnResult = (conn: Connection | null, error: Error | null) => void;

/**
 * Makes connections to an address: the callback face of `dial`.
 *
 * @example
 * ```ts
 * import { Connector, EventLoop } from 'skein';
 *
 * const event = new EventLoop();
 * new Connector('127.0.0.1:1', { timeout: 1000 }).connect((conn, error) => {
 *   if (conn === null) return console.error(error?.message);
 *   event.add(conn);
 *   conn.send('hello', () => conn.close());
 * });
 * ```
 */
export class Connector {
  /** Where it connects to. */
  readonly address: Address;
  readonly #timeout: number;
  readonly #lookup: LookupFunction | undefined;
  /** Does the handshakes; null without TLS. */
  readonly #role: Role | null;
  readonly #handshakeTimeout: number;

  /** @throws TypeError if the address or an option is malformed; what node:tls says of a malformed certificate or key */
  constructor(address: AddressLike | Address, options: DialOptions = {}) {
    this.address = Address.parse(address);
    checkOptions('dial', options, OPTIONS);
    const { timeout: limit = Infinity, lookup } = options;
    const timeout = timeLimit(limit, 'the timeout of dial');
    const tls = options.tls === true ? DEFAULTS : options.tls;
    checkLookup(lookup, 'dial');
    this.#timeout = timeout;
    this.#lookup = lookup;
    if (tls !== undefined) checkTls(tls, 'the tls of dial');
    this.#role =
      tls === undefined ? null : asClient(clientOptions(tls, this.address.host, 'the tls of dial'));
    this.#handshakeTimeout = handshakeLimit(tls, timeout < Infinity ? Infinity : HANDSHAKE_TIMEOUT);
  }

  /**
   * Connects; `onResult(connection, null)` or `onResult(null, error)` comes later, once. The connection
   * is not added to an event loop yet.
   *
   * @returns a function that ends all attempts; after it nothing is called
   */
  connect(onResult: OnResult): () => void {
    checkCallback(onResult, 'connect');
    const scheduler = currentScheduler();
    return this.attempt(
      (conn) => {
        conn.setAdded(false);
        guarded(scheduler, onResult, conn, null);
      },
      (explain) => guarded(scheduler, onResult, null, explain()),
    );
  }

  /** @internal `explain` makes the error, where it is called: on the stack of the one who waits. */
  attempt(onConnect: (conn: Connection) => void, onFailure: (explain: () => Error) => void): () => void {
    const { address } = this;
    const scheduler = currentScheduler();
    const failTls = (cause: Error): void =>
      onFailure(() => ioError(cause, `dialling ${address}: TLS`, address));
    const arrive = (socket: Socket): void => {
      timer?.stop();
      onConnect(new Connection(socket, true, scheduler, address.host));
    };
    let endTls: (() => void) | null = null;
    const race = new HappyEyeballs(address, this.#lookup, scheduler, {
      onConnect: (connected) => {
        if (this.#role === null) {
          arrive(connected);
          return;
        }
        endTls = secureInTime(connected, this.#role, this.#handshakeTimeout, scheduler, (error, socket) => {
          timer?.stop();
          if (socket !== null) arrive(socket);
          else failTls(error!);
        });
      },
      onFailure: () => {
        timer?.stop();
        onFailure(() => dialError(address, race));
      },
    });
    const timer =
      this.#timeout < Infinity
        ? new Timer(scheduler.timers, () => {
            race.end();
            endTls?.();
            if (endTls !== null) failTls(handshakeTimeout(this.#timeout));
            else onFailure(() => dialTimeout(address, this.#timeout, race));
          })
        : null;
    timer?.start(this.#timeout);
    return () => {
      timer?.stop();
      race.end();
      endTls?.();
    };
  }
}

/** Ends all attempts. */
type End = () => void;

const DIAL = kind<Connection, Connector, End | null>({
  startsWork: true,
  arm(operation) {
    operation.item = operation.target.attempt(
      (conn) => operation.fire(conn),
      (explain) => operation.fail(explain),
    );
  },
  disarm(operation) {
    operation.item?.();
    operation.item = null;
  },
  // A connection that arrived and will not be taken must not stay open.
  discard: (_, conn) => conn.reset(),
  raise: (_, explain) => (explain as () => Error)(),
  describe: ({ target }) => `dialling ${target.address}`,
});

/**
 * Connects to an address. Of the addresses that a name stands for, the first that answers is taken: they are tried
 * in turn, IPv6 and IPv4 alternating, each 250 ms after the one before, or as soon as one has failed (Happy
 * Eyeballs, RFC 8305). A Unix listener whose queue is full is waited for. Cancelling ends all attempts; the connection
 * that has come already is given.
 *
 * @throws TypeError if the address or an option is malformed; the system's error (`ECONNREFUSED`, `ENOTFOUND`, …)
 * with this coroutine's stack; if several addresses were tried, an AggregateError whose message names each with its
 * code, with their errors in `errors` and the `code` of the last; TimeoutError after `timeout` ms, which names each
 * address with its code or `still connecting`, with the errors so far in `errors`; with `tls` the error of the handshake,
 * with Node's code (`CERT_HAS_EXPIRED`, …)
 *
 * @example
 * ```ts
 * import { dial, run } from 'skein';
 *
 * await run(function* () {
 *   try {
 *     const conn = yield* dial('127.0.0.1:1', { timeout: 1000 });
 *     conn.close();
 *   } catch (error) {
 *     console.log((error as NodeJS.ErrnoException).code); // ECONNREFUSED
 *   }
 * });
 * ```
 */
export function dial(address: AddressLike | Address, options?: DialOptions): Operation<Connection> {
  return new Leaf<Connection, Connector, End | null>(DIAL, new Connector(address, options), null);
}

/** The error of the only attempt; else one with the errors of all, in `errors`. */
export function dialError(address: Address, { attempts, lookupError }: HappyEyeballs): NodeJS.ErrnoException {
  const action = `dialling ${address}`;
  const errors = attempts.map(({ error }) => error!);
  const last = errors.at(-1);
  if (last === undefined || errors.length === 1) return ioError(last ?? lookupError!, action, address);
  const error = new AggregateError(
    errors,
    `${action}: ${errors.length} attempts failed: ${inWords(attempts)}`,
  );
  // Where a family has no route its attempts fail first: what the last has met says more.
  return detailed(atLeaf(error), last, address);
}

/** The error when the time was up. */
export function dialTimeout(address: Address, timeout: number, { attempts }: HappyEyeballs): TimeoutError {
  const found = attempts.length === 0 ? `still looking ${address.host} up` : inWords(attempts);
  const error = new TimeoutError(`dialling ${address} took more than ${timeout} ms: ${found}`);
  const errors = attempts.flatMap((attempt) => attempt.error ?? []);
  return Object.assign(detailed(atLeaf(error), null, address), { errors });
}

/** "[::1]:80 ECONNREFUSED; 127.0.0.1:80 still connecting". */
function inWords(attempts: readonly Attempt[]): string {
  return attempts.map((attempt) => `${Address.of(attempt.to)} ${standing(attempt)}`).join('; ');
}

function standing({ state, error }: Attempt): string {
  if (error === null) return state === 'connecting' ? 'still connecting' : state;
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
