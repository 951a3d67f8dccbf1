// UDP: a socket that sends and receives datagrams. They come whether or not somebody asks; what comes unasked is queued.
// Invariants: receivers wait only while nothing is queued; a datagram that was handed to a receiver who will not take
// it goes to the next one, or back to the front.
//
//   message ──► receiver waiting? ── yes ─► hand over, wake it
//                    │ no
//                    └─► queue, which may be full ──► drop it, and count

import type { LookupFunction } from 'node:net';
import { Ring } from '../../scheduler/channel/ring.ts';
import { kind, Leaf, type Operation } from '../../scheduler/kernel/operation.ts';
import { WaitQueue } from '../../scheduler/kernel/wait-queue.ts';
import { Address, type AddressLike } from '../common/address.ts';
import { checkData } from '../common/checks.ts';
import { ioError } from '../common/errors.ts';
import type { DatagramSocket, Endpoint } from '../reactor/contract.ts';
import { Outlet, sendDatagram, type UdpNetwork } from './send.ts';

/**
 * A UDP socket; `bindUdp` makes it. One on which nobody waits does not keep the process alive.
 *
 * UDP loses datagrams, doubles them and changes their order; what the kernel drops, nobody counts. What comes while
 * nobody receives is queued, as far as `capacity` goes.
 *
 * @example
 * ```ts
 * import { bindUdp, run } from 'skein';
 *
 * await run(function* () {
 *   const one = yield* bindUdp(0);
 *   const other = yield* bindUdp(0);
 *   yield* one.send('ping', other.address);
 *   const { data, from } = yield* other.receive();
 *   yield* other.send(`${data}, pong`, from);
 *   console.log(String((yield* one.receive()).data)); // ping, pong
 *   one.close();
 *   other.close();
 * });
 * ```
 */
export class UdpSocket {
  /** Where it is bound. */
  readonly address: Address;
  readonly #network: UdpNetwork;
  readonly #outlet: Outlet;
  readonly #queue: DatagramQueue;
  readonly #receivers = new WaitQueue<ReceiveOperation>();
  /** Lets the process end; null while nobody receives. */
  #release: (() => void) | null = null;
  /** What the socket has met since somebody was told; the first of it. */
  #error: Error | null = null;

  /** @internal It is bound already. */
  constructor(
    socket: DatagramSocket,
    network: UdpNetwork,
    capacity: number,
    lookup: LookupFunction | undefined,
  ) {
    this.#network = network;
    this.address = Address.of(socket.address);
    this.#outlet = new Outlet(socket, network, this.address, lookup);
    this.#queue = new DatagramQueue(capacity);
    socket.owner = this;
  }

  /** Datagrams that were dropped because the queue was full. */
  get dropped(): number {
    return this.#queue.dropped;
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#outlet.isClosed;
  }

  /**
   * The next datagram. Several may wait, first come, first served; cancelling loses none.
   *
   * @throws ClosedError after `close`; what the system has reported meanwhile, once, after what came before it: on
   * Windows, `ECONNRESET` says that a datagram which was sent has found nobody. The socket goes on
   */
  receive(): Operation<Datagram> {
    return new Leaf<Datagram, UdpSocket>(RECEIVE, this, undefined);
  }

  /**
   * Sends text (as UTF-8) or bytes as one datagram. Returns when the kernel has taken it; whether it arrives is not
   * known. The bytes are copied when it is performed. Of the addresses of a name the first is taken that the
   * socket's family reaches; from one that is bound to `[::]` that may be one of IPv4. Cancelling takes the datagram
   * back while its name is being looked up; later it goes out all the same.
   *
   * @throws TypeError for other data, a Unix socket or port 0; ClosedError when the socket is closed; the system's
   * error (`EMSGSIZE` for more than 65,507 bytes, `EACCES` for a broadcast without `broadcast`, `ENOTFOUND`, …) with
   * this coroutine's stack
   */
  send(data: string | Uint8Array, to: AddressLike | Address): Operation<void> {
    checkData(data);
    const address = udpAddress(to);
    if (address.port === 0) throw new TypeError('expected a port from 1 to 65535 to send to, got 0');
    return sendDatagram(this.#outlet, data, address);
  }

  /** Whoever waits gets a `ClosedError`; what is queued can no longer be received. May be called twice. */
  close(): void {
    if (this.isClosed) return;
    this.#outlet.close();
    for (let one = this.#receivers.shift(); one !== null; one = this.#receivers.shift()) one.notify();
    this.#restIfUnasked();
  }

  /** @internal The next datagram, or undefined: then `addReceiver`. */
  take(): Datagram | undefined {
    this.#outlet.checkOpen();
    const datagram = this.#queue.shift();
    const error = this.#error;
    if (datagram !== undefined || error === null) return datagram;
    this.#error = null;
    throw this.explain(error);
  }

  /** @internal */
  addReceiver(operation: ReceiveOperation): void {
    this.#receivers.push(operation);
    this.#release ??= this.#network.hold();
  }

  /** @internal */
  removeReceiver(operation: ReceiveOperation): void {
    this.#receivers.remove(operation);
    this.#restIfUnasked();
  }

  /** @internal One that was handed over and will not be taken. */
  giveBack(datagram: Datagram): void {
    if (this.#receivers.first === null) this.#queue.unshift(datagram);
    else this.#deliver(datagram);
  }

  /** @internal */
  explain(cause: Error): Error {
    return ioError(cause, `receiving on ${this.address}`, this.address);
  }

  /** @internal */
  onDatagram(data: Buffer, from: Endpoint): void {
    this.#deliver({ data, from: Address.of(from) });
  }

  #deliver(datagram: Datagram): void {
    const receiver = this.#receivers.shift();
    if (receiver === null) {
      this.#queue.push(datagram);
      return;
    }
    this.#restIfUnasked();
    receiver.fire(datagram);
  }

  /** @internal */
  onError(error: Error): void {
    const receiver = this.#receivers.shift();
    if (receiver === null) {
      this.#error ??= error;
      return;
    }
    this.#restIfUnasked();
    receiver.fail(error);
  }

  #restIfUnasked(): void {
    if (this.#receivers.first !== null) return;
    this.#release?.();
    this.#release = null;
  }
}

type ReceiveOperation = Leaf<Datagram, UdpSocket>;

const RECEIVE = kind<Datagram, UdpSocket>({
  poll(operation) {
    operation.value = operation.target.take();
    return operation.value !== undefined;
  },
  arm: (operation) => operation.target.addReceiver(operation),
  disarm: (operation) => operation.target.removeReceiver(operation),
  discard: ({ target }, datagram) => target.giveBack(datagram),
  raise: ({ target }, error) => target.explain(error as Error),
  describe: ({ target }) => `receiving datagrams on ${target.address}`,
});

/** An address that UDP has, which a path is not. */
export function udpAddress(address: AddressLike | Address): Address {
  const parsed = Address.parse(address);
  if (parsed.path === '') return parsed;
  throw new TypeError(`expected an address of UDP (a port, 'host:port' or { host, port }), got ${parsed}`);
}

/** Bytes for each datagram of the capacity; ordinary networks carry fewer in one. */
const ROOM = 4_096;

/** What has come in one piece. */
export interface Datagram {
  /** All of its bytes; there may be none. They are the receiver's own. */
  readonly data: Buffer;
  /** The sender, in the form that `send` takes. */
  readonly from: Address;
}

/**
 * Datagrams that have come and that nobody has asked for yet. The queue is bounded, in number and in bytes, whatever
 * the peers do: the newest, which does not fit, is dropped, as the kernel does, and counted.
 */
export class DatagramQueue {
  /** Datagrams that did not fit. */
  dropped = 0;
  readonly #capacity: number;
  readonly #datagrams = new Ring<Datagram>();
  #size = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** One always has room, however large it is. */
  push(datagram: Datagram): void {
    const { length } = this.#datagrams;
    const size = this.#size + datagram.data.byteLength;
    if (length > 0 && (length >= this.#capacity || size > this.#capacity * ROOM)) {
      this.dropped++;
      return;
    }
    this.#size = size;
    this.#datagrams.push(datagram);
  }

  /** Puts one back that was taken and not used. */
  unshift(datagram: Datagram): void {
    this.#size += datagram.data.byteLength;
    this.#datagrams.unshift(datagram);
  }

  shift(): Datagram | undefined {
    if (this.#datagrams.length === 0) return undefined;
    const datagram = this.#datagrams.shift();
    this.#size -= datagram.data.byteLength;
    return datagram;
  }
}
