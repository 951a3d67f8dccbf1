// The reactor of this thread.

import { currentScheduler } from '../../scheduler/run.ts';
import { chooseReactor } from '../reactor/choose.ts';

export const reactor = chooseReactor();
reactor.host = currentScheduler();
// What was written just before `process.exit`, or an error that nobody caught, goes out all the same.
process.once('exit', () => reactor.flush());

/**
 * Which reactor this process uses: `'epoll'` on Linux where the addon loads, else `'node'`. The environment
 * variable `SKEIN_REACTOR` chooses; it is looked at when skein is loaded.
 *
 * @example
 * ```ts
 * import { reactorName } from 'skein';
 *
 * console.log(['epoll', 'node'].includes(reactorName())); // true
 * ```
 */
export function reactorName(): 'epoll' | 'node' {
  return reactor.name;
}
