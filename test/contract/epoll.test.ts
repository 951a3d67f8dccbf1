import { EpollReactor } from '../../lib/reactor/epoll.ts';
import { withAddon } from '../support/bare.ts';
import { contract } from './reactor.ts';

withAddon((addon) => contract(new EpollReactor(addon), { isEager: false }));
