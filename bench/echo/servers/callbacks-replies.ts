// node:net, each message of a chunk answered by a write of its own.

import net from 'node:net';
import { announce, BACKLOG, MESSAGE } from './announce.ts';

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('data', (chunk) => {
    const data = chunk as Buffer;
    for (let at = 0; at < data.length; at += MESSAGE) socket.write(data.subarray(at, at + MESSAGE));
  });
  socket.on('error', () => socket.destroy());
});
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => announce(server.address()));
