// A connection of the epoll slots. The addon reads for those who wait, and says so in a record; whoever comes while there
// is something reads on the spot. At most one chunk is kept (N1). Small writes are copied into the output that all
// connections share, which goes out once a turn; what the kernel does not take waits in `pending`.
// Invariant: `position` is all that was ever written, `waiting` what of it the kernel does not have, and what was lost stays
// in both.
//
//   write ──► anything pending? ── yes ─► pending ◄────────── the rest ──────────┐
//               │ no                         │ the kernel takes bytes again      │
//               ├── small ─► shared output ──┼─► flush, once a turn ─► all sent? ┴── yes ─► sent
//               └── large ───────────────────┴─► send at once ───────────┘

import net from 'node:net';
import type { Duplex } from 'node:stream';
import { Buffer } from 'node:buffer';
import { constants } from 'node:os';
import { type Endpoint, KEEP_ALIVE, type Socket, type SocketOwner } from '../contract.ts';
import type { Debtor } from '../peers.ts';
import { Pending } from '../pending.ts';
import { systemError } from '../system-error.ts';
import {
  FLUSHES,
  HOLDS,
  LARGE,
  READABLE,
  SAYS_BLOCKED,
  SAYS_FAILED,
  SAYS_READABLE,
  SAYS_SENT,
  SAYS_WRITABLE,
  SENT_WANTED,
  WANTED,
} from './addon.ts';
import type { Contributor } from './shared-output.ts';
import { AGAIN, type SlotOwner, type Slots } from './slots.ts';

// What a socket has been through.
const ENDED = 1;
const ENDING = 2;
const SHUT = 4;
const RESET = 8;
const READS_LARGE = 16;
/** Its descriptor is not its own any more. It has ENDED, too. */
const GONE = 32;
/** What the owner is to be told. */
const TELL_READABLE = 64;
const TELL_SENT = 128;
/** It stands among those who are told later. */
const TOLD_LATER = 256;
/** Its peer has vanished. One that comes back is not to take what it has got for all. */
const EXPIRED = 512;

/** When a read has brought so much, the next one goes straight into a buffer of this size of its own. */
const LARGE_READ = 16_384;
const LARGE_BUFFER = 65_536;

/** What `shutdown` says of a connection that the peer has reset, and what that is. */
const NOT_CONNECTED = -constants.errno.ENOTCONN;
const RESET_BY_PEER = constants.errno.ECONNRESET;
const TIMED_OUT = constants.errno.ETIMEDOUT;

/** Writes up to here are copied and go out with the others of their turn; larger ones go by themselves. */
const SMALL = 16_384;

/** Of those that were detached, for as long as Node has not closed them. */
export const descriptors = new WeakMap<Duplex, number>();

/** Which descriptor, whose, and between which addresses. */
export interface Place {
  /** What it counts for. */
  readonly listener: { released(): void } | null;
  readonly slot: number;
  readonly generation: number;
  /** Null if it is to be asked for. */
  readonly local: Endpoint | null;
  /** It may be the four bytes of an IPv4 address as a number. */
  readonly remote: Endpoint | number;
  readonly remotePort: number;
}

export class EpollSocket implements Socket, SlotOwner, Contributor, Debtor {
  // Plain fields, since there may be twenty thousand of these, and each message touches most of the first ones.
  declare private readonly slots: Slots;
  /** @internal Which descriptor, and which of those that have borne its number. */
  declare readonly slot: number;
  /** @internal */ declare readonly generation: number;
  declare private state: number;
  declare owner: SocketOwner | null;
  /** What came and was not taken. */
  declare private chunk: Buffer | null;
  declare writeError: Error | undefined;
  declare position: number;
  /** What the kernel did not take; null while it has taken all. */
  declare private pending: Pending | null;
  /** The bytes in it, or those that were lost. */
  declare private pendingSize: number;
  // What it has in the shared output.
  declare gathered: number;
  declare flushes: number;
  declare firstEntry: number;
  declare lastEntry: number;
  declare private readError: Error | null;
  /** Bytes of which it is known that the peer has them. */
  declare private acknowledged: number;
  /** Milliseconds of silence before a dead peer is probed for; 0 for never. */
  declare keepAlive: number;
  declare private readonly listener: { released(): void } | null;
  declare private local: Endpoint | null;
  declare private remote: Endpoint | number;
  declare private readonly remotePort: number;

  constructor(slots: Slots, { listener, slot, generation, local, remote, remotePort }: Place) {
    this.slots = slots;
    this.slot = slot;
    this.generation = generation;
    this.state = 0;
    this.owner = null;
    this.chunk = null;
    this.writeError = undefined;
    this.position = 0;
    this.pending = null;
    this.pendingSize = 0;
    this.gathered = 0;
    this.flushes = -1;
    this.firstEntry = 0;
    this.lastEntry = 0;
    this.readError = null;
    this.acknowledged = 0;
    this.keepAlive = KEEP_ALIVE;
    this.listener = listener;
    this.local = local;
    this.remote = remote;
    this.remotePort = remotePort;
    slots.open++;
    slots.owners[slot] = this;
    slots.deadPeers.watch();
  }

  // What comes.

  get isReadable(): boolean {
    if (this.hasNews) return true;
    if ((this.state & GONE) !== 0 || !this.mayReceive) return false;
    this.receive();
    return this.hasNews;
  }

  get isDirect(): boolean {
    return true;
  }

  read(): Buffer | null | undefined {
    const { chunk } = this;
    if (chunk !== null) {
      this.chunk = null;
      return chunk;
    }
    if ((this.state & ENDED) !== 0) return this.atEnd();
    if (!this.mayReceive) return undefined;
    this.receive();
    return this.hasNews ? this.read() : undefined;
  }

  readOrWant(): Buffer | null | undefined {
    const data = this.read();
    if (data === undefined) this.wantRead();
    return data;
  }

  readInto(buffer: Uint8Array): number | undefined {
    const { chunk } = this;
    if (chunk !== null) {
      const size = Math.min(chunk.byteLength, buffer.byteLength);
      buffer.set(size === chunk.byteLength ? chunk : chunk.subarray(0, size));
      this.chunk = size === chunk.byteLength ? null : chunk.subarray(size);
      return size;
    }
    if ((this.state & ENDED) === 0) {
      if (!this.mayReceive) return undefined;
      const size = this.slots.native.read(this.slot, this.generation, buffer, 0, buffer.byteLength);
      if (this.noteRead(size)) return size;
      if (!this.hasNews) return undefined;
    }
    this.atEnd();
    return 0;
  }

  wantRead(intoOwnBuffer = false): void {
    if (this.hasNews) {
      if ((this.state & RESET) === 0) this.tellLater(TELL_READABLE);
      return;
    }
    const { flags } = this.slots;
    const is = flags[this.slot]!;
    if ((is & WANTED) !== 0) return;
    if (this.mayReceive) {
      // Perhaps: whoever is told looks, and asks again if there is nothing.
      this.tellLater(TELL_READABLE);
      return;
    }
    const isLarge = intoOwnBuffer || (this.state & READS_LARGE) !== 0;
    flags[this.slot] = isLarge ? is | WANTED | LARGE : (is & ~LARGE) | WANTED;
    this.slots.addHold();
  }

  unwantRead(): void {
    this.state &= ~TELL_READABLE;
    this.stopWaiting();
  }

  // What goes.

  get sent(): number {
    return this.position - this.waiting;
  }

  get waiting(): number {
    return this.pendingSize + this.unflushed;
  }

  get written(): number {
    return this.mayWrite ? this.position : this.sent;
  }

  unacknowledged(): number {
    if ((this.state & GONE) !== 0) return 0;
    return this.written - this.sent + Math.max(0, this.slots.native.queued(this.slot));
  }

  silence(): number {
    const mayOwe = this.acknowledged !== this.position || (this.state & SHUT) !== 0;
    if (!mayOwe || this.writeError !== undefined) return 0;
    const silence = this.slots.native.silence(this.slot);
    if (silence < 0) this.acknowledged = this.sent;
    return Math.max(0, silence);
  }

  expire(): void {
    this.state |= EXPIRED;
    this.failWriting(systemError(TIMED_OUT, 'write'));
  }

  wantSent(): void {
    if ((this.state & RESET) !== 0) return;
    const { flags } = this.slots;
    if ((this.state & GONE) === 0 && this.writeError === undefined && this.waiting > 0)
      flags[this.slot] = flags[this.slot]! | SENT_WANTED;
    else this.tellLater(TELL_SENT);
  }

  write(bytes: Uint8Array, isOwned: boolean): void {
    const size = bytes.byteLength;
    if (size === 0) return;
    if (size <= SMALL) this.slots.output.makeRoom(size);
    this.position += size;
    if (!this.mayWrite) {
      this.pendingSize += size;
    } else if (this.pending !== null) {
      this.pending.push(bytes, isOwned);
      this.pendingSize += size;
    } else if (size <= SMALL) {
      this.slots.output.add(this, bytes, size);
    } else {
      this.sendLarge(bytes, isOwned, size);
    }
  }

  writeCopy(data: string | Uint8Array): number {
    const { output } = this.slots;
    output.makeRoom(SMALL);
    if (this.pending === null && this.mayWrite) {
      if (typeof data !== 'string') {
        const size = data.byteLength;
        this.position += size;
        if (size > SMALL) {
          this.sendLarge(data, false, size);
          // Only what the kernel did not take has to be copied.
          this.keep();
        } else if (size > 0) {
          output.add(this, data, size);
        }
        return size;
      }
      // In UTF-8 a unit of the string takes three bytes at most.
      if (data.length * 3 <= SMALL) {
        const size = output.addText(this, data);
        this.position += size;
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
    if (this.unflushed > 0) this.slots.flush();
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
    const fd = (this.state & GONE) === 0 ? this.slots.native.detach(this.slot, this.generation) : -1;
    this.owner = null;
    if (fd < 0) {
      this.reset();
      return new net.Socket().destroy();
    }
    this.state |= RESET | ENDED;
    this.pending = null;
    this.chunk = null;
    if (pending !== null) this.slots.removeHold();
    this.forget();
    const socket = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    socket.once('close', () => this.countClosed());
    descriptors.set(socket, fd);
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

  // What the addon says.

  /** It has been recorded; `tell` follows once the others have theirs. */
  record(result: number, offset: number): void {
    if (result > 0) {
      this.slots.header[HOLDS]!--;
      this.chunk = this.slots.takeInput(offset, result);
      if (result >= LARGE_READ) this.state |= READS_LARGE | TELL_READABLE;
      else this.state = (this.state & ~READS_LARGE) | TELL_READABLE;
    } else if (result > SAYS_READABLE) {
      this.slots.header[HOLDS]!--;
      this.noteRead(result);
      this.state |= TELL_READABLE;
    } else if (result === SAYS_READABLE) {
      this.slots.header[HOLDS]!--;
      this.state |= TELL_READABLE;
    } else {
      this.recordOutput(result, offset);
    }
  }

  /** Tells the owner what was recorded. */
  tell(): void {
    const { state } = this;
    this.state = state & ~(TELL_READABLE | TELL_SENT | TOLD_LATER);
    if ((state & TELL_SENT) !== 0) this.owner?.onSent();
    if ((state & TELL_READABLE) !== 0) this.owner?.onReadable();
  }

  // The socket itself.

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
    this.slots.native.setNoDelay(this.slot, this.generation, on ? 1 : 0);
  }

  setKeepAlive(delay: number): void {
    this.keepAlive = delay;
    this.slots.setKeepAlive(this.slot, this.generation, delay);
  }

  private recordOutput(result: number, offset: number): void {
    if (result === SAYS_WRITABLE) {
      this.pump();
    } else if (result === SAYS_SENT) {
      this.state |= TELL_SENT;
    } else if (result === SAYS_BLOCKED) {
      this.takeBack(offset);
    } else if (result === SAYS_FAILED) {
      // None of it counts as sent, although a part may have been.
      this.pendingSize += this.gathered;
      this.failWriting(systemError(offset, 'write'));
    }
  }

  private tellLater(what: number): void {
    this.state |= what;
    if ((this.state & TOLD_LATER) !== 0) return;
    this.state |= TOLD_LATER;
    this.slots.tellLater(this);
  }

  private stopWaiting(): void {
    const { flags } = this.slots;
    if ((this.state & GONE) !== 0 || (flags[this.slot]! & WANTED) === 0) return;
    flags[this.slot] = flags[this.slot]! & ~WANTED;
    this.slots.removeHold();
  }

  /** Bytes, the end or an error is there to be taken. */
  private get hasNews(): boolean {
    return this.chunk !== null || (this.state & ENDED) !== 0;
  }

  /** After a write that failed no edge is waited for: what has come is read, and then there is the error. */
  private get mayReceive(): boolean {
    return (this.slots.flags[this.slot]! & READABLE) !== 0 || this.writeError !== undefined;
  }

  private atEnd(): null {
    if (this.readError !== null) throw this.readError;
    return null;
  }

  /** Reads what is there into `chunk`. */
  private receive(): void {
    const { slots } = this;
    const isLarge = (this.state & READS_LARGE) !== 0;
    const buffer = isLarge ? Buffer.allocUnsafeSlow(LARGE_BUFFER) : slots.input;
    const size = slots.native.read(this.slot, this.generation, buffer, 0, LARGE_BUFFER);
    if (!this.noteRead(size)) return;
    if (!isLarge) this.chunk = slots.takeInput(0, size);
    else if (size * 2 > LARGE_BUFFER) this.chunk = size === LARGE_BUFFER ? buffer : buffer.subarray(0, size);
    // A view would keep all of the large buffer for a small part.
    else this.chunk = Buffer.from(buffer.subarray(0, size));
    if (size >= LARGE_READ) this.state |= READS_LARGE;
    else this.state &= ~READS_LARGE;
  }

  /** Takes a read's result down; true if it brought bytes. */
  private noteRead(size: number): boolean {
    if (size > 0) return true;
    if (size === 0) {
      this.state |= ENDED;
      // The kernel gives each error once: it went to the writer, but it has cut the reader off, too.
      if (this.writeError !== undefined) this.readError = this.writeError;
    } else if (size !== AGAIN) {
      this.state |= ENDED;
      this.readError = systemError(-size, 'read');
      this.failWriting(this.readError);
    } else if (this.writeError !== undefined) {
      this.state |= ENDED;
      this.readError = this.writeError;
    }
    this.leaveIfDone();
    return false;
  }

  /** What is written now is not lost. */
  private get mayWrite(): boolean {
    return this.writeError === undefined && (this.state & (SHUT | GONE)) === 0;
  }

  /** Bytes that are in the shared output and were not sent. */
  private get unflushed(): number {
    return this.flushes === this.slots.header[FLUSHES] ? this.gathered : 0;
  }

  private sendLarge(bytes: Uint8Array, isOwned: boolean, size: number): void {
    const { slots } = this;
    this.flush();
    if (this.writeError !== undefined) {
      this.pendingSize += size;
      return;
    }
    let sent = 0;
    if (this.pending === null) {
      sent = slots.native.send(this.slot, this.generation, bytes, 0, size);
      if (sent < 0) {
        // None of it counts as sent, although a part may have been.
        this.pendingSize += size;
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
    const rest = this.slots.output.restOf(this, sent);
    this.suspendOutput().push(rest, true);
    this.pendingSize += rest.byteLength;
    if (sent > 0) this.tellIfWanted();
  }

  /** The output that waits for the kernel; it keeps the process alive. */
  private suspendOutput(): Pending {
    if (this.pending === null) {
      this.pending = new Pending();
      this.slots.addHold();
    }
    return this.pending;
  }

  /** The kernel takes bytes again. */
  private pump(): void {
    const { pending, slots } = this;
    if (pending === null) return;
    try {
      for (let bytes; (bytes = pending.peek()) !== undefined;) {
        const sent = slots.native.send(this.slot, this.generation, bytes, 0, bytes.byteLength);
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
    slots.removeHold();
    this.shutIfDone();
  }

  private tellIfWanted(): void {
    const { flags } = this.slots;
    if ((this.state & GONE) !== 0 || (flags[this.slot]! & SENT_WANTED) === 0) return;
    flags[this.slot] = flags[this.slot]! & ~SENT_WANTED;
    this.tellLater(TELL_SENT);
  }

  private failWriting(error: Error): void {
    if (this.writeError !== undefined) return;
    this.writeError = error;
    this.dropOutput();
    // Whoever waits for input would wait for ever, if the peer waits for what could not be sent.
    const isRead = (this.state & GONE) === 0 && (this.slots.flags[this.slot]! & WANTED) !== 0;
    this.stopWaiting();
    this.tellLater(isRead ? TELL_SENT | TELL_READABLE : TELL_SENT);
    this.leaveIfDone();
  }

  private dropOutput(): void {
    if (this.pending !== null) {
      this.pending = null;
      this.slots.removeHold();
    }
    this.pendingSize = this.waiting;
    this.gathered = 0;
  }

  private shutIfDone(): void {
    if ((this.state & (ENDING | SHUT)) !== ENDING || this.pending !== null || this.writeError !== undefined)
      return;
    this.state |= SHUT;
    const result = this.slots.native.shutdown(this.slot, this.generation);
    if (result < 0)
      this.failWriting(systemError(result === NOT_CONNECTED ? RESET_BY_PEER : -result, 'shutdown'));
    this.leaveIfDone();
  }

  /** Both directions have ended: nobody needs the descriptor. */
  private leaveIfDone(): void {
    const hasWrittenAll = (this.state & SHUT) !== 0 || this.writeError !== undefined;
    if ((this.state & ENDED) !== 0 && hasWrittenAll) this.leave((this.state & EXPIRED) === 0 ? 0 : 1);
  }

  /** Gives the descriptor up. */
  private leave(isReset: 0 | 1): void {
    if ((this.state & GONE) !== 0) return;
    this.stopWaiting();
    this.noteLocal();
    this.slots.native.close(this.slot, this.generation, isReset);
    this.forget();
    this.countClosed();
  }

  /** Where it was bound is asked for lazily, and could not be once its descriptor is gone. */
  private noteLocal(): void {
    this.local ??= this.slots.addressOf(this.slot, this.generation, 0);
  }

  /** Its descriptor is not its own any more. */
  private forget(): void {
    this.state |= GONE;
    this.slots.owners[this.slot] = undefined;
  }

  /** Its descriptor is closed. */
  private countClosed(): void {
    this.slots.open--;
    this.listener?.released();
  }
}
