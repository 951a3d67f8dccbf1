import { EpollReactor } from '../../lib/reactor/epoll/reactor.ts';
import { withAddon } from '../support/connection/bare.ts';
import { oddStreams } from './odd-streams.ts';
import { datagrams } from './datagrams.ts';
import { contract } from './reactor.ts';

withAddon((addon) => {
  const reactor = new EpollReactor(addon);
  contract(reactor, { isEager: false });
  oddStreams(reactor);
  datagrams(reactor);
});
