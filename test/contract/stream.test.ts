import { networkInterfaces } from 'node:os';
import t from 'tap';
import { type AddressLike, type Co, dial, listen, spawn, type TlsOptions } from '../../lib/index.ts';
import { noOpenssl } from '../support/connection/certificates.ts';
import { socketPath } from '../support/connection/peers.ts';
import type { StreamPair } from '../support/connection/streams.ts';
import { clientTls, serverTls } from '../support/connection/tls-pair.ts';
import { stream } from './stream.ts';

function* connected(address: AddressLike): Co<StreamPair> {
  const acceptor = yield* listen(address);
  const a = yield* dial(acceptor.address);
  return { a, b: yield* acceptor.accept(), stop: () => acceptor.close() };
}

function* secured(client: TlsOptions): Co<StreamPair> {
  const acceptor = yield* listen(0, { tls: serverTls() });
  const accepting = spawn(() => acceptor.accept());
  const a = yield* dial(acceptor.address, { tls: clientTls(client) });
  return { a, b: yield* accepting.join(), stop: () => acceptor.close() };
}

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

stream({ name: 'TCP', makePair: () => connected(0), afterReset: ['ECONNRESET'] });
if (hasIPv6) {
  stream({ name: 'TCP over IPv6', makePair: () => connected('[::1]:0'), afterReset: ['ECONNRESET'] });
} else t.comment('no ::1 on this machine');
// A Unix socket knows no reset: it may look like an end, or be told to a writer first.
const afterReset = ['end', 'ECONNRESET', 'EPIPE'];
stream({ name: 'Unix', makePair: () => connected({ path: socketPath() }), afterReset });
// libuv takes a reset behind bytes that TLS has not read yet for an end.
if (noOpenssl === false) {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    stream({ name: maxVersion, makePair: () => secured({ maxVersion }), afterReset });
  }
} else t.comment(noOpenssl);
