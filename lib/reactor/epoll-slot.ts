// What belongs to a connection of the epoll reactor whichever way its bytes go: which descriptor it is, its
// addresses, what its owner is to be told, and its end.

import { type Endpoint, KEEP_ALIVE, type SocketOwner } from './contract.ts';
import type { EpollListener } from './epoll-listener.ts';
import type { EpollReactor } from './epoll.ts';
import { WANTED } from './native.ts';

// What a socket has been through.
export const ENDED = 1;
export const ENDING = 2;
export const SHUT = 4;
export const RESET = 8;
export const READS_LARGE = 16;
/** Its descriptor is not its own any more. It has ENDED, too. */
export const GONE = 32;
/** What the owner is to be told. */
export const TELL_READABLE = 64;
export const TELL_SENT = 128;
/** It stands among those who are told later. */
const TOLD_LATER = 256;
/** Its peer has vanished. One that comes back is not to take what it has got for all. */
export const EXPIRED = 512;

/** Which descriptor, whose, and between which addresses. */
export interface Place {
  readonly listener: EpollListener | null;
  readonly slot: number;
  readonly generation: number;
  /** Null if it is to be asked for. */
  readonly local: Endpoint | null;
  /** It may be the four bytes of an IPv4 address as a number. */
  readonly remote: Endpoint | number;
  readonly remotePort: number;
}

export abstract class EpollSlot {
  // Plain fields, since there may be twenty thousand of these, and each message touches most of them.
  declare owner: SocketOwner | null;
  /** @internal Which descriptor, and which of those that have borne its number. */
  declare readonly slot: number;
  /** @internal */ declare readonly generation: number;
  declare protected readonly reactor: EpollReactor;
  declare protected state: number;
  /** Milliseconds of silence before a dead peer is probed for; 0 for never. */
  declare keepAlive: number;
  declare private readonly listener: EpollListener | null;
  declare private local: Endpoint | null;
  declare private remote: Endpoint | number;
  declare private readonly remotePort: number;

  constructor(reactor: EpollReactor, { listener, slot, generation, local, remote, remotePort }: Place) {
    this.owner = null;
    this.slot = slot;
    this.generation = generation;
    this.reactor = reactor;
    this.state = 0;
    this.keepAlive = KEEP_ALIVE;
    this.listener = listener;
    this.local = local;
    this.remote = remote;
    this.remotePort = remotePort;
    reactor.open++;
  }

  get localAddress(): Endpoint {
    this.noteLocal();
    return this.local!;
  }
  set localAddress(endpoint: Endpoint) {
    this.local = endpoint;
  }

  get remoteAddress(): Endpoint {
    const { remote, remotePort } = this;
    if (typeof remote !== 'number') return remote;
    const host = `${remote >>> 24}.${(remote >>> 16) & 255}.${(remote >>> 8) & 255}.${remote & 255}`;
    return { host, port: remotePort, path: '' };
  }
  set remoteAddress(endpoint: Endpoint) {
    this.remote = endpoint;
  }

  setNoDelay(on: boolean): void {
    this.reactor.native.setNoDelay(this.slot, this.generation, on ? 1 : 0);
  }

  setKeepAlive(delay: number): void {
    this.keepAlive = delay;
    this.reactor.setKeepAlive(this.slot, this.generation, delay);
  }

  unwantRead(): void {
    this.state &= ~TELL_READABLE;
    this.stopWaiting();
  }

  /** Tells the owner what was recorded. */
  tell(): void {
    const { state } = this;
    this.state = state & ~(TELL_READABLE | TELL_SENT | TOLD_LATER);
    if ((state & TELL_SENT) !== 0) this.owner?.onSent();
    if ((state & TELL_READABLE) !== 0) this.owner?.onReadable();
  }

  protected tellLater(what: number): void {
    this.state |= what;
    if ((this.state & TOLD_LATER) !== 0) return;
    this.state |= TOLD_LATER;
    this.reactor.tellLater(this);
  }

  protected stopWaiting(): void {
    const { flags } = this.reactor;
    if ((this.state & GONE) !== 0 || (flags[this.slot]! & WANTED) === 0) return;
    flags[this.slot] = flags[this.slot]! & ~WANTED;
    this.reactor.removeHold();
  }

  /** What the addon has recorded; `tell` follows once the others have theirs. */
  abstract record(result: number, offset: number): void;

  /** All that was written has gone out, or never will. */
  protected abstract get hasWrittenAll(): boolean;

  /** Both directions have ended: nobody needs the descriptor. */
  protected leaveIfDone(): void {
    if ((this.state & ENDED) !== 0 && this.hasWrittenAll) this.leave((this.state & EXPIRED) === 0 ? 0 : 1);
  }

  /** Gives the descriptor up. */
  protected leave(isReset: 0 | 1): void {
    if ((this.state & GONE) !== 0) return;
    this.stopWaiting();
    this.noteLocal();
    this.reactor.native.close(this.slot, this.generation, isReset);
    this.forget();
    this.countClosed();
  }

  /** Where it was bound is asked for lazily, and could not be once its descriptor is gone. */
  protected noteLocal(): void {
    this.local ??= this.reactor.addressOf(this.slot, this.generation, 0);
  }

  /** Its descriptor is not its own any more. */
  protected forget(): void {
    this.state |= GONE;
    this.reactor.sockets[this.slot] = undefined;
  }

  /** Its descriptor is closed. */
  protected countClosed(): void {
    this.reactor.open--;
    this.listener?.released();
  }
}
