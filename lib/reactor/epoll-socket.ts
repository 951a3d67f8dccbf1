// A connection of the epoll reactor: its writing side, on top of the reading side. Small writes are copied into
// the output that all connections share, which goes out once a turn; what the kernel does not take waits in
// `pending`.
//
//   write ──► anything pending? ── yes ─► pending ◄────────── the rest ──────────┐
//               │ no                         │ the kernel takes bytes again      │
//               ├── small ─► shared output ──┼─► flush, once a turn ─► all sent? ┴── yes ─► sent
//               └── large ───────────────────┴─► send at once ───────────┘

import { Buffer } from 'node:buffer';
import net from 'node:net';
import { constants } from 'node:os';
import type { Socket } from './contract.ts';
import type { Debtor } from './dead-peers.ts';
import { EpollReader } from './epoll-reader.ts';
import {
  ENDED,
  ENDING,
  EXPIRED,
  GONE,
  type Place,
  RESET,
  SHUT,
  TELL_READABLE,
  TELL_SENT,
} from './epoll-slot.ts';
import type { EpollReactor } from './epoll.ts';
import { SAYS_BLOCKED, SAYS_FAILED, SAYS_SENT, SAYS_WRITABLE, SENT_WANTED, WANTED } from './native.ts';
import { Pending } from './pending.ts';
import type { Contributor } from './shared-output.ts';
import { systemError } from './system-error.ts';

/** What `shutdown` says of a connection that the peer has reset, and what that is. */
const NOT_CONNECTED = -constants.errno.ENOTCONN;
const RESET_BY_PEER = constants.errno.ECONNRESET;
const TIMED_OUT = constants.errno.ETIMEDOUT;

/** Writes up to here are copied and go out with the others of their turn; larger ones go by themselves. */
const SMALL = 16_384;

export class EpollSocket extends EpollReader implements Socket, Contributor, Debtor {
  declare written: number;
  /** What the kernel did not take; null while it has taken all. */
  declare private pending: Pending | null;
  declare private pendingSize: number;
  /** Bytes of which it is known that the peer has them. */
  declare private acknowledged: number;
  // What it has in the shared output.
  declare gathered: number;
  declare flushes: number;
  declare firstEntry: number;
  declare lastEntry: number;

  constructor(reactor: EpollReactor, place: Place) {
    super(reactor, place);
    this.written = 0;
    this.pending = null;
    this.pendingSize = 0;
    this.acknowledged = 0;
    this.gathered = 0;
    this.flushes = -1;
    this.firstEntry = 0;
    this.lastEntry = 0;
    reactor.sockets[place.slot] = this;
    reactor.deadPeers.watch();
  }

  get sent(): number {
    return this.written - this.pendingSize - this.unflushed;
  }

  unacknowledged(): number {
    if ((this.state & GONE) !== 0) return 0;
    return this.written - this.sent + Math.max(0, this.reactor.native.queued(this.slot));
  }

  silence(): number {
    const mayOwe = this.acknowledged !== this.written || (this.state & SHUT) !== 0;
    if (!mayOwe || this.writeError !== undefined) return 0;
    const silence = this.reactor.native.silence(this.slot);
    if (silence < 0) this.acknowledged = this.sent;
    return Math.max(0, silence);
  }

  expire(): void {
    this.state |= EXPIRED;
    this.failWriting(systemError(TIMED_OUT, 'write'));
  }

  wantSent(): void {
    if ((this.state & RESET) !== 0) return;
    const { flags } = this.reactor;
    if ((this.state & GONE) === 0 && this.sent < this.written)
      flags[this.slot] = flags[this.slot]! | SENT_WANTED;
    else this.tellLater(TELL_SENT);
  }

  write(bytes: Uint8Array, isOwned: boolean): void {
    const size = bytes.byteLength;
    if (size <= SMALL) this.reactor.output.makeRoom(size);
    if (size === 0 || this.writeError !== undefined || (this.state & (SHUT | GONE)) !== 0) return;
    this.written += size;
    if (this.pending !== null) {
      this.pending.push(bytes, isOwned);
      this.pendingSize += size;
    } else if (size <= SMALL) {
      this.reactor.output.add(this, bytes, size);
    } else {
      this.sendLarge(bytes, isOwned, size);
    }
  }

  writeCopy(data: string | Uint8Array): number {
    this.reactor.output.makeRoom(SMALL);
    if (this.pending === null && (this.state & (SHUT | GONE)) === 0 && this.writeError === undefined) {
      if (typeof data === 'string') {
        // In UTF-8 a unit of the string takes three bytes at most.
        if (data.length * 3 <= SMALL) {
          const size = this.reactor.output.addText(this, data);
          this.written += size;
          return size;
        }
      } else {
        const size = data.byteLength;
        this.written += size;
        if (size > SMALL) this.sendLarge(data, false, size);
        else if (size > 0) this.reactor.output.add(this, data, size);
        // Only what the kernel did not take has to be copied.
        if (size > SMALL) this.keep();
        return size;
      }
    }
    const bytes = Buffer.from(data as string);
    this.write(bytes, true);
    return bytes.byteLength;
  }

  keep(): void {
    this.pending?.keep();
  }

  flush(): void {
    if (this.unflushed > 0) this.reactor.flushOutput();
  }

  end(): void {
    if ((this.state & (ENDING | GONE)) !== 0) return;
    this.state |= ENDING;
    this.flush();
    this.shutIfDone();
  }

  reset(): void {
    this.give(1);
  }

  release(): void {
    this.give(0);
  }

  detach(): net.Socket {
    this.flush();
    const { pending, chunk } = this;
    this.noteLocal();
    const fd = (this.state & GONE) === 0 ? this.reactor.native.detach(this.slot, this.generation) : -1;
    this.owner = null;
    if (fd < 0) {
      this.reset();
      return new net.Socket().destroy();
    }
    this.state |= RESET | ENDED;
    this.pending = null;
    this.chunk = null;
    if (pending !== null) this.reactor.removeHold();
    this.forget();
    const socket = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    socket.once('close', () => this.countClosed());
    this.reactor.descriptors.set(socket, fd);
    socket.pause();
    if (chunk !== null) socket.unshift(chunk);
    for (let bytes; (bytes = pending?.take()) !== undefined;) socket.write(bytes);
    return socket;
  }

  /** Gives everything up. */
  private give(isReset: 0 | 1): void {
    if ((this.state & RESET) !== 0) return;
    this.state |= RESET | ENDED;
    this.owner = null;
    this.chunk = null;
    this.dropOutput();
    this.leave(isReset);
  }

  protected override recordOutput(result: number, offset: number): void {
    if (result === SAYS_WRITABLE) {
      this.pump();
    } else if (result === SAYS_SENT) {
      this.state |= TELL_SENT;
    } else if (result === SAYS_BLOCKED) {
      this.takeBack(offset);
    } else if (result === SAYS_FAILED) {
      // None of it counts as sent, although a part may have been.
      this.written -= this.gathered;
      this.failWriting(systemError(offset, 'write'));
    }
  }

  protected override get hasWrittenAll(): boolean {
    return (this.state & SHUT) !== 0 || this.writeError !== undefined;
  }

  private get unflushed(): number {
    return this.reactor.output.waitingOf(this);
  }

  private sendLarge(bytes: Uint8Array, isOwned: boolean, size: number): void {
    const { reactor } = this;
    this.flush();
    if (this.writeError !== undefined) {
      this.written -= size;
      return;
    }
    let sent = 0;
    if (this.pending === null) {
      sent = reactor.native.send(this.slot, this.generation, bytes, 0, size);
      if (sent < 0) {
        // None of it counts as sent, although a part may have been.
        this.written -= size;
        this.failWriting(systemError(-sent, 'write'));
        return;
      }
      if (sent === size) {
        this.tellIfWanted();
        return;
      }
    }
    this.suspendOutput().push(sent === 0 ? bytes : bytes.subarray(sent, size), isOwned);
    this.pendingSize += size - sent;
  }

  /** The kernel took a part of what was gathered: the rest is copied out before anybody writes again. */
  private takeBack(sent: number): void {
    const rest = this.reactor.output.restOf(this, sent);
    this.suspendOutput().push(rest, true);
    this.pendingSize += rest.byteLength;
    if (sent > 0) this.tellIfWanted();
  }

  /** The output that waits for the kernel; it keeps the process alive. */
  private suspendOutput(): Pending {
    if (this.pending === null) {
      this.pending = new Pending();
      this.reactor.addHold();
    }
    return this.pending;
  }

  /** The kernel takes bytes again. */
  private pump(): void {
    const { pending, reactor } = this;
    if (pending === null) return;
    try {
      for (let bytes; (bytes = pending.peek()) !== undefined;) {
        const sent = reactor.native.send(this.slot, this.generation, bytes, 0, bytes.byteLength);
        if (sent < 0) throw systemError(-sent, 'write');
        this.state |= TELL_SENT;
        this.pendingSize -= sent;
        const isAll = sent === bytes.byteLength;
        if (sent > 0) pending.drop(sent);
        if (!isAll) return;
      }
    } catch (error) {
      this.failWriting(error as Error);
      return;
    }
    this.pending = null;
    reactor.removeHold();
    this.shutIfDone();
  }

  private tellIfWanted(): void {
    const { flags } = this.reactor;
    if ((this.state & GONE) !== 0 || (flags[this.slot]! & SENT_WANTED) === 0) return;
    flags[this.slot] = flags[this.slot]! & ~SENT_WANTED;
    this.tellLater(TELL_SENT);
  }

  protected override failWriting(error: Error): void {
    if (this.writeError !== undefined) return;
    this.writeError = error;
    this.dropOutput();
    // Who waits for input would wait for ever, if the peer waits for what could not be sent.
    const isRead = (this.state & GONE) === 0 && (this.reactor.flags[this.slot]! & WANTED) !== 0;
    this.stopWaiting();
    this.tellLater(isRead ? TELL_SENT | TELL_READABLE : TELL_SENT);
    this.leaveIfDone();
  }

  private dropOutput(): void {
    if (this.pending !== null) {
      this.pending = null;
      this.reactor.removeHold();
    }
    this.written = this.sent;
    this.pendingSize = 0;
    this.gathered = 0;
  }

  private shutIfDone(): void {
    if ((this.state & (ENDING | SHUT)) !== ENDING || this.pending !== null || this.writeError !== undefined)
      return;
    this.state |= SHUT;
    const result = this.reactor.native.shutdown(this.slot, this.generation);
    if (result < 0)
      this.failWriting(systemError(result === NOT_CONNECTED ? RESET_BY_PEER : -result, 'shutdown'));
    this.leaveIfDone();
  }
}
