// Which reactor: the one over epoll where its addon loads, else the portable one. SKEIN_REACTOR decides otherwise.

import { loadAddon } from './epoll/addon.ts';
import { EpollReactor } from './epoll/reactor.ts';
import { NodeReactor } from './node/reactor.ts';

/** @throws TypeError for a `wish` that names none; Error if the one that is wished for cannot be had */
export function chooseReactor(wish = process.env['SKEIN_REACTOR']): EpollReactor | NodeReactor {
  if (wish !== undefined && wish !== '' && wish !== 'node' && wish !== 'epoll') {
    throw new TypeError(`expected SKEIN_REACTOR to be 'node' or 'epoll', got '${wish}'`);
  }
  if (wish === 'node') return new NodeReactor();
  try {
    return new EpollReactor(loadAddon());
  } catch (cause) {
    if (wish !== 'epoll') return new NodeReactor();
    throw new Error(`SKEIN_REACTOR is 'epoll', and its addon cannot be used: ${(cause as Error).message}`, {
      cause,
    });
  }
}
