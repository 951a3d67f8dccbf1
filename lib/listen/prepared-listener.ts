// A listener whose connections have something to do before they are delivered: a TLS handshake, a header of a proxy.
// It decorates another listener, and may be decorated itself. Invariants: many are prepared at once, and none holds up
// another; a preparation has a deadline that nothing puts off; while nobody asks, none begins (N10); one that fails
// is reported with the peer's address, and disturbs nobody.
//
//   inner ── take, while somebody asks ──► #preparing ── done ──► #ready ──► take
//                                              └── failed, or too late ──► onPrepareError

import { TimeoutError } from '../../scheduler/kernel/errors.ts';
import { currentScheduler, type Scheduler } from '../../scheduler/kernel/scheduler.ts';
import type { Endpoint, Listener, ListenerOwner, Socket } from '../reactor/contract.ts';
import { expireAfter } from './deadline.ts';

/** The owner of a listener whose preparations may fail. */
export interface PreparedOwner extends ListenerOwner {
  /** `step` names what has failed: 'TLS'. The connection is gone, and the listener goes on. */
  onPrepareError(error: Error, peer: Endpoint, step: string): void;
}

/** What connections do first. */
export interface Preparation {
  /** In words, for errors: 'TLS'. */
  readonly step: string;
  /** Milliseconds that it may take in all. */
  readonly timeout: number;
  /**
   * Makes of the socket that was accepted the one that is delivered. Calls back once, later; with an error the
   * connection is gone. Gives a function that ends the preparation and the connection; after it nothing is called
   * back.
   */
  prepare(socket: Socket, onDone: (error: Error | null, prepared: Socket | null) => void): () => void;
}

export class PreparedListener implements Listener, PreparedOwner {
  readonly #inner: Listener;
  readonly #preparation: Preparation;
  readonly #owner: PreparedOwner;
  readonly #hold: () => () => void;
  readonly #scheduler: Scheduler;
  /** Ends each of the preparations that are under way. */
  readonly #preparing = new Set<() => void>();
  /** Prepared, and not taken. */
  readonly #ready: Socket[] = [];
  /** Lets the process end; null while nobody asks. */
  #release: (() => void) | null = null;
  #failed = 0;
  /** The owner is about to be told. */
  #isTelling = false;
  #isClosed = false;

  /**
   * `listen` makes the inner listener for an owner; `hold` keeps the process alive until what it gives is called. The
   * deadlines go by the clock of the scheduler.
   */
  constructor(
    listen: (owner: PreparedOwner) => Listener,
    preparation: Preparation,
    owner: PreparedOwner,
    hold: () => () => void,
    scheduler: Scheduler = currentScheduler(),
  ) {
    this.#preparation = preparation;
    this.#owner = owner;
    this.#hold = hold;
    this.#scheduler = scheduler;
    this.#inner = listen(this);
  }

  get address(): Endpoint {
    return this.#inner.address;
  }

  get dropped(): number {
    return this.#inner.dropped + this.#failed;
  }

  want(): void {
    if (this.#release !== null || this.#isClosed) return;
    this.#release = this.#hold();
    if (this.#ready.length > 0) this.#tell();
    else this.#prepareAll();
  }

  unwant(): void {
    if (this.#release === null) return;
    this.#release();
    this.#release = null;
    this.#inner.unwant();
  }

  take(): Socket | undefined {
    return this.#ready.shift();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.unwant();
    for (const abandon of this.#preparing) abandon();
    for (const socket of this.#ready.splice(0)) socket.reset();
    this.#inner.close();
  }

  onListening(): void {
    this.#owner.onListening();
  }

  onListenError(error: Error): void {
    this.#isClosed = true;
    this.unwant();
    this.#owner.onListenError(error);
  }

  onClosed(): void {
    this.close();
    this.#owner.onClosed();
  }

  onConnection(): void {
    if (this.#release !== null) this.#prepareAll();
  }

  onAcceptError(error: Error): void {
    this.#owner.onAcceptError(error);
  }

  onPrepareError(error: Error, peer: Endpoint, step: string): void {
    this.#owner.onPrepareError(error, peer, step);
  }

  #prepareAll(): void {
    for (let socket; (socket = this.#inner.take()) !== undefined;) this.#prepare(socket);
    this.#inner.want();
  }

  #prepare(socket: Socket): void {
    const { step, timeout } = this.#preparation;
    const peer = socket.remoteAddress;
    const leave = (): void => {
      cancelExpiry();
      this.#preparing.delete(abandon);
    };
    const abandon = (): void => {
      leave();
      end();
    };
    const fail = (error: Error): void => {
      this.#failed++;
      this.#owner.onPrepareError(error, peer, step);
    };
    const end = this.#preparation.prepare(socket, (error, prepared) => {
      leave();
      if (prepared === null) {
        fail(error!);
        return;
      }
      this.#ready.push(prepared);
      this.#tell();
    });
    const cancelExpiry = expireAfter(this.#scheduler, timeout, () => {
      abandon();
      fail(new TimeoutError(`not done after ${timeout} ms`));
    });
    this.#preparing.add(abandon);
  }

  /** Has the owner told, later: what is there may have been asked for, or taken, in this very turn. */
  #tell(): void {
    if (this.#release === null || this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      if (this.#release === null || this.#ready.length === 0) return;
      this.unwant();
      this.#owner.onConnection();
    });
  }
}
