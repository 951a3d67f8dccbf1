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
import { dialled, type Machine, plainHost, seenFrom, sourceFor } from './machine.ts';
import type { MemoryReactor } from './reactor.ts';
import { MemorySocket, type Place } from './socket.ts';

const { ECONNREFUSED, ENOENT } = constants.errno;

export class MemoryListener implements Listener {
  address: Endpoint;
  /** Nobody is refused here. */
  readonly dropped = 0;
  readonly isShared: boolean;
  readonly ipv6Only: boolean;
  readonly #reactor: MemoryReactor;
  readonly #owner: ListenerOwner;
  readonly #options: ListenOptions;
  /** Connected, and not taken. */
  readonly #queue: MemorySocket[] = [];
  /** Those who wait for room in the queue. */
  readonly #waiting = new Set<MemoryAttempt>();
  /** Connections of this listener that were taken and are open. */
  #open = 0;
  #isBound = false;
  #isWanted = false;
  #isTelling = false;
  #isClosed = false;

  constructor(reactor: MemoryReactor, to: Endpoint, options: ListenOptions, owner: ListenerOwner) {
    this.#reactor = reactor;
    this.#owner = owner;
    this.#options = options;
    this.address = to;
    this.isShared = options.reusePort ?? false;
    this.ipv6Only = options.ipv6Only ?? false;
    reactor.resolve(to, (error, found) => {
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
      this.#reactor.open++;
      socket.onGone = () => {
        this.#open--;
        this.#reactor.open--;
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
  admit(socket: MemorySocket, attempt: MemoryAttempt): boolean {
    // As many as Linux has room for.
    if (this.#queue.length > Math.max(1, this.#options.backlog ?? BACKLOG)) {
      this.#waiting.add(attempt);
      return false;
    }
    this.#queue.push(socket);
    this.#tell();
    return true;
  }

  forget(attempt: MemoryAttempt): void {
    this.#waiting.delete(attempt);
  }

  get #listeners(): Machine['listeners'] {
    return this.#reactor.machine.listeners;
  }

  get #canTake(): boolean {
    return this.#queue.length > 0 && this.#open < (this.#options.maxConnections ?? Infinity);
  }

  #bind(to: Endpoint): void {
    const { machine } = this.#reactor;
    this.address = to.path !== '' || to.port !== 0 ? to : { ...to, port: machine.choosePort() };
    machine.listeners.add(this);
    this.#isBound = true;
  }

  #tell(): void {
    if (!this.#isWanted || this.#isTelling || !this.#canTake) return;
    this.#isTelling = true;
    this.#reactor.machine.deliveries.send(() => {
      this.#isTelling = false;
      if (!this.#isWanted || this.#isClosed || !this.#canTake) return;
      this.#isWanted = false;
      this.#owner.onConnection();
    });
  }
}

export class MemoryAttempt {
  readonly #reactor: MemoryReactor;
  readonly #to: Endpoint;
  readonly #owner: ConnectOwner;
  #listener: MemoryListener | undefined;
  #socket: MemorySocket | null = null;
  #isOver = false;

  constructor(reactor: MemoryReactor, to: Endpoint, owner: ConnectOwner) {
    this.#reactor = reactor;
    this.#to = dialled({ host: to.host, port: to.port, path: to.path });
    this.#owner = owner;
    reactor.machine.deliveries.send(() => this.begin());
  }

  /** Looks for somebody who listens. */
  begin(): void {
    if (this.#isOver) return;
    const { machine } = this.#reactor;
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
    this.#reactor.open++;
    near.onGone = () => this.#reactor.open--;
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

  #makePair(listener: MemoryListener, to: Endpoint, host: string): [near: MemorySocket, far: MemorySocket] {
    const { machine } = this.#reactor;
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
