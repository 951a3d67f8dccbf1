// The stream of a connection over TLS. It shows what `tls.TLSSocket` documents, since that is what frameworks ask the socket
// of an HTTPS request for: `encrypted` makes `req.protocol` and secure cookies, `getPeerCertificate` client certificates.
// The stream of Node's beneath answers, so the answers are Node's; only the peer's certificate is kept from the handshake.

import type { X509Certificate } from 'node:crypto';
import { type DetailedPeerCertificate, type PeerCertificate, TLSSocket } from 'node:tls';
import { ConnectionDuplex } from './connection-duplex.ts';
import type { TlsInfo } from './tls-info.ts';

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

export class SecureDuplex extends ConnectionDuplex {
  readonly #tls: TLSSocket;
  readonly #certificate: X509Certificate | null;

  constructor(info: TlsInfo, ...rest: ConstructorParameters<typeof ConnectionDuplex>) {
    super(...rest);
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

  static {
    for (const name of METHODS) {
      // Not every version of Node has each of them.
      const method: unknown = Reflect.get(TLSSocket.prototype, name);
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
