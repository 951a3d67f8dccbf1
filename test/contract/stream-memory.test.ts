// The byte streams of a network in memory, by the clock of the system: the subjects measure time.

import { Scheduler } from '../../lib/index.ts';
import { memoryNetwork } from '../../lib/testing/index.ts';
import { connected } from '../support/connection/stream-pairs.ts';
import { stream } from './stream.ts';

const network = memoryNetwork();
const inMemory = { scheduler: new Scheduler({ network }), open: () => network.open };

stream({ name: 'memory', makePair: () => connected(9981), afterReset: ['ECONNRESET'], ...inMemory });
stream({
  name: 'memory, IPv6',
  makePair: () => connected('[::1]:0'),
  afterReset: ['ECONNRESET'],
  ...inMemory,
});
const afterReset = ['end', 'ECONNRESET', 'EPIPE'];
stream({ name: 'memory, Unix', makePair: () => connected({ path: '/chat' }), afterReset, ...inMemory });
