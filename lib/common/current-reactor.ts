// Which network a scheduler's sockets stand on: the one that it was given, or else the one reactor of this thread.
// Invariant: that one is made for the first socket that needs it, and not when this module is loaded. A program that
// only uses coroutines opens no descriptor.

import { outside } from '../../scheduler/kernel/async-context.ts';
import { inWords } from '../../scheduler/kernel/errors.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { defaultScheduler } from '../../scheduler/kernel/scheduler.ts';
import { chooseReactor } from '../reactor/choose.ts';
import type { Reactor } from '../reactor/contract.ts';

type SystemReactor = ReturnType<typeof chooseReactor>;

let shared: SystemReactor | null = null;

/** The reactor of this thread. */
export function sharedReactor(): SystemReactor {
  // In nobody's context: what it keeps would be that of whoever has made the first socket.
  shared ??= outside(open);
  return shared;
}

function open(): SystemReactor {
  const reactor = chooseReactor();
  reactor.host = defaultScheduler;
  // What was written just before `process.exit`, or an error that nobody caught, goes out all the same.
  process.once('exit', () => reactor.flush());
  return reactor;
}

/** @throws TypeError if the scheduler was given something else as its network */
export function networkOf(scheduler: Scheduler): Reactor {
  const network = (scheduler.network ??= sharedReactor());
  if (network === shared) return shared;
  if (!isReactor(network))
    throw new TypeError(`Scheduler expects a network such as memoryNetwork(), got ${inWords(network)}`);
  network.attach?.(scheduler);
  return network;
}

function isReactor(network: object): network is Reactor {
  const { listen, connect, adopt } = network as Partial<Reactor>;
  return [listen, connect, adopt].every((method) => typeof method === 'function');
}

/**
 * Which reactor this process uses: `'epoll'` on Linux where the addon loads, else `'node'`. The environment
 * variable `SKEIN_REACTOR` chooses; it is looked at when the first socket is made, or here.
 *
 * @example
 * ```ts
 * import { reactorName } from 'skein';
 *
 * console.log(['epoll', 'node'].includes(reactorName())); // true
 * ```
 */
export function reactorName(): 'epoll' | 'node' {
  return sharedReactor().name;
}
