// What a handshake has found out. It is copied at once, since Node forgets it when the connection is closed.
// It stands beside the socket, not in it: reactors know nothing of TLS.

import type tls from 'node:tls';
import type { X509Certificate } from 'node:crypto';
import type { Socket } from '../reactor/contract.ts';

/**
 * What was agreed on in the handshake of a TLS connection: `conn.tls`.
 *
 * @example
 * ```ts
 * import { type Connection } from 'skein';
 *
 * function describe(conn: Connection): string {
 *   if (conn.tls === null) return 'in the clear';
 *   const { protocol, cipher, alpnProtocol } = conn.tls;
 *   return `${protocol}, ${cipher}, ${alpnProtocol ?? 'no ALPN'}, ${conn.tls.peerCertificate()?.subject}`;
 * }
 * console.log(describe.name);
 * ```
 */
export class TlsInfo {
  /** `'TLSv1.3'` or `'TLSv1.2'`. */
  readonly protocol: string;
  /** By the name of the standard: `'TLS_AES_256_GCM_SHA384'`. */
  readonly cipher: string;
  /** The protocol that ALPN has chosen; null if none. */
  readonly alpnProtocol: string | null;
  /** The name that the client has asked for; null if none. */
  readonly servername: string | null;
  /** The peer has shown a certificate that was verified. */
  readonly authorized: boolean;
  /** Why it was not verified, such as `'CERT_HAS_EXPIRED'`; null if it was, or if no certificate was asked for. */
  readonly authorizationError: string | null;
  readonly #certificate: X509Certificate | null;
  readonly #stream: tls.TLSSocket;

  /** @internal */
  constructor(stream: tls.TLSSocket) {
    this.#stream = stream;
    this.protocol = stream.getProtocol() ?? '';
    this.cipher = stream.getCipher().standardName;
    this.alpnProtocol = stream.alpnProtocol || null;
    this.servername = (stream as { servername?: string | false | null }).servername || null;
    this.authorized = stream.authorized;
    const error = stream.authorizationError as Error | string | null | undefined;
    this.authorizationError = error instanceof Error ? error.message : (error ?? null);
    this.#certificate = stream.getPeerX509Certificate() ?? null;
  }

  /** The peer's certificate; null if it has shown none. */
  peerCertificate(): X509Certificate | null {
    return this.#certificate;
  }

  /** @internal Node's own, which knows more as long as it is open. */
  get stream(): tls.TLSSocket {
    return this.#stream;
  }
}

const infos = new WeakMap<Socket, TlsInfo>();

export function setTlsInfo(socket: Socket, info: TlsInfo): void {
  infos.set(socket, info);
}

/** Null for a socket without TLS. */
export function tlsInfoOf(socket: Socket): TlsInfo | null {
  return infos.get(socket) ?? null;
}
