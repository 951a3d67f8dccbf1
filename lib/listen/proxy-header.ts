// What a connection behind a proxy does first: it reads the proxy's header, and takes its addresses. Invariant: not a
// byte behind the header is read, since those belong to the client, and may be its TLS handshake. Where a header ends
// is known only from its own bytes, so the first few come together, and those of a line one by one. Below: which peers
// are taken for proxies, since whoever may send a header can claim to be anybody.

import { BlockList, isIP } from 'node:net';
import { inWords } from '../../scheduler/kernel/errors.ts';
import { ProtocolError } from '../common/errors.ts';
import type { Endpoint, Socket, SocketOwner } from '../reactor/contract.ts';
import type { Preparation } from './prepared-listener.ts';
import { bytesToCome, parseProxyHeader, type ProxyHeader } from './proxy-protocol.ts';

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

/** Proxies on this machine: loopback, as RFC 1122 (section 3.2.1.3) and RFC 4291 (section 2.5.3) have it. */
const LOOPBACK = ['127.0.0.0/8', '::1'];

/**
 * The test of a peer for the `proxyProtocol` of `listen`; undefined if no proxy is expected. A peer on a Unix socket was let
 * in by the rights of its file, and passes.
 *
 * @throws TypeError if it is neither true or false nor a list of addresses and subnets
 */
export function proxySources(
  option: boolean | readonly string[] = false,
): ((peer: Endpoint) => boolean) | undefined {
  if (option === false) return undefined;
  const sources = option === true ? LOOPBACK : option;
  if (!Array.isArray(sources)) throw malformed(option);
  const trusted = new BlockList();
  for (const source of sources as unknown[]) add(trusted, source);
  return ({ host }) => {
    if (host === '') return true;
    // A link-local address is as trusted on one interface as on another: lists know no zones.
    return trusted.check(host.split('%', 1)[0]!, isIP(host) === 6 ? 'ipv6' : 'ipv4');
  };
}

function add(trusted: BlockList, source: unknown): void {
  if (typeof source !== 'string') throw malformed(source);
  const [address, bits, ...more] = source.split('/');
  const version = isIP(address!);
  const longest = version === 6 ? 128 : 32;
  const isSubnet = bits !== undefined;
  if (version === 0 || address!.includes('%') || more.length > 0) throw malformed(source);
  if (isSubnet && !(/^\d{1,3}$/.test(bits) && Number(bits) <= longest)) throw malformed(source);
  trusted.addSubnet(address!, isSubnet ? Number(bits) : longest, version === 6 ? 'ipv6' : 'ipv4');
}

function malformed(what: unknown): TypeError {
  const expected = "true, false or a list of IP addresses and subnets ('10.0.0.0/8')";
  return new TypeError(`proxyProtocol should be ${expected}, got ${inWords(what)}`);
}
