// node:net as its documentation shows it: what arrives is written back, and nobody waits for anything.

import net from 'node:net';
import { announce, BACKLOG } from './announce.ts';

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('data', (data) => socket.write(data));
  socket.on('error', () => socket.destroy());
});
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => announce(server.address()));
