// The sending side of a UDP socket. Invariants: a datagram is copied before anything is waited for, so its bytes are
// the caller's again at once (N3); until its name is resolved it can be taken back, and is, when the one who waits is
// cancelled or the socket is closed; after that it goes out (N8).

import { isIPv4, isIPv6, type LookupFunction } from 'node:net';
import { ClosedError } from '../../scheduler/kernel/errors.ts';
import { kind, Leaf, type Operation } from '../../scheduler/kernel/operation.ts';
import type { Address } from '../common/address.ts';
import { ioError } from '../common/errors.ts';
import type { DatagramSocket, Endpoint, Reactor } from '../reactor/contract.ts';

/** What datagrams need of the network that they are sent on. */
export type UdpNetwork = Pick<Reactor, 'hold' | 'resolve'>;

/** Hears that the kernel has taken a datagram, or why not. */
type OnTaken = (error: Error | null) => void;

export class Outlet {
  readonly #socket: DatagramSocket;
  readonly #network: UdpNetwork;
  /** Where the socket is bound. */
  readonly #address: Address;
  readonly #lookup: LookupFunction | undefined;
  /** Ends those whose names are being looked up. */
  readonly #lookups = new Set<() => void>();
  #isClosed = false;

  constructor(
    socket: DatagramSocket,
    network: UdpNetwork,
    address: Address,
    lookup: LookupFunction | undefined,
  ) {
    this.#socket = socket;
    this.#network = network;
    this.#address = address;
    this.#lookup = lookup;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Those that are left are told by the socket. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#lookups) end();
    this.#socket.close();
  }

  /** @throws ClosedError after `close` */
  checkOpen(): void {
    if (this.#isClosed) throw new ClosedError(`the UDP socket at ${this.#address} was closed`);
  }

  /** Gives a function that takes the datagram back, if that can be; after it nobody is told. */
  transmit(bytes: Buffer, to: Address, onTaken: OnTaken): () => void {
    const release = this.#network.hold();
    let isOver = false;
    const finish = (): boolean => {
      if (isOver) return false;
      isOver = true;
      this.#lookups.delete(end);
      release();
      return true;
    };
    const settle = (error: Error | null): void => {
      if (finish()) onTaken(error);
    };
    const end = (): void => settle(new Error('the socket was closed'));
    this.#lookups.add(end);
    const onResolved = (error: Error | null, found: Endpoint[]): void => {
      if (isOver) return;
      this.#lookups.delete(end);
      if (error === null) this.#handOver(bytes, found, settle);
      else settle(error);
    };
    this.#network.resolve(to, onResolved, this.#lookup);
    return finish;
  }

  #handOver(bytes: Buffer, found: readonly Endpoint[], settle: OnTaken): void {
    const reachable = this.#reachable(found);
    if (reachable !== undefined) {
      this.#socket.send(bytes, reachable, settle);
      return;
    }
    const [{ host, port }] = found as [Endpoint];
    const error = new Error(`send EAFNOSUPPORT ${host}: the socket is bound to ${this.#address}`);
    settle(Object.assign(error, { code: 'EAFNOSUPPORT', syscall: 'send', address: host, port }));
  }

  /** The first address that is of the socket's family, or can be written in it (RFC 4291, section 2.5.5.2). */
  #reachable(found: readonly Endpoint[]): Endpoint | undefined {
    if (isIPv4(this.#address.host)) return found.find(({ host }) => isIPv4(host));
    const own = found.find(({ host }) => isIPv6(host));
    return own ?? found.map((endpoint) => ({ ...endpoint, host: `::ffff:${endpoint.host}` }))[0];
  }
}

/** What is sent where; while it is being sent, what takes it back. */
class Sending {
  declare readonly data: string | Uint8Array;
  declare readonly to: Address;
  declare end: (() => void) | null;

  constructor(data: string | Uint8Array, to: Address) {
    this.data = data;
    this.to = to;
    this.end = null;
  }
}

export function sendDatagram(outlet: Outlet, data: string | Uint8Array, to: Address): Operation<void> {
  return new Leaf<void, Outlet, Sending>(SEND, outlet, new Sending(data, to));
}

const SEND = kind<void, Outlet, Sending>({
  startsWork: true,
  arm(operation) {
    const { target: outlet, item } = operation;
    outlet.checkOpen();
    // Each branch copies.
    const bytes = typeof item.data === 'string' ? Buffer.from(item.data) : Buffer.from(item.data);
    item.end = outlet.transmit(bytes, item.to, (error) => {
      item.end = null;
      if (error === null) operation.fire();
      else operation.fail(error);
    });
  },
  disarm({ item }) {
    item.end?.();
    item.end = null;
  },
  raise({ target: outlet, item }, error) {
    outlet.checkOpen();
    return ioError(error as Error, `sending a datagram to ${item.to}`, item.to);
  },
  describe: ({ item }) => `sending a datagram to ${item.to}`,
});
