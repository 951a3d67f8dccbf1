// W3: the network in memory is held to the suites of the other reactors.

import { Machine } from '../../lib/reactor/simulated/machine.ts';
import { MemoryReactor } from '../../lib/reactor/simulated/reactor.ts';
import { memoryPeers } from '../support/network/memory-peers.ts';
import { datagrams } from './datagrams.ts';
import { oddStreams } from './odd-streams.ts';
import { contract } from './reactor.ts';

const machine = new Machine(new Map());
const reactor = new MemoryReactor(machine);
contract(reactor, { isEager: false, peers: memoryPeers(machine) });
oddStreams(reactor);
datagrams(reactor);
