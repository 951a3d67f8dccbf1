import { NodeReactor } from '../../lib/reactor/node/reactor.ts';
import { oddStreams } from './odd-streams.ts';
import { datagrams } from './datagrams.ts';
import { contract } from './reactor.ts';

contract(new NodeReactor(), { isEager: true });
oddStreams(new NodeReactor());
datagrams(new NodeReactor());
