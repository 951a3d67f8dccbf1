// The listener of an acceptor, with what its connections do before they are delivered: what a proxy says of the client
// comes first of all bytes, and the TLS handshake behind it.

import type { Address } from '../common/address.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { networkOf } from '../common/current-reactor.ts';
import type { Listener, ListenOptions, Reactor } from '../reactor/contract.ts';
import { asServer, secure } from '../tls/handshake.ts';
import { HANDSHAKE_TIMEOUT, handshakeLimit, serverOf, type TlsOptions } from '../tls/options.ts';
import { type Preparation, PreparedListener, type PreparedOwner } from './prepared-listener.ts';
import { proxied, proxySources } from './proxy-header.ts';

/** What comes before a connection is delivered. */
interface Preludes extends ListenOptions {
  readonly tls?: TlsOptions | undefined;
  readonly proxyProtocol?: boolean | readonly string[] | undefined;
}

export function openListener(
  address: Address,
  options: Preludes,
  scheduler: Scheduler,
  owner: PreparedOwner,
): Listener {
  const reactor = networkOf(scheduler);
  const { tls } = options;
  const isProxy = proxySources(options.proxyProtocol);
  let open = (whose: PreparedOwner): Listener => reactor.listen(address, options, whose);
  if (isProxy !== undefined) open = prepared(scheduler, open, proxied(isProxy));
  if (tls !== undefined) open = prepared(scheduler, open, handshake(reactor, tls));
  return open(owner);
}

type Open = (owner: PreparedOwner) => Listener;

function prepared(scheduler: Scheduler, open: Open, preparation: Preparation): Open {
  return (owner) =>
    new PreparedListener(open, preparation, owner, () => networkOf(scheduler).hold(), scheduler);
}

function handshake(reactor: Reactor, tls: TlsOptions): Preparation {
  const role = asServer(serverOf(tls, 'the tls of listen'));
  return {
    step: 'TLS',
    timeout: handshakeLimit(tls, HANDSHAKE_TIMEOUT),
    prepare: (socket, onDone) => secure(reactor, socket, role, onDone),
  };
}
