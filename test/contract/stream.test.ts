import { networkInterfaces } from 'node:os';
import t from 'tap';
import { type AddressLike, type Co, dial, listen } from '../../lib/index.ts';
import { socketPath } from '../support/peers.ts';
import type { StreamPair } from '../support/streams.ts';
import { stream } from './stream.ts';

function* connected(address: AddressLike): Co<StreamPair> {
  const acceptor = yield* listen(address);
  const a = yield* dial(acceptor.address);
  return { a, b: yield* acceptor.accept(), stop: () => acceptor.close() };
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
