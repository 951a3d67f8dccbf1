// A connection of the epoll reactor. Reading: the addon reads for those who wait, and says so in a record;
// whoever comes while there is something reads on the spot. Writing: small writes are copied into the output
// that all connections share, which goes out once a turn; what the kernel does not take waits in `pending`.
//
//   write ──► anything pending? ── yes ─► pending ◄────────── the rest ──────────┐
//               │ no                         │ the kernel takes bytes again      │
//               ├── small ─► shared output ──┼─► flush, once a turn ─► all sent? ┴── yes ─► sent
//               └── large ───────────────────┴─► send at once ───────────┘

import { Buffer } from 'node:buffer';
import net from 'node:net';
import type { Endpoint, Socket, SocketOwner } from './contract.ts';
import type { EpollListener } from './epoll-listener.ts';
import type { EpollReactor } from './epoll.ts';
import {
  ENTRY,
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
} from './native.ts';
import { Pending } from './pending.ts';
import { systemError } from './system-error.ts';

/** Writes up to here are copied and go out with the others of their turn; larger ones go by themselves. */
const SMALL = 16_384;
/** When a read has brought so much, the next one goes straight into a buffer of this size of its own. */
const LARGE_READ = 16_384;
const LARGE_BUFFER = 65_536;

// What a socket has been through.
const ENDED = 1;
const ENDING = 2;
const SHUT = 4;
const RESET = 8;
const READS_LARGE = 16;
/** Its descriptor is not its own any more. */
const GONE = 32;
/** What the owner is to be told. */
const TELL_READABLE = 64;
const TELL_SENT = 128;
/** It stands among those who are told later. */
const TOLD_LATER = 256;

export class EpollSocket implements Socket {
  // Plain fields, since there may be twenty thousand of these, and each message touches most of them.
  declare owner: SocketOwner | null;
  declare written: number;
  declare writeError: Error | undefined;
  /** @internal Which descriptor, and which of those that have borne its number. */
  declare readonly slot: number;
  /** @internal */ declare readonly generation: number;
  declare private readonly reactor: EpollReactor;
  declare private readonly listener: EpollListener | null;
  declare private state: number;
  /** What came and was not taken. */
  declare private chunk: Buffer | null;
  declare private readError: Error | null;
  /** What the kernel did not take; null while it has taken all. */
  declare private pending: Pending | null;
  declare private pendingSize: number;
  /** Bytes in the shared output, unless that was flushed since. */
  declare private gathered: number;
  declare private flushes: number;
  declare private firstEntry: number;
  declare private lastEntry: number;
  declare private local: Endpoint | null;
  declare private readonly remote: Endpoint | number;
  declare private readonly remotePort: number;

  /** `remote` may be the four bytes of an IPv4 address as a number. */
  constructor(
    reactor: EpollReactor,
    listener: EpollListener | null,
    slot: number,
    generation: number,
    local: Endpoint | null,
    remote: Endpoint | number,
    remotePort: number,
  ) {
    this.owner = null;
    this.written = 0;
    this.writeError = undefined;
    this.slot = slot;
    this.generation = generation;
    this.reactor = reactor;
    this.listener = listener;
    this.state = 0;
    this.chunk = null;
    this.readError = null;
    this.pending = null;
    this.pendingSize = 0;
    this.gathered = 0;
    this.flushes = -1;
    this.firstEntry = 0;
    this.lastEntry = 0;
    this.local = local;
    this.remote = remote;
    this.remotePort = remotePort;
    reactor.sockets[slot] = this;
    reactor.open++;
  }

  get localAddress(): Endpoint {
    this.local ??= this.reactor.localAddress(this.slot, this.generation);
    return this.local;
  }

  get remoteAddress(): Endpoint {
    const { remote, remotePort } = this;
    if (typeof remote !== 'number') return remote;
    const host = `${remote >>> 24}.${(remote >>> 16) & 255}.${(remote >>> 8) & 255}.${remote & 255}`;
    return { host, port: remotePort, path: '' };
  }

  get sent(): number {
    return this.written - this.pendingSize - this.unflushed;
  }

  get isReadable(): boolean {
    if (this.hasNews) return true;
    if ((this.state & GONE) !== 0 || !this.mayReceive) return false;
    this.receive();
    return this.hasNews;
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
      const size = this.reactor.native.read(this.slot, this.generation, buffer, 0, buffer.byteLength);
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
    const { flags } = this.reactor;
    const is = flags[this.slot]!;
    if ((is & WANTED) !== 0) return;
    if (this.mayReceive) {
      // Perhaps: whoever is told looks, and asks again if there is nothing.
      this.tellLater(TELL_READABLE);
      return;
    }
    const isLarge = intoOwnBuffer || (this.state & READS_LARGE) !== 0;
    flags[this.slot] = isLarge ? is | WANTED | LARGE : (is & ~LARGE) | WANTED;
    this.reactor.addHold();
  }

  unwantRead(): void {
    this.state &= ~TELL_READABLE;
    this.stopWaiting();
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
    if (size <= SMALL) this.reactor.makeRoom(size);
    if (size === 0 || this.writeError !== undefined || (this.state & (SHUT | GONE)) !== 0) return;
    this.written += size;
    if (this.pending !== null) {
      this.pending.push(bytes, isOwned);
      this.pendingSize += size;
    } else if (size <= SMALL) {
      this.gather(bytes, size);
    } else {
      this.sendLarge(bytes, isOwned, size);
    }
  }

  writeCopy(data: string | Uint8Array): number {
    this.reactor.makeRoom(SMALL);
    if (this.pending === null && (this.state & (SHUT | GONE)) === 0 && this.writeError === undefined) {
      if (typeof data === 'string') {
        // In UTF-8 a unit of the string takes three bytes at most.
        if (data.length * 3 <= SMALL) return this.gatherText(data);
      } else {
        const size = data.byteLength;
        this.written += size;
        if (size > SMALL) this.sendLarge(data, false, size);
        else if (size > 0) this.gather(data, size);
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
    if (this.unflushed > 0) this.reactor.flush();
  }

  end(): void {
    if ((this.state & (ENDING | GONE)) !== 0) return;
    this.state |= ENDING;
    this.flush();
    this.shutIfDone();
  }

  reset(): void {
    if ((this.state & RESET) !== 0) return;
    this.state |= RESET | ENDED;
    this.owner = null;
    this.chunk = null;
    this.dropOutput();
    this.leave(1);
  }

  detach(): net.Socket {
    this.flush();
    const { pending, chunk } = this;
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
    socket.pause();
    if (chunk !== null) socket.unshift(chunk);
    for (let bytes; (bytes = pending?.take()) !== undefined;) socket.write(bytes);
    return socket;
  }

  setNoDelay(on: boolean): void {
    this.reactor.native.setNoDelay(this.slot, this.generation, on ? 1 : 0);
  }

  setKeepAlive(delay: number): void {
    this.reactor.setKeepAlive(this.slot, this.generation, delay);
  }

  /** What the addon has recorded; `tell` follows once the others have theirs. */
  record(result: number, offset: number): void {
    if (result > 0) {
      this.reactor.header[HOLDS]!--;
      this.chunk = this.reactor.takeInput(offset, result);
      if (result >= LARGE_READ) this.state |= READS_LARGE | TELL_READABLE;
      else this.state = (this.state & ~READS_LARGE) | TELL_READABLE;
    } else if (result > SAYS_READABLE) {
      this.reactor.header[HOLDS]!--;
      this.noteRead(result);
      this.state |= TELL_READABLE;
    } else if (result === SAYS_READABLE) {
      this.reactor.header[HOLDS]!--;
      this.state |= TELL_READABLE;
    } else if (result === SAYS_WRITABLE) {
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

  /** Tells the owner what was recorded. */
  tell(): void {
    const { state } = this;
    this.state = state & ~(TELL_READABLE | TELL_SENT | TOLD_LATER);
    if ((state & TELL_SENT) !== 0) this.owner?.onSent();
    if ((state & TELL_READABLE) !== 0) this.owner?.onReadable();
  }

  /** Bytes, the end or an error is there to be taken. */
  private get hasNews(): boolean {
    return this.chunk !== null || (this.state & ENDED) !== 0;
  }

  /** After a write that failed no edge is waited for: what has come is read, and then there is the error. */
  private get mayReceive(): boolean {
    return (this.reactor.flags[this.slot]! & READABLE) !== 0 || this.writeError !== undefined;
  }

  private get unflushed(): number {
    return this.flushes === this.reactor.header[FLUSHES] ? this.gathered : 0;
  }

  private atEnd(): null {
    if (this.readError !== null) throw this.readError;
    return null;
  }

  /** Reads what is there into `chunk`. */
  private receive(): void {
    const { reactor } = this;
    const isLarge = (this.state & READS_LARGE) !== 0;
    const buffer = isLarge ? Buffer.allocUnsafeSlow(LARGE_BUFFER) : reactor.input;
    const size = reactor.native.read(this.slot, this.generation, buffer, 0, LARGE_BUFFER);
    if (!this.noteRead(size)) return;
    if (!isLarge) this.chunk = reactor.takeInput(0, size);
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
    } else if (size !== -this.reactor.again) {
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

  /** Copies bytes into the shared output. */
  private gather(bytes: Uint8Array, size: number): void {
    const { reactor } = this;
    const offset = reactor.reserve(size);
    reactor.output.set(bytes, offset);
    this.addGathered(offset, size);
  }

  private gatherText(text: string): number {
    const { reactor } = this;
    const offset = reactor.reserve(text.length * 3);
    const size = reactor.output.write(text, offset);
    reactor.giveBack(text.length * 3 - size);
    this.written += size;
    if (size > 0) this.addGathered(offset, size);
    return size;
  }

  /** These bytes of the shared output are to be sent. */
  private addGathered(offset: number, size: number): void {
    const { reactor } = this;
    const { entries, header } = reactor;
    if (this.flushes === header[FLUSHES] && this.gathered > 0) {
      this.gathered += size;
      const at = this.lastEntry * ENTRY;
      if (offset === entries[at + 2]! + entries[at + 3]!) {
        entries[at + 3] = entries[at + 3]! + size;
        return;
      }
      const entry = reactor.addEntry(~this.slot, this.generation, offset, size);
      entries[at + 4] = entry;
      this.lastEntry = entry;
    } else {
      this.gathered = size;
      this.flushes = header[FLUSHES]!;
      this.firstEntry = this.lastEntry = reactor.addEntry(this.slot, this.generation, offset, size);
    }
  }

  private sendLarge(bytes: Uint8Array, isOwned: boolean, size: number): void {
    const { reactor } = this;
    this.flush();
    if (this.writeError !== undefined) return;
    let sent = 0;
    if (this.pending === null) {
      sent = reactor.native.send(this.slot, this.generation, bytes, 0, size);
      if (sent < 0) {
        this.failWriting(systemError(-sent, 'write'));
        this.tellLater(TELL_SENT);
        return;
      }
      if (sent === size) {
        this.tellIfWanted();
        return;
      }
    }
    this.suspendOutput().push(sent === 0 ? bytes : bytes.subarray(sent), isOwned);
    this.pendingSize += size - sent;
  }

  /** The kernel took a part of what was gathered: the rest is copied out before anybody writes again. */
  private takeBack(sent: number): void {
    const { entries, output } = this.reactor;
    const pieces: Uint8Array[] = [];
    let skip = sent;
    for (let entry = this.firstEntry; ;) {
      const at = entry * ENTRY;
      const length = entries[at + 3]!;
      if (skip < length) pieces.push(output.subarray(entries[at + 2]! + skip, entries[at + 2]! + length));
      skip = Math.max(0, skip - length);
      if (entry === this.lastEntry) break;
      entry = entries[at + 4]!;
    }
    const rest = Buffer.concat(pieces);
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
    for (let bytes; (bytes = pending.peek()) !== undefined;) {
      const sent = reactor.native.send(this.slot, this.generation, bytes, 0, bytes.byteLength);
      if (sent < 0) {
        this.failWriting(systemError(-sent, 'write'));
        return;
      }
      this.state |= TELL_SENT;
      this.pendingSize -= sent;
      const isAll = sent === bytes.byteLength;
      if (sent > 0) pending.drop(sent);
      if (!isAll) return;
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

  private failWriting(error: Error): void {
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
    if (result < 0) this.failWriting(systemError(-result, 'shutdown'));
    this.leaveIfDone();
  }

  /** Both directions have ended: nobody needs the descriptor. */
  private leaveIfDone(): void {
    const hasWrittenAll = (this.state & SHUT) !== 0 || this.writeError !== undefined;
    if ((this.state & ENDED) !== 0 && hasWrittenAll) this.leave(0);
  }

  /** Gives the descriptor up. */
  private leave(isReset: 0 | 1): void {
    if ((this.state & GONE) !== 0) return;
    this.stopWaiting();
    // Where it was bound is asked for lazily, and could not be any more.
    this.local ??= this.reactor.localAddress(this.slot, this.generation);
    this.reactor.native.close(this.slot, this.generation, isReset);
    this.forget();
  }

  /** Its descriptor is not its own any more. */
  private forget(): void {
    this.state |= GONE;
    this.reactor.sockets[this.slot] = undefined;
    this.reactor.open--;
    this.listener?.released();
  }

  private stopWaiting(): void {
    const { flags } = this.reactor;
    if ((this.state & GONE) !== 0 || (flags[this.slot]! & WANTED) === 0) return;
    flags[this.slot] = flags[this.slot]! & ~WANTED;
    this.reactor.removeHold();
  }

  private tellLater(what: number): void {
    this.state |= what;
    if ((this.state & TOLD_LATER) !== 0) return;
    this.state |= TOLD_LATER;
    this.reactor.tellLater(this);
  }
}
