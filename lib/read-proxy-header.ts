// What a connection behind a proxy does first: it reads the proxy's header, and takes its addresses. Invariant: not a
// byte behind the header is read, since those belong to the client, and may be its TLS handshake. Where a header ends
// is known only from its own bytes, so the first few come together, and those of a line one by one.

import { ProtocolError } from './errors.ts';
import { bytesToCome, parseProxyHeader, type ProxyHeader } from './proxy-protocol.ts';
import type { Preparation } from './prepared-listener.ts';
import type { Endpoint, Socket, SocketOwner } from './reactor/contract.ts';

/** Milliseconds that a proxy has to send its header, which it does at once. */
const TIMEOUT = 10_000;

/** For a listener whose every connection comes from a proxy, and begins with a header. */
export function proxied(isProxy: (peer: Endpoint) => boolean): Preparation {
  return {
    step: 'PROXY header',
    timeout: TIMEOUT,
    prepare(socket, onDone) {
      if (isProxy(socket.remoteAddress)) {
        const reading = new HeaderReader(socket, onDone);
        return () => reading.end();
      }
      socket.reset();
      let isAwaited = true;
      queueMicrotask(() => {
        if (isAwaited) onDone(new ProtocolError('expected it from a source that proxyProtocol names'), null);
      });
      return () => (isAwaited = false);
    },
  };
}

class HeaderReader implements SocketOwner {
  readonly #socket: Socket;
  readonly #onDone: (error: Error | null, prepared: Socket | null) => void;
  #bytes = Buffer.alloc(0);

  constructor(socket: Socket, onDone: (error: Error | null, prepared: Socket | null) => void) {
    this.#socket = socket;
    this.#onDone = onDone;
    socket.owner = this;
    socket.wantRead(true);
  }

  end(): void {
    this.#socket.reset();
  }

  onReadable(): void {
    const socket = this.#socket;
    try {
      let header: ProxyHeader | undefined;
      while ((header = parseProxyHeader(this.#bytes)) === undefined) {
        if (!this.#readMore()) {
          socket.wantRead(true);
          return;
        }
      }
      if (header.source !== null) socket.remoteAddress = header.source;
      if (header.destination !== null) socket.localAddress = header.destination;
    } catch (error) {
      socket.reset();
      this.#onDone(error as Error, null);
      return;
    }
    socket.owner = null;
    this.#onDone(null, socket);
  }

  onSent(): void {}

  /** False if nothing is there. */
  #readMore(): boolean {
    const more = Buffer.allocUnsafe(bytesToCome(this.#bytes));
    const size = this.#socket.readInto(more);
    if (size === undefined) return false;
    if (size === 0)
      throw new ProtocolError(`the stream ended after ${this.#bytes.byteLength} bytes of a header`);
    this.#bytes = Buffer.concat([this.#bytes, more.subarray(0, size)]);
    return true;
  }
}
