// The reactor over epoll, by the addon in native/: it makes listeners, attempts to connect, and sockets out of adopted
// streams. The memory that they share with the addon is in `Slots`. For what only Node can do it has a portable reactor
// beside it.

import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { attempt } from '../attempt.ts';
import { builtin } from '../builtin.ts';
import type {
  Carrier,
  ConnectOwner,
  Endpoint,
  Host,
  Listener,
  ListenerOwner,
  ListenOptions,
  Reactor,
  Socket,
} from '../contract.ts';
import { roomForSockets } from '../descriptors.ts';
import { bindDatagrams } from '../node/datagrams.ts';
import { NodeReactor } from '../node/reactor.ts';
import { type Debtor, queuedByTable, silenceByTable } from '../peers.ts';
import { resolve } from '../resolve.ts';
import type { Addon } from './addon.ts';
import { EpollAttempt } from './attempt.ts';
import { EpollListener } from './listener.ts';
import { Slots } from './slots.ts';
import { descriptors, EpollSocket } from './socket.ts';

export class EpollReactor implements Reactor {
  readonly name = 'epoll';
  readonly #slots: Slots;
  /** For Node's streams, and the listeners that the workers of a cluster share. */
  readonly #portable = new NodeReactor(
    (stream) => this.#queued(stream),
    (stream) => this.#silence(stream),
  );

  constructor(addon: Addon) {
    this.#slots = new Slots(addon, () => this.#debtors());
  }

  get host(): Host | null {
    return this.#slots.host;
  }
  set host(host: Host | null) {
    this.#slots.host = host;
    this.#portable.host = host;
  }

  get open(): number {
    return this.#slots.open;
  }

  listen(endpoint: Endpoint, options: ListenOptions, owner: ListenerOwner): Listener {
    // With `reusePort` the kernel shares the address among the workers, and node:net does not ask the primary either.
    if (options.reusePort !== true && builtin('node:cluster').isWorker)
      return this.#portable.listen(endpoint, options, owner);
    return new EpollListener(this.#slots, endpoint, options, owner);
  }

  connect(endpoint: Endpoint, owner: ConnectOwner): () => void {
    return attempt(this.#connect, endpoint, owner);
  }

  readonly #connect = (to: Endpoint, owner: ConnectOwner): (() => void) => {
    const connecting = new EpollAttempt(this.#slots, to, owner);
    return () => connecting.end();
  };

  readonly bind = bindDatagrams;

  resolve(...[to, onResolved, lookup]: Parameters<Reactor['resolve']>): void {
    resolve(to, onResolved, lookup);
  }

  room(): number {
    return roomForSockets();
  }

  adopt(stream: Duplex, carrier: Carrier): Socket {
    return this.#portable.adopt(stream, carrier);
  }

  hold(): () => void {
    this.#slots.addHold();
    return () => this.#slots.removeHold();
  }

  flush(): void {
    this.#slots.flush();
    this.#portable.flush();
  }

  *#debtors(): Generator<Debtor> {
    for (const owner of this.#slots.owners) if (owner instanceof EpollSocket) yield owner;
  }

  #silence(stream: net.Socket): number {
    const descriptor = descriptors.get(stream);
    if (descriptor === undefined) return silenceByTable(stream);
    return stream.destroyed ? 0 : this.#slots.native.silence(descriptor);
  }

  #queued(stream: Duplex): number | undefined {
    const descriptor = descriptors.get(stream);
    if (descriptor === undefined) return queuedByTable(stream);
    return stream.destroyed ? 0 : Math.max(0, this.#slots.native.queued(descriptor));
  }
}
