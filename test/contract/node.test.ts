import { NodeReactor } from '../../lib/reactor/node.ts';
import { contract } from './reactor.ts';

contract(new NodeReactor(), { isEager: true });
