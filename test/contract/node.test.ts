import { NodeReactor } from '../../lib/reactor/node/reactor.ts';
import { oddStreams } from './odd-streams.ts';
import { contract } from './reactor.ts';

contract(new NodeReactor(), { isEager: true });
oddStreams(new NodeReactor());
