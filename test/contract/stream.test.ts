import { networkInterfaces } from 'node:os';
import t from 'tap';
import { noOpenssl } from '../support/connection/certificates.ts';
import { socketPath } from '../support/connection/peers.ts';
import { connected, secured } from '../support/connection/stream-pairs.ts';
import { stream } from './stream.ts';

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
