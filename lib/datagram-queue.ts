// Datagrams that have come and that nobody has asked for yet. The queue is bounded, in number and in bytes, whatever
// the peers do: what does not fit is dropped, the newest, as the kernel does, and counted.

import { Ring } from '../scheduler/ring.ts';
import type { Address } from './address.ts';

/** Bytes for each datagram of the capacity; ordinary networks carry fewer in one. */
const ROOM = 4_096;

/** What has come in one piece. */
export interface Datagram {
  /** All of its bytes; there may be none. They are the receiver's own. */
  readonly data: Buffer;
  /** Who has sent it, in the form that `send` takes. */
  readonly from: Address;
}

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
