// The reactor of this thread. It is made in the context of nobody: what it calls back would else run in the
// AsyncLocalStorage of whoever happened to import skein first.

import { outside } from '../scheduler/context.ts';
import { currentScheduler } from '../scheduler/run.ts';
import { chooseReactor } from './reactor/index.ts';

export const reactor = outside().runInAsyncScope(chooseReactor);
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
