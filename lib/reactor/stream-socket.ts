// A connection over a stream of Node's: a `net.Socket`, one with TLS upon it, or any other Duplex. Here is the half
// that reads, and the end: one permanent 'data' listener, paused only when a chunk comes unasked, since pausing per read
// costs more than the read. What comes inside of a call of ours is told after it (R1).

import type net from 'node:net';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { type Carrier, type Endpoint, KEEP_ALIVE, type Socket } from './contract.ts';
import type { Debtor } from './dead-peers.ts';
import { Received } from './received.ts';
import type { StreamHost } from './stream-host.ts';
import { NOTHING, StreamWriter } from './stream-writer.ts';
import { prematureClose, systemError } from './system-error.ts';

export class StreamSocket extends StreamWriter implements Socket, Debtor {
  localAddress: Endpoint;
  remoteAddress: Endpoint;
  readonly #received = new Received();
  #wantsRead = false;
  keepAlive = KEEP_ALIVE;
  /** Bytes that had come at the last look for dead peers. */
  #heard = -1;
  /** Bytes of which it is known that the peer has them. */
  #acknowledged = 0;

  constructor(host: StreamHost, stream: Duplex, carrier: Carrier) {
    super(host, stream, carrier);
    const { socket } = carrier;
    this.localAddress = carrier.localAddress;
    this.remoteAddress = carrier.remoteAddress;
    socket?.unref();
    // Else the listener would have it read at once.
    stream.pause();
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('error', this.#onError);
    // Whoever else has the stream may just destroy it.
    stream.on('close', this.#onClose);
    if (stream !== socket) stream.on('finish', this.#onFinish);
    if (isTcp(socket)) {
      host.debtors.add(this);
      host.deadPeers.watch();
    }
    // What came before there was a listener does not come again.
    this.#received.hasEnded = stream.readableEnded;
  }

  get isReadable(): boolean {
    return this.#received.isReadable;
  }

  get isDirect(): boolean {
    return false;
  }

  read(): Buffer | null | undefined {
    return this.#received.take();
  }

  readInto(buffer: Uint8Array): number | undefined {
    return this.#received.takeInto(buffer);
  }

  wantRead(): void {
    if (this.#wantsRead || this.isReset) return;
    this.#wantsRead = true;
    this.host.holds.add();
    if (this.isReadable) queueMicrotask(() => this.#tellReader());
    if (this.stream.isPaused() || this.stream.readableFlowing === null) this.stream.resume();
  }

  unwantRead(): void {
    if (!this.#wantsRead) return;
    this.#wantsRead = false;
    this.host.holds.remove();
  }

  reset(): void {
    if (this.isReset) return;
    // Node has RST for TCP alone, and after a shutdown libuv refuses it (EINVAL) and Node then leaks the
    // handle; closing with unread input sends it then as well.
    const canReset = isTcp(this.carrier) && !this.isShut;
    this.#giveUp();
    if (canReset) this.carrier!.resetAndDestroy();
    this.stream.destroy();
  }

  release(): void {
    if (this.isReset) return;
    this.#giveUp();
    this.stream.destroy();
  }

  detach(): Duplex {
    const stream = this.stream;
    const unread = this.#received.clear();
    stream.pause();
    stream.off('data', this.#onData);
    stream.off('end', this.#onEnd);
    stream.off('error', this.#onError);
    stream.off('close', this.#onClose);
    stream.off('finish', this.#onFinish);
    this.host.debtors.delete(this);
    this.handOverAll();
    this.isReset = true;
    this.owner = null;
    this.unwantRead();
    this.dropOutput();
    if (this.#received.hasEnded && this.isShut) stream.destroy();
    else if (unread !== null) stream.unshift(unread);
    this.#received.hasEnded = true;
    this.carrier?.ref();
    return stream;
  }

  setNoDelay(on: boolean): void {
    this.carrier?.setNoDelay(on);
  }

  silence(): number {
    const { bytesRead } = this.carrier!;
    // A peer that is heard from is there.
    const isHeard = bytesRead !== this.#heard;
    this.#heard = bytesRead;
    const mayOwe = this.#acknowledged !== this.written || this.isShut;
    if (isHeard || !mayOwe || this.writeError !== undefined) return 0;
    const silence = this.host.silence(this.carrier!);
    if (silence < 0) this.#acknowledged = this.sent;
    return Math.max(0, silence);
  }

  expire(): void {
    this.#onError(systemError(constants.errno.ETIMEDOUT, 'write'));
    this.carrier!.resetAndDestroy();
    this.stream.destroy();
  }

  setKeepAlive(delay: number): void {
    this.keepAlive = delay;
    // Node counts whole seconds and takes less than one for none.
    this.carrier?.setKeepAlive(delay > 0, Math.min(Math.max(delay, 1_000), 2_147_483_647));
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received.add(chunk);
    if (!this.#wantsRead || this.isCalling) {
      this.stream.pause();
      if (this.isCalling) queueMicrotask(() => this.#tellReader());
      return;
    }
    this.host.beginBatch();
    try {
      this.#tellReader();
    } finally {
      this.host.endBatch();
    }
  };

  /**
   * libuv takes a reset for an end if bytes have come just before it. The kernel tells whoever writes, even
   * nothing; what is in flight has failed by the end of this event. After our own end nobody can tell.
   */
  readonly #onEnd = (): void => {
    const mayAsk = this.stream === this.carrier && isTcp(this.carrier) && !this.isShut;
    if (!mayAsk) this.#tellEnd();
    else if (this.inFlight > 0) setImmediate(this.#tellEnd);
    else this.stream.write(NOTHING, this.#tellEnd);
  };

  readonly #tellEnd = (error?: Error | null): void => {
    if (error || this.#received.error !== undefined) return;
    this.#received.hasEnded = true;
    this.#tellReader();
    if (this.stream !== this.carrier) this.#onFinish();
  };

  /** Both directions have ended, and a stream without `autoDestroy` would stay. */
  readonly #onFinish = (): void => {
    if (this.#received.hasEnded && this.isShut && this.stream.writableFinished) this.stream.destroy();
  };

  /** Node destroys a stream on its first error: what was read before it can still be taken. */
  readonly #onError = (error: Error): void => {
    if (this.isReset) return;
    if (this.isCalling) {
      queueMicrotask(() => this.#onError(error));
      return;
    }
    // What is still in Node's own buffer came before the error; `read` gives it, and may emit it as well.
    this.stream.off('data', this.#onData);
    for (let rest; (rest = this.stream.read() as Buffer | null) !== null;) this.#received.add(rest);
    if (!this.#received.hasEnded) this.#received.error ??= error;
    this.failWriting(error);
    this.#tellReader();
  };

  readonly #onClose = (): void => {
    this.host.debtors.delete(this);
    if (this.#received.hasEnded && this.isShut && this.written === this.sent) return;
    if (this.#received.hasEnded) this.failWriting(prematureClose());
    else this.#onError(prematureClose());
  };

  #giveUp(): void {
    this.isReset = true;
    this.owner = null;
    this.unwantRead();
    this.dropOutput();
    this.#received.clear();
  }

  #tellReader(): void {
    if (!this.#wantsRead || !this.isReadable) return;
    this.unwantRead();
    this.owner?.onReadable();
  }
}

function isTcp(carrier: net.Socket | null): carrier is net.Socket {
  return carrier !== null && carrier.localFamily !== undefined;
}
