// node:net with an async function for each client, and with back-pressure.

import { once } from 'node:events';
import net from 'node:net';
import { announce, BACKLOG } from './announce.ts';

async function echo(socket: net.Socket): Promise<void> {
  for await (const chunk of socket) {
    if (!socket.write(chunk as Buffer)) await once(socket, 'drain');
  }
}

const server = net.createServer({ noDelay: true }, (socket) => {
  echo(socket).catch(() => socket.destroy());
});
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => announce(server.address()));
