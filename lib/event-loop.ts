// The callback style: an event loop to which acceptors and connections are added. It only decides what
// is delivered; the waiting is the reactor's. Send callbacks come whether added or not (N13).

import { inWords } from '../scheduler/kernel/errors.ts';
import { currentScheduler } from '../scheduler/kernel/scheduler.ts';
import { networkOf } from './common/current-reactor.ts';
import { guarded, uncaught } from './common/errors.ts';
import { Connection } from './connection/connection.ts';
import { Acceptor } from './listen/acceptor.ts';

interface Accepting {
  readonly onConnection: (conn: Connection) => void;
  readonly onError: ((error: Error) => void) | undefined;
}

/**
 * An event loop in the callback style.
 *
 * @example
 * ```ts
 * import { Acceptor, EventLoop } from 'skein';
 *
 * const event = new EventLoop();
 * const acceptor = new Acceptor(0);
 * event.add(acceptor, (conn) => {
 *   event.add(conn);
 *   conn.recv((data) => {
 *     if (data !== null) conn.send(data);
 *     conn.close();
 *   });
 * });
 * event.loop();
 * event.stop();
 * acceptor.close();
 * ```
 */
export class EventLoop {
  readonly #scheduler = currentScheduler();
  readonly #acceptors = new Map<Acceptor, Accepting>();
  readonly #connections = new Set<Connection>();
  /** Lets the process end; null while the loop does not run. */
  #release: (() => void) | null = null;

  /**
   * Adds an acceptor, binding it if it is not bound yet: `onConnection` is called for each connection,
   * which is not added itself. Without `onError`, errors of binding and accepting are uncaught.
   * Adds a connection: its `recv` callbacks are delivered. Adding an acceptor
   * again replaces its callbacks. What is closed is forgotten.
   *
   * @throws TypeError for anything else; ClosedError for an acceptor that was closed
   */
  add(acceptor: Acceptor, onConnection: (conn: Connection) => void, onError?: (error: Error) => void): void;
  add(conn: Connection): void;
  add(
    what: Acceptor | Connection,
    onConnection?: (conn: Connection) => void,
    onError?: (error: Error) => void,
  ): void {
    if (what instanceof Connection) {
      if (what.isClosed) return;
      this.#connections.add(what);
      what.loop = this;
      what.setAdded(this.#release !== null);
    } else if (what instanceof Acceptor) {
      if (typeof onConnection !== 'function') {
        throw new TypeError(
          `add expects a callback for the acceptor's connections, got ${inWords(onConnection)}`,
        );
      }
      what.checkOpen();
      this.#acceptors.set(what, { onConnection, onError });
      what.loop = this;
      if (!what.isBinding) what.bind(() => this.#onBound(what));
      else this.#deliver(what);
    } else {
      throw new TypeError(`add expects an Acceptor or a Connection, got ${inWords(what)}`);
    }
  }

  /** Stops deliveries and leaves the object open; adding it again resumes them. */
  del(what: Acceptor | Connection): void {
    if (what instanceof Connection) {
      if (this.#connections.delete(what)) what.setAdded(false);
    } else if (this.#acceptors.delete(what)) {
      what.setTaker(null);
    }
  }

  /** Begins to deliver and returns at once; the process stays alive until `stop`. */
  loop(): void {
    if (this.#release !== null) return;
    this.#release = networkOf(this.#scheduler).hold();
    for (const acceptor of this.#acceptors.keys()) this.#deliver(acceptor);
    for (const conn of this.#connections) conn.setAdded(true);
  }

  /** Stops all deliveries and lets the process end; what was added stays added and open. */
  stop(): void {
    if (this.#release === null) return;
    this.#release();
    this.#release = null;
    for (const acceptor of this.#acceptors.keys()) acceptor.setTaker(null);
    for (const conn of this.#connections) conn.setAdded(false);
  }

  /** @internal It was closed. */
  forget(what: Acceptor | Connection): void {
    if (what instanceof Connection) this.#connections.delete(what);
    else this.#acceptors.delete(what);
  }

  #deliver(acceptor: Acceptor): void {
    const accepting = this.#acceptors.get(acceptor);
    if (accepting !== undefined && this.#release !== null) acceptor.setTaker(accepting);
  }

  #onBound(acceptor: Acceptor): void {
    const accepting = this.#acceptors.get(acceptor);
    if (accepting === undefined) return;
    if (!acceptor.isClosed) {
      this.#deliver(acceptor);
      return;
    }
    this.#acceptors.delete(acceptor);
    try {
      acceptor.checkBound();
    } catch (error) {
      // Closing it while it was being bound is no error of binding.
      if ((error as NodeJS.ErrnoException).syscall !== undefined)
        guarded(this.#scheduler, accepting.onError ?? uncaught, error as Error);
    }
  }
}
