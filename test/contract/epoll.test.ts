import t from 'tap';
import { EpollReactor } from '../../lib/reactor/epoll.ts';
import { type Addon, loadAddon } from '../../lib/reactor/native.ts';
import { contract } from './reactor.ts';

let addon: Addon | undefined;
try {
  addon = loadAddon();
} catch (error) {
  t.comment(String(error));
}
if (addon === undefined) t.comment('the addon was not built, or this is not Linux');
else contract(new EpollReactor(addon), { isEager: false });
