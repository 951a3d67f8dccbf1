// Outgoing connections: an attempt that can be cancelled and has a deadline.

import { TimeoutError } from '../scheduler/errors.ts';
import { kind } from '../scheduler/kind.ts';
import { Leaf, type Operation } from '../scheduler/operation.ts';
import { currentScheduler } from '../scheduler/run.ts';
import { Timer } from '../scheduler/timers.ts';
import { Address, type AddressLike } from './address.ts';
import { Connection } from './connection.ts';
import { checkCallback, checkDuration, guarded, ioError } from './io-error.ts';
import { reactor } from './the-reactor.ts';

/** How to dial; all are optional. */
export interface DialOptions {
  /** Milliseconds after which the attempt fails with a `TimeoutError`; by default the system decides. */
  readonly timeout?: number | undefined;
}

type OnResult = (conn: Connection | null, error: Error | null) => void;

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

  /** @throws TypeError if the address or the timeout is malformed */
  constructor(address: AddressLike | Address, options: DialOptions = {}) {
    this.address = Address.parse(address);
    const { timeout = Infinity } = options;
    checkDuration(timeout, 'the timeout of dial');
    this.#timeout = timeout;
  }

  /**
   * Connects; `onResult(connection, null)` or `onResult(null, error)` comes later, once. The connection
   * is not added to an event loop yet.
   *
   * @returns a function that ends the attempt; after it nothing is called
   */
  connect(onResult: OnResult): () => void {
    checkCallback(onResult, 'connect');
    return this.attempt(
      (conn) => {
        conn.setAdded(false);
        guarded(onResult, conn, null);
      },
      (cause) => guarded(onResult, null, this.explain(cause)),
    );
  }

  /** @internal */
  attempt(onConnect: (conn: Connection) => void, onError: (cause: Error | null) => void): () => void {
    const scheduler = currentScheduler();
    const end = reactor.connect(this.address, {
      onConnect: (socket) => {
        timer?.stop();
        onConnect(new Connection(socket, true, scheduler));
      },
      onConnectError: (error) => {
        timer?.stop();
        onError(error);
      },
    });
    let timer: Timer | null = null;
    const cancel = (): void => {
      timer?.stop();
      end();
    };
    if (this.#timeout < Infinity) {
      timer = new Timer(scheduler.timers, () => {
        cancel();
        onError(null);
      });
      timer.start(this.#timeout);
    }
    return cancel;
  }

  /** @internal The error for the user; null stands for the deadline. */
  explain(cause: Error | null): Error {
    if (cause !== null) return ioError(cause, `dialling ${this.address}`, this.address);
    return new TimeoutError(`dialling ${this.address} took more than ${this.#timeout} ms`);
  }
}

/** Ends an attempt. */
type End = () => void;

const DIAL = kind<Connection, Connector, End | null>({
  poll: () => false,
  arm(operation) {
    operation.item = operation.target.attempt(
      (conn) => operation.fire(conn),
      (cause) => operation.fail(cause),
    );
  },
  disarm(operation) {
    operation.item?.();
    operation.item = null;
  },
  enlist: () => false,
  // A connection that arrived and will not be taken must not stay open.
  discard: (_, conn) => conn.reset(),
  raise: ({ target }, cause) => target.explain(cause as Error | null),
  describe: ({ target }) => `dialling ${target.address}`,
});

/**
 * Connects to an address. Cancelling ends the attempt.
 *
 * @throws TypeError if the address is malformed; TimeoutError after `timeout` ms; the system's error
 * (`ECONNREFUSED`, `ENOTFOUND`, …) with this coroutine's stack
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
