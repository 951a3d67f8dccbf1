// Faults of the epoll reactor that `npm run test:faults` has found, each as the test that would have found it.

import { constants } from 'node:os';
import t from 'tap';
import type { Socket } from '../../../lib/reactor/contract.ts';
import type { EpollSocket } from '../../../lib/reactor/epoll/socket.ts';
import { EpollReactor } from '../../../lib/reactor/epoll/reactor.ts';
import { SAYS_FAILED } from '../../../lib/reactor/epoll/addon.ts';
import { withAddon } from '../../support/connection/bare.ts';
import { connect, until } from '../../support/connection/peers.ts';

withAddon((addon) => {
  const reactor = new EpollReactor(addon);

  async function pair() {
    let isListening = false;
    const listener = reactor.listen(
      { host: '127.0.0.1', port: 0, path: '' },
      {},
      {
        onListening: () => (isListening = true),
        onListenError: (error) => t.error(error),
        onClosed() {},
        onConnection() {},
        onAcceptError() {},
      },
    );
    await until(() => isListening, 'listening');
    const peer = await connect(listener.address);
    let taken: Socket | undefined;
    await until(() => (taken = listener.take()) !== undefined, 'a connection');
    listener.close();
    const socket = taken as EpollSocket;
    const told = { readable: 0, sent: 0 };
    socket.owner = { onReadable: () => told.readable++, onSent: () => told.sent++ };
    return { socket, peer, told };
  }

  // The kernel may refuse a write for want of memory while the connection lives on. Nobody waits for a write
  // that was gathered, and the peer waits for the answer.
  t.test('a reader is told of a gathered write that has failed', async (t) => {
    const { socket, peer, told } = await pair();
    socket.wantRead();
    socket.record(SAYS_FAILED, constants.errno.ENOBUFS);
    await until(() => told.readable === 1, 'the reader');
    t.throws(() => socket.read(), { code: 'ENOBUFS' });
    t.throws(() => socket.read(), { code: 'ENOBUFS' }, 'and again');
    await new Promise((resolve) => peer.once('end', resolve).resume());
    t.equal(reactor.open, 0, 'the descriptor is given up');
    peer.destroy();
  });

  t.test('a reader who comes after a write has failed gets what has come, and then the error', async (t) => {
    const { socket, peer, told } = await pair();
    peer.write('before');
    await until(() => socket.isReadable, 'input');
    socket.record(SAYS_FAILED, constants.errno.ENOBUFS);
    await until(() => told.sent === 1, 'the writer');
    t.equal(told.readable, 0, 'nobody had asked');
    t.equal(String(socket.read()), 'before');
    socket.wantRead();
    await until(() => told.readable === 1, 'the reader');
    t.throws(() => socket.readInto(Buffer.alloc(8)), { code: 'ENOBUFS' });
    t.equal(reactor.open, 0);
    peer.destroy();
  });
});
