// A listening socket of the epoll reactor: a connection is taken from the kernel when somebody takes it from
// here, and no sooner (N10). Those who come meanwhile wait in the kernel's queue; so do those who come while
// there are no descriptors, which is reported and tried again, more and more rarely.

import {
  BACKLOG,
  type Endpoint,
  type Listener,
  type ListenerOwner,
  type ListenOptions,
  type Socket,
} from '../contract.ts';
import { resolve } from '../resolve.ts';
import { SocketFile } from '../socket-file.ts';
import { systemError } from '../system-error.ts';
import { IPV6_ONLY, READABLE, REUSE_PORT, SAYS_READABLE, WANTED } from './addon.ts';
import { AGAIN, type Slots } from './slots.ts';
import { EpollSocket } from './socket.ts';

/** Milliseconds until a failed accept is tried again: the first time, and at most. */
const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 1_000;

export class EpollListener implements Listener {
  address: Endpoint;
  /** Nobody is refused here. */
  readonly dropped = 0;
  /** Which descriptor, and which of those that have borne its number; -1 while there is none. */
  slot = -1;
  generation = -1;
  readonly #slots: Slots;
  readonly #owner: ListenerOwner;
  readonly #maxConnections: number;
  /** Connections of this listener that are open. */
  #open = 0;
  /** The address of all its connections; null where each has another. */
  #local: Endpoint | null = null;
  /** What to remove in the end. */
  #file: SocketFile | null = null;
  #isWanted = false;
  /** The owner is about to be told. */
  #isTelling = false;
  #isClosed = false;
  /** Milliseconds; 0 while accepting goes well. */
  #pause = 0;
  #retry: NodeJS.Timeout | null = null;

  constructor(slots: Slots, to: Endpoint, options: ListenOptions, owner: ListenerOwner) {
    this.#slots = slots;
    this.#owner = owner;
    this.#maxConnections = options.maxConnections ?? Infinity;
    this.address = to;
    slots.addHold();
    resolve(to, (error, found) => {
      slots.removeHold();
      if (this.#isClosed) return;
      if (error !== null) this.#fail(error);
      else this.#bind(found[0]!, options);
    });
  }

  want(): void {
    if (this.#isWanted || this.#isClosed) return;
    this.#isWanted = true;
    this.#slots.addHold();
    this.#arm();
  }

  unwant(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.#slots.removeHold();
  }

  take(): Socket | undefined {
    const slots = this.#slots;
    if (!this.#canTake()) return undefined;
    const slot = slots.native.accept(this.slot, this.generation);
    if (slot >= 0) {
      this.#pause = 0;
      this.#open++;
      return this.#accepted(slot);
    }
    if (slot !== AGAIN) this.#rest(systemError(-slot, 'accept'));
    return undefined;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.unwant();
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.slot < 0) return;
    this.#file?.remove();
    this.#slots.owners[this.slot] = undefined;
    this.#slots.native.close(this.slot, this.generation, 0);
  }

  #accepted(slot: number): Socket {
    const slots = this.#slots;
    const { generation, leftPort: remotePort } = slots;
    const remote = slots.leftHost(this.address.path);
    const local = this.#local ?? slots.addressOf(slot, generation, 0);
    return new EpollSocket(slots, { listener: this, slot, generation, local, remote, remotePort });
  }

  /** One of its connections was closed. */
  released(): void {
    if (this.#open-- === this.#maxConnections && this.#isWanted) this.#arm();
  }

  record(result: number): void {
    if (result === SAYS_READABLE) this.#isTelling = true;
  }

  tell(): void {
    this.#isTelling = false;
    if (!this.#isWanted || this.#isClosed) return;
    this.unwant();
    this.#owner.onConnection();
  }

  #canTake(): boolean {
    if (this.#isClosed || this.slot < 0 || this.#open >= this.#maxConnections || this.#retry !== null)
      return false;
    return (this.#slots.flags[this.slot]! & READABLE) !== 0;
  }

  /** Has the owner told, later, when there may be a connection to take. */
  #arm(): void {
    if (this.slot < 0 || this.#isTelling || this.#open >= this.#maxConnections || this.#retry !== null)
      return;
    const { flags } = this.#slots;
    if ((flags[this.slot]! & READABLE) === 0) {
      flags[this.slot] = flags[this.slot]! | WANTED;
      return;
    }
    this.#isTelling = true;
    queueMicrotask(() => this.tell());
  }

  /** Reports what accepting has failed with, and lets some time pass. */
  #rest(error: Error): void {
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause === 0 ? FIRST_PAUSE : this.#pause * 2);
    this.#retry = setTimeout(() => {
      this.#retry = null;
      if (this.#isWanted) this.#arm();
    }, this.#pause);
    // Whoever wants a connection keeps the process alive, not the retry.
    this.#retry.unref();
    queueMicrotask(() => {
      if (!this.#isClosed) this.#owner.onAcceptError(error);
    });
  }

  #bind(to: Endpoint, options: ListenOptions): void {
    const slots = this.#slots;
    const { backlog = BACKLOG, ipv6Only = false, reusePort = false, unlinkOnClose = true } = options;
    const flags = (ipv6Only ? IPV6_ONLY : 0) | (reusePort ? REUSE_PORT : 0);
    const slot =
      to.path === ''
        ? slots.native.listen(to.host, to.port, backlog, flags)
        : slots.native.listen(to.path, -1, backlog, 0);
    if (slot < 0) {
      this.#fail(systemError(-slot, 'listen', to));
      return;
    }
    if (to.path !== '' && unlinkOnClose) this.#file = SocketFile.at(to.path);
    this.slot = slot;
    this.generation = slots.generation;
    this.address = slots.leftAddress(to.path);
    // Connections inherit these, which saves each of them five system calls.
    if (to.path === '') slots.setDefaults(slot, this.generation);
    const isWildcard = this.address.host === '0.0.0.0' || this.address.host === '::';
    if (!isWildcard) this.#local = this.address;
    slots.owners[slot] = this;
    if (this.#isWanted) this.#arm();
    this.#owner.onListening();
  }

  #fail(error: Error): void {
    this.#isClosed = true;
    this.unwant();
    this.#owner.onListenError(error);
  }
}
