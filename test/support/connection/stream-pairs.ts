// Pairs of streams that `dial` and `listen` make, for the suite of byte streams.

import { type AddressLike, type Co, dial, listen, spawn, type TlsOptions } from '../../../lib/index.ts';
import type { StreamPair } from './streams.ts';
import { clientTls, serverTls } from './tls-pair.ts';

export function* connected(address: AddressLike): Co<StreamPair> {
  const acceptor = yield* listen(address);
  const a = yield* dial(acceptor.address);
  return { a, b: yield* acceptor.accept(), stop: () => acceptor.close() };
}

export function* secured(client: TlsOptions): Co<StreamPair> {
  const acceptor = yield* listen(0, { tls: serverTls() });
  const accepting = spawn(() => acceptor.accept());
  const a = yield* dial(acceptor.address, { tls: clientTls(client) });
  return { a, b: yield* accepting.join(), stop: () => acceptor.close() };
}
