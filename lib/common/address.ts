// Addresses as users write them, and as connections show them. One notation for both, so that what one
// side prints the other side can dial.

import { isIPv6 } from 'node:net';
import { inWords } from '../../scheduler/kernel/errors.ts';
import { LONGEST_PATH } from '../reactor/socket-file.ts';

/**
 * A port, `'host:port'`, `'[::1]:port'`, `'unix:/path'`, `{ host, port }` or `{ path }`. A port alone
 * means loopback, for binding too: nobody is exposed by accident. The host `'*'` stands for every address of this
 * machine: `'*:8080'` binds IPv6 and IPv4, or IPv4 where there is no IPv6.
 */
export type AddressLike =
  number | string | { readonly host?: string | undefined; readonly port: number } | { readonly path: string };

/** Where a port alone binds and dials. */
const LOOPBACK = '127.0.0.1';

const EXPECTED = "a port, 'host:port', '[::1]:port', 'unix:/path', { host, port } or { path }";

/** What a name or an IPv4 address may consist of, or `*` alone; an IPv6 address has colons. */
const HOST = /^(?:\*|[^*:[\]\s\p{Cc}]+)$/u;

/**
 * One end of a connection: `host` and `port`, or the `path` of a Unix socket. `String(address)` is in
 * the notation that `dial` and `listen` take; what does not apply is `''` or 0.
 *
 * @example
 * ```ts
 * import { Address } from 'skein';
 *
 * console.log(Address.parse('[::1]:80').port, String(Address.parse(8080))); // 80 127.0.0.1:8080
 * ```
 */
export class Address {
  /** A name or an IP address; '' for a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Of a Unix socket; else ''. */
  readonly path: string;

  /** @internal */
  constructor(host: string, port: number, path = '') {
    this.host = host;
    this.port = port;
    this.path = path;
  }

  /**
   * Reads an address in any of its notations.
   *
   * @throws TypeError that says what was expected and what came
   */
  static parse(address: AddressLike | Address): Address {
    if (address instanceof Address) return address;
    if (typeof address === 'number') return new Address(LOOPBACK, checkPort(address));
    if (typeof address === 'string') return parseText(address);
    if (typeof address !== 'object' || address === null) throw malformed(address);
    const { host = LOOPBACK, port, path } = address as { host?: unknown; port?: unknown; path?: unknown };
    // An address that was copied, as JSON or to another thread, has all three.
    const isPath = path !== undefined && (path !== '' || port === undefined);
    return isPath ? new Address('', 0, checkPath(path)) : new Address(checkHost(host), checkPort(port));
  }

  /** @internal */
  static of({ host, port, path }: { host: string; port: number; path: string }): Address {
    return new Address(host, port, path);
  }

  /** In the notation that `listen` and `dial` take. */
  toString(): string {
    if (this.path !== '') return `unix:${this.path}`;
    if (this.host === '') return 'an unnamed socket';
    return this.host.includes(':') ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }

  /** As `toString`. */
  toJSON(): string {
    return this.toString();
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

function parseText(text: string): Address {
  if (text.startsWith('unix:')) return new Address('', 0, checkPath(text.slice('unix:'.length)));
  // Of the last colon: an IPv6 address has more, and stands in brackets.
  const [, host, port] = /^(\[.*\]|[^:[\]]*):(\d+)$/s.exec(text) ?? [];
  if (host === undefined) throw malformed(text);
  return new Address(checkHost(host, text), checkPort(Number(port)));
}

/** The host without the brackets that an IPv6 address may stand in; `whole` is what it is a part of. */
function checkHost(host: unknown, whole = host): string {
  if (typeof host !== 'string') throw malformed(whole);
  const inner = /^\[(.*)\]$/s.exec(host)?.[1] ?? host;
  if (isIPv6(inner) || (inner === host && HOST.test(host))) return inner;
  throw malformed(whole);
}

function checkPort(port: unknown): number {
  if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new TypeError(`expected a port from 0 to 65535, got ${inWords(port)}`);
}

function checkPath(path: unknown): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) {
    // libuv would cut it off in silence.
    if (Buffer.byteLength(path) <= LONGEST_PATH) return path;
    throw new TypeError(
      `expected a socket path of at most ${LONGEST_PATH} bytes, got ${Buffer.byteLength(path)}`,
    );
  }
  throw new TypeError(`expected the path of a Unix socket, got ${inWords(path)}`);
}

function malformed(what: unknown): TypeError {
  return new TypeError(`expected an address (${EXPECTED}), got ${inWords(what)}`);
}
