// Datagrams in a network in memory: none is lost, doubled or overtaken. One to an address where nobody is bound is dropped,
// as with UDP.

import { constants } from 'node:os';
import type { BindOwner, DatagramOptions, DatagramOwner, DatagramSocket, Endpoint } from '../contract.ts';
import { systemError } from '../system-error.ts';
import { dialled, type Machine, plainHost, type Receiving, seenFrom, sourceFor } from './machine.ts';

/** Bytes of the longest datagram of UDP over IPv4. */
const LONGEST = 65_507;

const { EACCES, EMSGSIZE } = constants.errno;

/** `bind` as R17 has it. */
export function bindInMemory(
  machine: Machine,
  to: Endpoint,
  options: DatagramOptions,
  owner: BindOwner,
): () => void {
  let isOver = false;
  machine.deliveries.send(() => {
    if (isOver) return;
    isOver = true;
    let socket: MemoryDatagrams;
    try {
      socket = new MemoryDatagrams(machine, to, options);
    } catch (error) {
      owner.onBindError(error as Error);
      return;
    }
    owner.onBound(socket);
  });
  return () => {
    isOver = true;
  };
}

export class MemoryDatagrams implements DatagramSocket, Receiving {
  owner: DatagramOwner | null = null;
  readonly address: Endpoint;
  readonly isShared: boolean;
  readonly ipv6Only: boolean;
  readonly #machine: Machine;
  readonly #mayBroadcast: boolean;
  #isClosed = false;

  /** @throws EADDRINUSE */
  constructor(machine: Machine, to: Endpoint, options: DatagramOptions) {
    this.#machine = machine;
    this.address = to.port === 0 ? { ...to, port: machine.choosePort() } : to;
    this.isShared = options.reuseAddr ?? false;
    this.ipv6Only = options.ipv6Only ?? false;
    this.#mayBroadcast = options.broadcast ?? false;
    machine.datagrams.add(this);
  }

  send(bytes: Buffer, to: Endpoint, onTaken: (error: Error | null) => void): void {
    const host = plainHost(dialled(to).host);
    const isBroadcast = host === '255.255.255.255';
    let error: Error | null = null;
    if (bytes.byteLength > LONGEST) error = systemError(EMSGSIZE, 'send', to);
    else if (isBroadcast && !this.#mayBroadcast) error = systemError(EACCES, 'send', to);
    const { datagrams, deliveries } = this.#machine;
    if (error === null) {
      const isAnywhere = this.address.host === '0.0.0.0' || this.address.host === '::';
      const from = isAnywhere ? sourceFor(host) : plainHost(this.address.host);
      deliveries.send(() => {
        const one = datagrams.find({ ...to, host });
        for (const other of isBroadcast ? datagrams.all(to.port) : one === undefined ? [] : [one]) {
          other.arrive(Buffer.from(bytes), from, this.address.port);
        }
      });
    }
    deliveries.send(() => onTaken(error));
  }

  close(): void {
    this.#isClosed = true;
    this.#machine.datagrams.delete(this);
  }

  arrive(data: Buffer, host: string, port: number): void {
    if (!this.#isClosed) this.owner?.onDatagram(data, { host: seenFrom(this.address, host), port, path: '' });
  }
}
