// Peers in a network in memory, in place of those over node:net: streams that another reactor of the machine has made.

import type net from 'node:net';
import type { Endpoint, Reactor, Socket } from '../../../lib/reactor/contract.ts';
import type { Machine } from '../../../lib/reactor/simulated/machine.ts';
import { MemoryReactor } from '../../../lib/reactor/simulated/reactor.ts';
import type { Peers } from '../connection/peers.ts';

export function memoryPeers(machine: Machine): Peers {
  const reactor: Reactor = new MemoryReactor(machine);
  const detached = (socket: Socket): net.Socket => {
    const stream = socket.detach() as net.Socket;
    stream.on('error', () => {});
    return stream;
  };
  const dial = (to: Partial<Endpoint>, onConnect: (peer: net.Socket) => void, onError: () => void) =>
    reactor.connect(
      { host: '127.0.0.1', port: 0, path: '', ...to },
      { onConnect: (socket) => onConnect(detached(socket)), onConnectError: onError },
    );
  return {
    startConnect(to) {
      let peer: net.Socket | null = null;
      const end = dial(
        to,
        (connected) => (peer = connected),
        () => {},
      );
      return { destroy: () => (peer === null ? end() : void peer.destroy()) };
    },
    connect: (to) => new Promise((resolve, reject) => dial(to, resolve, () => reject(new Error('refused')))),
    listenPlain: (onSocket) =>
      new Promise((resolve, reject) => {
        const listener = reactor.listen(
          { host: '127.0.0.1', port: 0, path: '' },
          {},
          {
            onListening() {
              listener.want();
              resolve({ port: listener.address.port, close: () => listener.close() });
            },
            onListenError: reject,
            onClosed() {},
            onConnection() {
              for (let socket; (socket = listener.take()) !== undefined;) onSocket(detached(socket));
              listener.want();
            },
            onAcceptError: reject,
          },
        );
      }),
  };
}
