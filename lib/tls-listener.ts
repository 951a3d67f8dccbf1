// A listener whose connections speak TLS: the handshake is what they do before they are delivered.

import type { Address } from './address.ts';
import { asServer, secure } from './handshake.ts';
import { type PreparedOwner, PreparedListener } from './prepared-listener.ts';
import type { Listener, ListenOptions } from './reactor/contract.ts';
import { reactor } from './the-reactor.ts';
import { HANDSHAKE_TIMEOUT, serverOf, type TlsOptions } from './tls-options.ts';

export function listenTls(
  address: Address,
  options: ListenOptions,
  tls: TlsOptions,
  owner: PreparedOwner,
): Listener {
  const role = asServer(serverOf(tls, 'the tls of listen'));
  return new PreparedListener(
    (inner) => reactor.listen(address, options, inner),
    {
      step: 'TLS',
      timeout: tls.handshakeTimeout ?? HANDSHAKE_TIMEOUT,
      prepare: (socket, onDone) => secure(socket, role, onDone),
    },
    owner,
    () => reactor.hold(),
  );
}
