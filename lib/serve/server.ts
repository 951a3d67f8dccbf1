// What `serve` runs: a coroutine for each client, in one scope, and the graceful shutdown. Invariants: nobody is accepted
// before there is room for one more; clients that are served when the shutdown begins may finish; those that have not
// after the grace are cut off, and reported.

import { select } from '../../scheduler/channel/select.ts';
import { suspend } from '../../scheduler/interop/suspend.ts';
import type { Coroutine } from '../../scheduler/kernel/coroutine.ts';
import { ClosedError, isCancelledError, limitStacks, TimeoutError } from '../../scheduler/kernel/errors.ts';
import { scope } from '../../scheduler/kernel/inner-scope.ts';
import type { Co, Operation } from '../../scheduler/kernel/operation.ts';
import type { Scope } from '../../scheduler/kernel/scope.ts';
import { Latch } from '../../scheduler/sync/countdown.ts';
import { sleep } from '../../scheduler/time/sleep.ts';
import type { Connection } from '../connection/connection.ts';
import type { Acceptor } from '../listen/acceptor.ts';
import { supervise, supervised, type Supervisor } from './supervise.ts';

/** A handler did not finish in time. It has no stack: there is none but this file's. */
export class CutOffError extends TimeoutError {
  /** @internal Milliseconds that it had. */
  declare readonly grace: number;

  constructor(grace: number, wait = 'running') {
    const limit = limitStacks(0);
    super(`cut off after ${grace} ms of grace, while ${wait}`);
    limitStacks(limit);
    Object.defineProperty(this, 'grace', { value: grace });
  }
}

/** What runs for each client. */
export type Handler = (conn: Connection, stopping: Latch) => Co<void> | Operation<void>;

export interface ServerSettings {
  readonly onError: (error: unknown, conn: Connection | undefined) => void;
  readonly grace: number;
  readonly maxConnections: number;
  readonly idleTimeout: number;
  readonly requestTimeout: number;
}

export class Server {
  readonly #acceptors: readonly Acceptor[];
  readonly #settings: ServerSettings;
  readonly #handle: (conn: Connection) => Co<void> | Operation<void>;
  /** Opens when the server has begun to end. */
  readonly #stopping = new Latch(1, { name: 'the end of the server' });
  /** Wakes the one who waits for room; null while nobody does. */
  #onRoom: (() => void) | null = null;

  constructor(acceptors: readonly Acceptor[], handler: Handler, settings: ServerSettings) {
    this.#acceptors = acceptors;
    this.#settings = settings;
    this.#handle = (conn) => handler(conn, this.#stopping);
  }

  /** Accepts nobody any more; `run` returns when those who are served have ended, or were cut off. */
  stop(): void {
    for (const acceptor of this.#acceptors) acceptor.close();
    this.#onRoom?.();
  }

  run(): Co<void> {
    return scope((clients) => this.#serve(clients));
  }

  *#serve(clients: Scope): Co<void> {
    const { onError, idleTimeout, requestTimeout } = this.#settings;
    const supervisor: Supervisor<Connection> = {
      nameOf: (conn) => `client ${conn.remoteAddress}`,
      onEnd: (coroutine, conn) => {
        // What was written is on its way; if it does not get there, somebody should hear of it.
        if (!release(conn, coroutine)) supervise(clients, () => conn.delivered(), conn, delivery);
        this.#onRoom?.();
      },
      onError,
    };
    const delivery: Supervisor<Connection> = {
      ...supervisor,
      onEnd: (coroutine, conn) => {
        if (wasCutOff(coroutine)) conn.reset();
        this.#onRoom?.();
      },
    };
    // The handler is the coroutine's body, with nothing around it: each generator around it would cost at each
    // resume. So its connection is closed from outside, once all that it has spawned has ended as well.
    for (let conn; (conn = yield* this.#accept(clients)) !== null;) {
      if (idleTimeout > 0) conn.idleTimeout = idleTimeout;
      if (requestTimeout > 0) conn.requestTimeout = requestTimeout;
      supervise(clients, this.#handle, conn, supervisor);
    }
    this.#stopping.countDown();
    clients.spawn(() => this.#cutOff(clients, supervisor, delivery), { name: 'grace', daemon: true });
  }

  /** The next client, once there is room for it; null when all acceptors are closed. */
  *#accept(clients: Scope): Co<Connection | null> {
    for (;;) {
      const open = this.#acceptors.filter((acceptor) => !acceptor.isClosed);
      if (open.length === 0) return null;
      if (clients.live >= this.#settings.maxConnections) {
        yield* suspend<void>((resume) => {
          this.#onRoom = resume;
          return () => (this.#onRoom = null);
        });
        this.#onRoom = null;
        continue;
      }
      try {
        if (open.length === 1) return yield* open[0]!.accept();
        const cases = open.map((acceptor, index) => [String(index), acceptor.accept()] as const);
        return (yield* select(Object.fromEntries(cases))).value;
      } catch (error) {
        const wasClosed = error instanceof ClosedError && open.some((acceptor) => acceptor.isClosed);
        if (!wasClosed) throw error;
      }
    }
  }

  *#cutOff(clients: Scope, supervisor: Supervisor<Connection>, delivery: Supervisor<Connection>): Co<void> {
    const { grace, onError } = this.#settings;
    yield* sleep(grace);
    for (const what of [supervisor, delivery]) {
      for (const [coroutine, conn] of supervised(clients, what)) {
        onError(new CutOffError(grace, coroutine.describe()), conn);
      }
    }
    clients.cancel();
  }
}

/** Closes the connection of a handler that has ended; false if somebody should wait until all is delivered. */
function release(conn: Connection, handler: Coroutine<unknown>): boolean {
  // One that was cut off has had its time: a peer that never ends must not hold the process up.
  if (wasCutOff(handler)) conn.reset();
  else conn.close();
  return handler.state !== 'done' || conn.hasDelivered;
}

function wasCutOff(coroutine: Coroutine<unknown>): boolean {
  return coroutine.state === 'cancelled' || isCancelledError(coroutine.firstError);
}
