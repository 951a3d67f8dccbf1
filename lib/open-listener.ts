// The listener of an acceptor, with what its connections do before they are delivered: what a proxy says of the client
// comes first of all bytes, and the TLS handshake behind it.

import type { Address } from './address.ts';
import { asServer, secure } from './handshake.ts';
import { type Preparation, PreparedListener, type PreparedOwner } from './prepared-listener.ts';
import { PROXIED } from './read-proxy-header.ts';
import type { Listener, ListenOptions } from './reactor/contract.ts';
import { reactor } from './the-reactor.ts';
import { HANDSHAKE_TIMEOUT, serverOf, type TlsOptions } from './tls-options.ts';

/** What comes before a connection is delivered. */
interface Preludes extends ListenOptions {
  readonly tls?: TlsOptions | undefined;
  readonly proxyProtocol?: boolean | undefined;
}

export function openListener(address: Address, options: Preludes, owner: PreparedOwner): Listener {
  const { tls, proxyProtocol = false } = options;
  let open = (whose: PreparedOwner): Listener => reactor.listen(address, options, whose);
  if (proxyProtocol) open = prepared(open, PROXIED);
  if (tls !== undefined) open = prepared(open, handshake(tls));
  return open(owner);
}

type Open = (owner: PreparedOwner) => Listener;

function prepared(open: Open, preparation: Preparation): Open {
  return (owner) => new PreparedListener(open, preparation, owner, () => reactor.hold());
}

function handshake(tls: TlsOptions): Preparation {
  const role = asServer(serverOf(tls, 'the tls of listen'));
  return {
    step: 'TLS',
    timeout: tls.handshakeTimeout ?? HANDSHAKE_TIMEOUT,
    prepare: (socket, onDone) => secure(socket, role, onDone),
  };
}
