// An attempt to connect, on the epoll reactor: to each of the addresses that a name stands for, one after the
// other, until one answers.

import type { ConnectOwner, Endpoint } from './contract.ts';
import { EpollSocket } from './epoll-socket.ts';
import type { EpollReactor } from './epoll.ts';
import { SAYS_CONNECTED } from './native.ts';
import { resolve } from './resolve.ts';
import { systemError } from './system-error.ts';

export class EpollAttempt {
  /** Which descriptor, and which of those that have borne its number; -1 while there is none. */
  slot = -1;
  generation = -1;
  readonly #reactor: EpollReactor;
  readonly #owner: ConnectOwner;
  /** Still to be tried. */
  #addresses: Endpoint[] = [];
  /** Being tried. */
  #to: Endpoint;
  #error: Error | null = null;
  /** How the attempt at this address has ended: an errno, or 0. */
  #result = 0;
  #isOver = false;

  constructor(reactor: EpollReactor, to: Endpoint, owner: ConnectOwner) {
    this.#reactor = reactor;
    this.#owner = owner;
    this.#to = to;
    reactor.addHold();
    resolve(to, (error, found) => {
      if (this.#isOver) return;
      this.#addresses = found;
      this.#error = error;
      this.#tryNext();
    });
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
    if (this.#result !== 0) {
      this.#error = systemError(this.#result, 'connect', this.#to);
      this.#closeSlot();
      this.#tryNext();
      return;
    }
    this.#finish();
    const { host, port, path } = this.#to;
    const { slot, generation } = this;
    const local = path === '' ? null : this.#to;
    const remote = { host, port, path };
    const place = { listener: null, slot, generation, local, remote, remotePort: port };
    this.#owner.onConnect(new EpollSocket(this.#reactor, place));
  }

  #tryNext(): void {
    const to = this.#addresses.shift();
    if (to === undefined) {
      this.#finish();
      this.#owner.onConnectError(this.#error!);
      return;
    }
    this.#to = to;
    const { native, sockets } = this.#reactor;
    const slot = to.path === '' ? native.connect(to.host, to.port) : native.connect(to.path, -1);
    if (slot < 0) {
      this.#error = systemError(-slot, 'connect', to);
      this.#tryNext();
      return;
    }
    this.slot = slot;
    this.generation = this.#reactor.generation;
    sockets[slot] = this;
    if (to.path === '') this.#reactor.setDefaults(slot, this.generation);
  }

  #finish(): void {
    this.#isOver = true;
    this.#reactor.removeHold();
  }

  #closeSlot(): void {
    if (this.slot < 0) return;
    this.#reactor.sockets[this.slot] = undefined;
    this.#reactor.native.close(this.slot, this.generation, 0);
    this.slot = -1;
  }
}
