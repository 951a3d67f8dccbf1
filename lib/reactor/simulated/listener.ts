// Somebody who listens in a network in memory, and attempts to connect. Invariants: a connection is taken when somebody
// takes it, and no sooner (N10); those who come meanwhile stand in the queue, and those who come when that is full wait for
// room there: nobody is refused.

import { constants } from 'node:os';
import {
  BACKLOG,
  type ConnectOwner,
  type Endpoint,
  type Listener,
  type ListenerOwner,
  type ListenOptions,
  type Socket,
} from '../contract.ts';
import { systemError } from '../system-error.ts';
import {
  type Attempt,
  dialled,
  type Listening,
  type Machine,
  plainHost,
  seenFrom,
  type Site,
  sourceFor,
} from './machine.ts';
import { MemorySocket, type Place } from './socket.ts';

const { ECONNREFUSED, ENOENT } = constants.errno;

export class MemoryListener implements Listener, Listening {
  address: Endpoint;
  /** Nobody is refused here. */
  readonly dropped = 0;
  readonly isShared: boolean;
  readonly ipv6Only: boolean;
  readonly #site: Site;
  readonly #owner: ListenerOwner;
  readonly #options: ListenOptions;
  /** Connected, and not taken. */
  readonly #queue: MemorySocket[] = [];
  /** Those who wait for room in the queue. */
  readonly #waiting = new Set<Attempt>();
  /** Connections of this listener that were taken and are open. */
  #open = 0;
  #isBound = false;
  #isWanted = false;
  #isTelling = false;
  #isClosed = false;

  constructor(site: Site, to: Endpoint, options: ListenOptions, owner: ListenerOwner) {
    this.#site = site;
    this.#owner = owner;
    this.#options = options;
    this.address = to;
    this.isShared = options.reusePort ?? false;
    this.ipv6Only = options.ipv6Only ?? false;
    site.resolve(to, (error, found) => {
      if (this.#isClosed) return;
      try {
        if (error !== null) throw error;
        this.#bind(found[0]!);
      } catch (failure) {
        this.#isClosed = true;
        owner.onListenError(failure as Error);
        return;
      }
      owner.onListening();
    });
  }

  want(): void {
    if (this.#isClosed) return;
    this.#isWanted = true;
    this.#tell();
  }

  unwant(): void {
    this.#isWanted = false;
  }

  take(): Socket | undefined {
    if (!this.#canTake) return undefined;
    const socket = this.#queue.shift()!;
    if (!socket.isGone) {
      this.#open++;
      this.#site.open++;
      socket.onGone = () => {
        this.#open--;
        this.#site.open--;
        this.#tell();
      };
    }
    // There is room for one who waits.
    for (const attempt of this.#waiting) {
      this.#waiting.delete(attempt);
      attempt.begin();
      break;
    }
    return socket;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#isBound) this.#listeners.delete(this, this.#options.unlinkOnClose === false);
    for (const socket of this.#queue.splice(0)) socket.reset();
    for (const attempt of this.#waiting) attempt.begin();
    this.#waiting.clear();
  }

  /** Somebody connects; false if there is no room, and `attempt` waits for it. */
  admit(socket: MemorySocket, attempt: Attempt): boolean {
    // As many as Linux has room for.
    if (this.#queue.length > Math.max(1, this.#options.backlog ?? BACKLOG)) {
      this.#waiting.add(attempt);
      return false;
    }
    this.#queue.push(socket);
    this.#tell();
    return true;
  }

  forget(attempt: Attempt): void {
    this.#waiting.delete(attempt);
  }

  get #listeners(): Machine['listeners'] {
    return this.#site.machine.listeners;
  }

  get #canTake(): boolean {
    return this.#queue.length > 0 && this.#open < (this.#options.maxConnections ?? Infinity);
  }

  #bind(to: Endpoint): void {
    const { machine } = this.#site;
    this.address = to.path !== '' || to.port !== 0 ? to : { ...to, port: machine.choosePort() };
    machine.listeners.add(this);
    this.#isBound = true;
  }

  #tell(): void {
    if (!this.#isWanted || this.#isTelling || !this.#canTake) return;
    this.#isTelling = true;
    this.#site.machine.deliveries.send(() => {
      this.#isTelling = false;
      if (!this.#isWanted || this.#isClosed || !this.#canTake) return;
      this.#isWanted = false;
      this.#owner.onConnection();
    });
  }
}

export class MemoryAttempt implements Attempt {
  readonly #site: Site;
  readonly #to: Endpoint;
  readonly #owner: ConnectOwner;
  #listener: Listening | undefined;
  #socket: MemorySocket | null = null;
  #isOver = false;

  constructor(site: Site, to: Endpoint, owner: ConnectOwner) {
    this.#site = site;
    this.#to = dialled({ host: to.host, port: to.port, path: to.path });
    this.#owner = owner;
    site.machine.deliveries.send(() => this.begin());
  }

  /** Looks for somebody who listens. */
  begin(): void {
    if (this.#isOver) return;
    const { machine } = this.#site;
    const to = this.#to;
    const plain = { ...to, host: plainHost(to.host) };
    const listener = machine.listeners.find(plain);
    this.#listener = listener;
    if (listener === undefined) {
      const isMissing = to.path !== '' && !machine.listeners.hasFile(to.path);
      this.#fail(systemError(isMissing ? ENOENT : ECONNREFUSED, 'connect', to));
      return;
    }
    const [near, far] = this.#makePair(listener, to, plain.host);
    if (!listener.admit(far, this)) return;
    this.#socket = near;
    this.#site.open++;
    near.onGone = () => this.#site.open--;
    machine.deliveries.send(() => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#owner.onConnect(near);
    });
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener?.forget(this);
    this.#socket?.reset();
  }

  #makePair(listener: Listening, to: Endpoint, host: string): [near: MemorySocket, far: MemorySocket] {
    const { machine } = this.#site;
    const { deliveries } = machine;
    const isPath = to.path !== '';
    const source = isPath ? to : { host: sourceFor(to.host), port: machine.choosePort(), path: '' };
    const nearPlace: Place = {
      localAddress: source,
      remoteAddress: to,
      deliveries,
    };
    const near = new MemorySocket(nearPlace);
    const hostOf = (seen: string): string => seenFrom(listener.address, seen);
    const farPlace: Place = {
      localAddress: isPath ? to : { ...to, host: hostOf(host) },
      remoteAddress: isPath ? to : { ...source, host: hostOf(plainHost(source.host)) },
      deliveries,
    };
    const far = new MemorySocket(farPlace);
    MemorySocket.connect(near, far);
    return [near, far];
  }

  #fail(error: Error): void {
    this.#isOver = true;
    this.#owner.onConnectError(error);
  }
}
