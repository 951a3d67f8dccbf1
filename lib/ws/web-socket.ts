// A WebSocket with the coroutine face, over one of the package `ws`. Invariants: messages are taken in order by one
// receiver at a time; while enough wait for it nothing more is read (N1); a clean close is a value, anything else an
// error (N5).

import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { Ring } from '../../scheduler/channel/ring.ts';
import { suspend } from '../../scheduler/interop/suspend.ts';
import { BusyError, ClosedError, inWords } from '../../scheduler/kernel/errors.ts';
import { atLeaf, kind, Leaf, type Operation } from '../../scheduler/kernel/operation.ts';
import type { Timers } from '../../scheduler/kernel/timers.ts';
import { Patience, Uptake } from '../connection/linger.ts';
import { ConnectionDuplex } from '../connection/to-duplex.ts';
import { queuedByTable } from '../reactor/peers.ts';
import { prematureClose } from '../reactor/system-error.ts';
import { isTcp } from '../streams/from-duplex.ts';

/** Text is a string, binary data a Buffer. */
export type Message = string | Buffer;

/** Messages that wait for a receiver, from which on nothing is read. */
const ENOUGH = 16;

/** The close codes of RFC 6455, section 7.4.1, that are given here. */
const NORMAL = 1000;
const NO_STATUS = 1005;
const ABNORMAL = 1006;

type Receiver = Leaf<Message | null, WebSocketConnection>;

/** The `closeTimeout` of `ws`, which cuts a slow reader off like any other: as long as Node takes. */
export const NEVER = 2_147_483_647;

/** Says when its closing handshake begins, on either side: `ws` calls `close` for that of the peer, too. */
export class Closable extends WebSocket {
  override close(code?: number, data?: string | Buffer): void {
    super.close(code, data);
    this.emit('closing');
  }
}

/** A WebSocket. `serveWebSocket` and `dialWebSocket` make them. */
export class WebSocketConnection {
  readonly #ws: WebSocket;
  readonly #messages = new Ring<Message>();
  #receiver: Receiver | null = null;
  #closeCode = 0;
  #closeReason = '';
  #error: Error | null = null;
  /** It was cut off on this side. */
  #isReset = false;
  /** @internal Its handler has ended: nobody wants to know whether the peer answers the close. */
  isLeft = false;
  readonly #timers: Timers;
  /** Null until it is open. */
  #stream: Duplex | null = null;
  /** While it is being closed. */
  #patience: Patience | null = null;

  /** @internal */
  constructor(ws: WebSocket, timers: Timers) {
    this.#ws = ws;
    this.#timers = timers;
    ws.on('closing', () => this.#onClosing());
    ws.on('message', (data: Buffer, isBinary: boolean) => this.#onMessage(isBinary ? data : String(data)));
    ws.on('error', (error) => (this.#error ??= error));
    ws.on('close', (code, reason) => this.#onClose(code, String(reason)));
  }

  /** The subprotocol that both have agreed on; empty for none. */
  get protocol(): string {
    return this.#ws.protocol;
  }

  /** Why it was closed (RFC 6455, section 7.4); 0 while it is not. */
  get closeCode(): number {
    return this.#closeCode;
  }

  /** The text that the peer closed it with; '' if there is none. */
  get closeReason(): string {
    return this.#closeReason;
  }

  /**
   * The next message; null once it was closed, by either side. Cancelling loses nothing.
   *
   * @throws BusyError if somebody receives already; ClosedError after `reset`; the error of the connection, of a
   * message that is too long, …; `ERR_STREAM_PREMATURE_CLOSE` if it broke off without being closed
   */
  receive(): Operation<Message | null> {
    return new Leaf(RECEIVE, this, undefined);
  }

  /**
   * Sends a message; waits until the connection has taken it. Cancelling ends the wait only.
   *
   * @throws TypeError for what is no string or Uint8Array; ClosedError after it was closed, by either side
   */
  send(message: string | Uint8Array): Operation<void> {
    if (typeof message !== 'string' && !(message instanceof Uint8Array)) {
      throw new TypeError(`send expects a string or a Uint8Array, got ${inWords(message)}`);
    }
    const ws = this.#ws;
    return suspend<void>(function send(resume) {
      if (ws.readyState !== ws.OPEN) throw new ClosedError('cannot send: the WebSocket was closed');
      // A copy: one who is cancelled has the memory back at once.
      ws.send(typeof message === 'string' ? message : Buffer.from(message), resume);
    });
  }

  /**
   * Closes it: what was sent is still delivered, however slow the peer reads. `receive` gives what comes before the peer's
   * answer, and then null. A peer that takes and sends nothing for 5 s breaks it off, and so does one that takes less than
   * 1 KiB/s for 30 s. One that has everything has 30 s to answer, or 5 s once the handler has ended. May be called twice.
   *
   * @throws TypeError for a code that may not be sent, or a reason of more than 123 bytes
   */
  close(code = NORMAL, reason = ''): void {
    const isAllowed = code === NORMAL || (code >= 1001 && code <= 1014) || (code >= 3000 && code <= 4999);
    if (!Number.isInteger(code) || !isAllowed || (code >= 1004 && code <= 1006)) {
      throw new TypeError(`close expects a code of RFC 6455 that may be sent, got ${inWords(code)}`);
    }
    if (Buffer.byteLength(reason) > 123) {
      throw new TypeError(`close expects a reason of at most 123 bytes, got ${Buffer.byteLength(reason)}`);
    }
    this.#ws.close(code, reason);
  }

  /** Ends it at once: the peer sees it break off. */
  reset(): void {
    this.#isReset ||= this.#closeCode === 0;
    this.#ws.terminate();
  }

  /** @internal The next message, if there is one; undefined: then `await`. */
  takeFor(receiver: Receiver): Message | null | undefined {
    if (this.#receiver !== null && this.#receiver !== receiver) {
      throw new BusyError('somebody is receiving from this WebSocket already; one receiver at a time');
    }
    this.#receiver = null;
    if (this.#messages.length > 0) {
      const message = this.#messages.shift()!;
      if (this.#messages.length === ENOUGH - 1) this.#ws.resume();
      return message;
    }
    if (this.#closeCode === 0) return undefined;
    if (this.#isReset) throw atLeaf(new ClosedError('the WebSocket was reset on this side'));
    if (this.#error !== null) throw this.#error;
    if (this.#closeCode === ABNORMAL) throw atLeaf(prematureClose());
    return null;
  }

  /** @internal */
  await(receiver: Receiver | null): void {
    this.#receiver = receiver;
  }

  /** @internal What it goes over, from the moment in which it is open. */
  set stream(stream: Duplex) {
    this.#stream = stream;
  }

  #onClosing(): void {
    const stream = this.#stream;
    if (stream === null || this.#closeCode !== 0) return;
    const uptake = uptakeOf(stream);
    this.#patience ??= new Patience(
      {
        uptake,
        received: () => (stream as net.Socket).bytesRead,
        // Nothing is read while messages wait; and what the peer's system has, the peer itself may still be reading.
        isHeldUp: () => this.#messages.length >= ENOUGH || (uptake.left === 0 && !this.isLeft),
        giveUp: (hasAll) => giveUp(stream, hasAll),
      },
      this.#timers,
    );
  }

  #onMessage(message: Message): void {
    this.#messages.push(message);
    if (this.#messages.length >= ENOUGH) this.#ws.pause();
    this.#receiver?.notify();
  }

  #onClose(code: number, reason: string): void {
    this.#patience?.stop();
    this.#closeCode = code || NO_STATUS;
    this.#closeReason = reason;
    this.#receiver?.notify();
  }
}

const RECEIVE = kind<Message | null, WebSocketConnection>({
  poll(operation) {
    const message = operation.target.takeFor(operation);
    if (message === undefined) return false;
    operation.value = message;
    return true;
  },
  arm: (operation) => operation.target.await(operation),
  disarm: (operation) => operation.target.await(null),
  describe: () => 'receiving from a WebSocket',
});

function uptakeOf(stream: Duplex): Uptake {
  if (stream instanceof ConnectionDuplex) return stream.uptake();
  const socket = {
    unacknowledged(): number | undefined {
      const queued = queuedByTable(stream);
      return queued === undefined ? undefined : queued + stream.writableLength;
    },
    get written(): number {
      return (stream as Partial<net.Socket>).bytesWritten ?? 0;
    },
    get sent(): number {
      return this.written - stream.writableLength;
    },
  };
  return new Uptake({ socket });
}

/** The peer of a stream is given up: what it has taken everything of may end as it should. */
function giveUp(stream: Duplex, hasAll: boolean): void {
  if (hasAll && 'destroySoon' in stream) (stream as net.Socket).destroySoon();
  else if (canReset(stream)) stream.resetAndDestroy();
  else stream.destroy();
}

function canReset(stream: Duplex): stream is ConnectionDuplex | net.Socket {
  if (stream instanceof ConnectionDuplex) return true;
  // Node has no RST after the end.
  return isTcp(stream) && !stream.writableEnded;
}
