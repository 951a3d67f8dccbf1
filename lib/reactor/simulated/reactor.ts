// A network in memory: the reactor that tests pass in. It has no descriptor, no port of the system and no timer, and
// meets no fault. Invariant: nothing comes from outside, so whoever waits for what nobody will send waits for ever, and that
// keeps no process alive (R8): it is found to be a deadlock instead.

import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import type {
  BindOwner,
  Carrier,
  ConnectOwner,
  DatagramOptions,
  Endpoint,
  Host,
  Listener,
  ListenerOwner,
  ListenOptions,
  OnResolved,
  Reactor,
  Socket,
} from '../contract.ts';
import { StreamHost } from '../node/stream-host.ts';
import { StreamSocket } from '../node/stream-socket.ts';
import { resolve } from '../resolve.ts';
import { bindInMemory } from './datagrams.ts';
import { MemoryAttempt, MemoryListener } from './listener.ts';
import type { Machine } from './machine.ts';
import { MemoryStream } from './stream.ts';

export class MemoryReactor implements Reactor {
  readonly name = 'memory';
  host: Host | null = null;
  open = 0;
  readonly machine: Machine;
  /** For streams of Node's, such as those of TLS. */
  readonly #streams = new StreamHost(queued, () => 0);

  constructor(machine: Machine) {
    this.machine = machine;
  }

  attach(host: Host): void {
    this.machine.deliveries.hosts.add(host);
  }

  listen(endpoint: Endpoint, options: ListenOptions, owner: ListenerOwner): Listener {
    return new MemoryListener(this, endpoint, options, owner);
  }

  connect(endpoint: Endpoint, owner: ConnectOwner): () => void {
    const attempt = new MemoryAttempt(this, endpoint, owner);
    return () => attempt.end();
  }

  bind(endpoint: Endpoint, options: DatagramOptions, owner: BindOwner): () => void {
    return bindInMemory(this.machine, endpoint, options, owner);
  }

  resolve(endpoint: Endpoint, onResolved: OnResolved, lookup: LookupFunction = this.#lookup): void {
    resolve(endpoint, onResolved, lookup, () => ['::', '0.0.0.0']);
  }

  room(): number {
    return Infinity;
  }

  adopt(stream: Duplex, carrier: Carrier): Socket {
    return new StreamSocket(this.#streams, stream, carrier);
  }

  hold(): () => void {
    return () => {};
  }

  flush(): void {}

  readonly #lookup: LookupFunction = (name, _, callback) => {
    const addresses = this.machine.addressesOf(name) ?? [];
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
}

function queued(stream: Duplex): number | undefined {
  return stream instanceof MemoryStream ? stream.unacknowledged : undefined;
}
