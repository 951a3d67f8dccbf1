// The reactor of this process.

import type { Reactor } from './contract.ts';
import { NodeReactor } from './node.ts';

export const reactor: Reactor = new NodeReactor();
