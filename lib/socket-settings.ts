// What a connection shows of the socket that it stands on, and what can be set there. The socket is not the same for
// ever: another one takes over when TLS begins.

import { Address } from './address.ts';
import { checkDuration } from './checks.ts';
import { KEEP_ALIVE, type Socket } from './reactor/contract.ts';
import { type TlsInfo, tlsInfoOf } from './tls-info.ts';

export abstract class SocketSettings {
  /** @internal */
  protected socket: Socket;
  // Made when somebody asks: there may be tens of thousands of connections.
  #localAddress: Address | null = null;
  #remoteAddress: Address | null = null;
  #noDelay = true;
  #keepAlive = KEEP_ALIVE;

  /** @internal */
  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** This side's address. */
  get localAddress(): Address {
    this.#localAddress ??= Address.of(this.socket.localAddress);
    return this.#localAddress;
  }

  /** The peer's address, as it was when the connection was made. */
  get remoteAddress(): Address {
    this.#remoteAddress ??= Address.of(this.socket.remoteAddress);
    return this.#remoteAddress;
  }

  /** What was agreed on with the peer; null for a connection without TLS. */
  get tls(): TlsInfo | null {
    return tlsInfoOf(this.socket);
  }

  /** Bytes that the kernel has taken. */
  get bytesWritten(): number {
    return this.socket.sent;
  }

  /** Small writes are sent at once, without Nagle's delay. Default true. */
  get noDelay(): boolean {
    return this.#noDelay;
  }
  set noDelay(on: boolean) {
    this.#noDelay = on;
    this.socket.setNoDelay(on);
  }

  /**
   * Milliseconds of silence before a dead peer is probed for; 0 or `Infinity` for never. Default 15,000. A peer that answers none of ten
   * probes, one a second, is given up: who reads or writes gets an `ETIMEDOUT`. So is one that has not acknowledged what it
   * was sent, in about the same time. One that is there and does not read is not.
   */
  get keepAlive(): number {
    return this.#keepAlive;
  }
  set keepAlive(ms: number) {
    checkDuration(ms, 'keepAlive');
    this.#keepAlive = ms;
    this.socket.setKeepAlive(ms === Infinity ? 0 : ms);
  }
}
