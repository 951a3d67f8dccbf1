// A connection as a stream of Node's, over its own two halves: what was held for a reader comes first, and the reactor stays
// beneath. Invariants: nothing is taken from the connection while the stream has enough (N1); what is written counts as written
// when little waits for the kernel, so that small writes are gathered, and 'finish' waits for all; stream and connection end
// together. It has what `net.Socket` documents, and over TLS what `tls.TLSSocket` does, since libraries ask for it.

import type { X509Certificate } from 'node:crypto';
import { Duplex } from 'node:stream';
import { type AddressInfo, isIPv6 } from 'node:net';
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls';
import { ClosedError } from '../../scheduler/kernel/errors.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { Timer } from '../../scheduler/kernel/timers.ts';
import { checkDuration } from '../common/checks.ts';
import { Callbacks, guarded } from '../common/errors.ts';
import { builtin } from '../reactor/builtin.ts';
import { KEEP_ALIVE } from '../reactor/contract.ts';
import type { TlsInfo } from '../tls/info.ts';
import type { Address } from '../common/address.ts';
import type { Input, Reader } from './input.ts';
import { Uptake } from './linger.ts';
import type { Output } from './output.ts';

/** The connection that becomes a stream. */
interface GivenUp {
  readonly localAddress: Address;
  readonly remoteAddress: Address;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly isClosed: boolean;
  noDelay: boolean;
  keepAlive: number;
  close(): void;
  reset(): void;
}

type Chunk = string | Uint8Array;

interface Piece {
  readonly chunk: Chunk;
  readonly encoding: BufferEncoding;
}

type Callback = (error?: Error | null) => void;

/** Stands between the connection and the stream: it gets the input, and pushes what the stream may have, when it may. */
export interface Intake {
  /** Bytes, or null at the peer's end; no more come before the next `ask`. */
  take(data: Buffer | null): void;
  /** The stream has room. */
  onRoom(): void;
  /** Whether it counts silence itself just now: then a timeout of the stream is not started. */
  readonly countsSilence: boolean;
}

export class ConnectionDuplex extends Duplex implements Reader {
  readonly #conn: GivenUp;
  readonly #input: Input;
  readonly #output: Output;
  readonly #scheduler: Scheduler;
  /** It waits for input. */
  #isAsking = false;
  readonly #callbacks: Callbacks;
  /** Decides what of the input the stream gets; null for all of it. */
  intake: Intake | null = null;
  /** Behind `setTimeout`. */
  #silence: Timer | null = null;
  #timeout: number | undefined = undefined;

  constructor(conn: GivenUp, input: Input, output: Output, scheduler: Scheduler) {
    // Strings come as they are: their bytes are made here, and need no further copy.
    super({ decodeStrings: false });
    this.#conn = conn;
    this.#input = input;
    this.#output = output;
    this.#scheduler = scheduler;
    this.#callbacks = new Callbacks(scheduler);
    input.giveTo(this);
  }

  override _read(): void {
    if (this.intake === null) this.ask();
    else this.intake.onRoom();
  }

  /** Asks the connection for input. */
  ask(): void {
    if (this.#isAsking || this.destroyed) return;
    this.#isAsking = true;
    this.#input.await(this);
  }

  /** It waits for input. */
  get isAsking(): boolean {
    return this.#isAsking;
  }

  /** How much the peer takes of what was written. */
  uptake(): Uptake {
    return new Uptake(this.#output);
  }

  /** Of `Reader`: there is something to take, or the connection was closed. */
  notify(): void {
    // Listeners of 'data' are called from here.
    this.#callbacks.call(this.#take, undefined, undefined);
  }

  override _write(chunk: Chunk, encoding: BufferEncoding, onWritten: Callback): void {
    this.#write([{ chunk, encoding }], onWritten);
  }

  override _writev(pieces: readonly Piece[], onWritten: Callback): void {
    this.#write(pieces, onWritten);
  }

  override _final(onFinished: Callback): void {
    try {
      this.#output.check();
      this.#output.end();
    } catch (error) {
      onFinished(error as Error);
      return;
    }
    this.#output.whenSent(onFinished);
  }

  override _destroy(error: Error | null, onDestroyed: Callback): void {
    this.#silence?.stop();
    this.#input.abandon(this);
    if (error === null && this.writableFinished) this.#conn.close();
    else if (!this.#conn.isClosed) this.#conn.reset();
    onDestroyed(error);
  }

  // Of `net.Socket`.

  get remoteAddress(): string | undefined {
    return this.#conn.remoteAddress.host || undefined;
  }

  get remotePort(): number | undefined {
    return this.#conn.remoteAddress.port || undefined;
  }

  get remoteFamily(): string | undefined {
    return familyOf(this.remoteAddress);
  }

  get localAddress(): string | undefined {
    return this.#conn.localAddress.host || undefined;
  }

  get localPort(): number | undefined {
    return this.#conn.localAddress.port || undefined;
  }

  get localFamily(): string | undefined {
    return familyOf(this.localAddress);
  }

  /** This side's; without anything for a Unix socket. */
  address(): Partial<AddressInfo> {
    const { localAddress: address, localFamily: family, localPort: port } = this;
    return address === undefined ? {} : { address, family: family!, port: port! };
  }

  get connecting(): boolean {
    return false;
  }

  /** Not connected: not any more. */
  get pending(): boolean {
    return this.destroyed;
  }

  get readyState(): string {
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** By its old name. */
  get bufferSize(): number {
    return this.writableLength;
  }

  get bytesRead(): number {
    return this.#conn.bytesRead;
  }

  get bytesWritten(): number {
    return this.#conn.bytesWritten;
  }

  setNoDelay(on = true): this {
    this.#conn.noDelay = on;
    return this;
  }

  setKeepAlive(on = false, initialDelay = 0): this {
    if (!on) this.#conn.keepAlive = 0;
    else if (initialDelay > 0) this.#conn.keepAlive = initialDelay;
    else if (this.#conn.keepAlive === 0) this.#conn.keepAlive = KEEP_ALIVE;
    return this;
  }

  /** What `setTimeout` was given; undefined before. */
  get timeout(): number | undefined {
    return this.#timeout;
  }

  /** Emits 'timeout' after so many milliseconds without a byte; does nothing else. 0 for never. */
  setTimeout(ms: number, onTimeout?: () => void): this {
    checkDuration(ms, 'setTimeout');
    if (ms > 0 && this.intake?.countsSilence) return this;
    this.#timeout = ms;
    if (onTimeout !== undefined) {
      if (ms > 0) this.once('timeout', onTimeout);
      else this.off('timeout', onTimeout);
    }
    if (ms === 0 || ms === Infinity || this.destroyed) {
      this.#silence?.stop();
    } else {
      this.#silence ??= new Timer(this.#scheduler.timers, () =>
        guarded(this.#scheduler, () => this.emit('timeout')),
      );
      this.#silence.start(ms);
    }
    return this;
  }

  /** The peer sees a reset, also over TLS; on a Unix socket it closes. */
  resetAndDestroy(): this {
    this.#conn.reset();
    return this.destroy();
  }

  /** Ends, and destroys the stream when all was written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** The connection keeps the process alive while somebody waits for it, and only then. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #write(pieces: readonly Piece[], onWritten: Callback): void {
    if (this.#timeout) this.#silence?.start(this.#timeout);
    const output = this.#output;
    let isBorrowed = false;
    try {
      output.checkOpen();
      for (const { chunk, encoding } of pieces) {
        if (typeof chunk === 'string') {
          if (chunk !== '') output.handOver(Buffer.from(chunk, encoding), true);
        } else if (output.hasRoomFor(chunk.byteLength)) {
          output.handOverCopy(chunk);
        } else {
          output.handOver(chunk, true);
          isBorrowed = true;
        }
      }
    } catch (error) {
      onWritten(error as Error);
      return;
    }
    if (isBorrowed || !output.hasRoomFor(0)) output.whenSent(onWritten);
    else onWritten();
  }

  readonly #take = (): void => {
    if (this.destroyed) return;
    let data: Buffer | null | undefined;
    try {
      data = this.#input.takeFor(this);
    } catch (error) {
      this.destroy(error instanceof ClosedError ? undefined : (error as Error));
      return;
    }
    if (data !== undefined) {
      if (this.#timeout) this.#silence?.start(this.#timeout);
      this.#isAsking = false;
      if (this.intake !== null) this.intake.take(data);
      // There is room for more.
      else if (this.push(data)) this.ask();
    } else {
      this.#input.await(this);
    }
  };
}

function familyOf(host: string | undefined): string | undefined {
  return host && (isIPv6(host) ? 'IPv6' : 'IPv4');
}

const METHODS = [
  'disableRenegotiation',
  'enableTrace',
  'exportKeyingMaterial',
  'getCertificate',
  'getCipher',
  'getEphemeralKeyInfo',
  'getFinished',
  'getPeerFinished',
  'getProtocol',
  'getSession',
  'getSharedSigalgs',
  'getTLSTicket',
  'getX509Certificate',
  'isSessionReused',
  'renegotiate',
  'setKeyCert',
  'setMaxSendFragment',
];

/**
 * The stream of Node's beneath answers, so the answers are Node's: `encrypted` makes `req.protocol` and secure cookies,
 * `getPeerCertificate` client certificates. Only the peer's certificate is kept from the handshake.
 */
export class SecureDuplex extends ConnectionDuplex {
  readonly #tls: TLSSocket;
  readonly #certificate: X509Certificate | null;

  constructor(info: TlsInfo, ...rest: ConstructorParameters<typeof ConnectionDuplex>) {
    super(...rest);
    SecureDuplex.#addMethods();
    this.#tls = info.stream;
    this.#certificate = info.peerCertificate();
  }

  get encrypted(): true {
    return true;
  }

  get authorized(): boolean {
    return this.#tls.authorized;
  }

  get authorizationError(): unknown {
    return this.#tls.authorizationError;
  }

  get alpnProtocol(): unknown {
    return this.#tls.alpnProtocol;
  }

  get servername(): unknown {
    return (this.#tls as { servername?: unknown }).servername;
  }

  getPeerX509Certificate(): X509Certificate | undefined {
    return this.#certificate ?? undefined;
  }

  /** An object without anything if the peer has shown none. */
  getPeerCertificate(isDetailed = false): Partial<PeerCertificate> {
    const certificate = this.#certificate;
    if (certificate === null) return {};
    // A client's was taken out of Node's own list by `getPeerX509Certificate`: the next one there is that of an authority.
    const said = this.#tls.getPeerCertificate(isDetailed) as Partial<PeerCertificate> | null;
    return said?.raw?.equals(certificate.raw) ? said : legacy(certificate, isDetailed);
  }

  static #hasMethods = false;

  /** For the first of all, since it takes `node:tls` to know them. */
  static #addMethods(): void {
    if (SecureDuplex.#hasMethods) return;
    SecureDuplex.#hasMethods = true;
    for (const name of METHODS) {
      // Not every version of Node has each of them.
      const method: unknown = Reflect.get(builtin('node:tls').TLSSocket.prototype, name);
      if (typeof method !== 'function') continue;
      Object.defineProperty(SecureDuplex.prototype, name, {
        configurable: true,
        writable: true,
        value(this: SecureDuplex, ...args: unknown[]): unknown {
          return Reflect.apply(method, this.#tls, args);
        },
      });
    }
  }
}

/** As Node encodes it, with those of the authorities that the peer has sent if it is to be detailed. */
function legacy(certificate: X509Certificate, isDetailed: boolean): PeerCertificate {
  const object = certificate.toLegacyObject() as unknown as DetailedPeerCertificate;
  const issuer = certificate.issuerCertificate;
  if (isDetailed && issuer) object.issuerCertificate = legacy(issuer, true) as DetailedPeerCertificate;
  return object;
}
