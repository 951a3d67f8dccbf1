// An attempt to connect, on the epoll reactor: to one address. How it ends is reported later (R1), even if it fails at
// once.

import type { ConnectOwner, Endpoint } from '../contract.ts';
import { systemError } from '../system-error.ts';
import { SAYS_CONNECTED } from './addon.ts';
import type { Slots } from './slots.ts';
import { EpollSocket } from './socket.ts';

export class EpollAttempt {
  /** Which descriptor, and which of those that have borne its number; -1 while there is none. */
  slot = -1;
  generation = -1;
  readonly #slots: Slots;
  readonly #owner: ConnectOwner;
  readonly #to: Endpoint;
  /** How it has ended: an errno, or 0. */
  #result = 0;
  #isOver = false;

  constructor(slots: Slots, to: Endpoint, owner: ConnectOwner) {
    this.#slots = slots;
    this.#owner = owner;
    this.#to = { host: to.host, port: to.port, path: to.path };
    slots.addHold();
    const { native, owners } = slots;
    const slot = to.path === '' ? native.connect(to.host, to.port) : native.connect(to.path, -1);
    if (slot < 0) {
      this.#result = -slot;
      queueMicrotask(() => this.tell());
      return;
    }
    this.slot = slot;
    this.generation = slots.generation;
    owners[slot] = this;
    if (to.path === '') slots.setDefaults(slot, this.generation);
  }

  /** Ends it; after this nobody is told. */
  end(): void {
    if (this.#isOver) return;
    this.#finish();
    this.#closeSlot();
  }

  record(result: number, offset: number): void {
    if (result === SAYS_CONNECTED) this.#result = offset;
  }

  tell(): void {
    if (this.#isOver) return;
    this.#finish();
    const to = this.#to;
    if (this.#result !== 0) {
      this.#closeSlot();
      this.#owner.onConnectError(systemError(this.#result, 'connect', to));
      return;
    }
    const { slot, generation } = this;
    const [local, remote] = to.path === '' ? this.#ends() : [to, to];
    const place = { listener: null, slot, generation, local, remote, remotePort: remote.port };
    this.#owner.onConnect(new EpollSocket(this.#slots, place));
  }

  /** As the system names them: whoever dials `0.0.0.0` is connected to another address. */
  #ends(): [local: Endpoint, remote: Endpoint] {
    const { slot, generation } = this;
    const local = this.#slots.addressOf(slot, generation, 0);
    const remote = this.#slots.addressOf(slot, generation, 1);
    // A peer that has reset it already is none any more.
    return [local, remote.host === '' ? this.#to : remote];
  }

  #finish(): void {
    this.#isOver = true;
    this.#slots.removeHold();
  }

  #closeSlot(): void {
    if (this.slot < 0) return;
    this.#slots.owners[this.slot] = undefined;
    this.#slots.native.close(this.slot, this.generation, 0);
    this.slot = -1;
  }
}
