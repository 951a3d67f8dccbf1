// Listens at a path with a queue of one, accepts nobody until a line comes on stdin, then closes whoever comes.

import { readSync } from 'node:fs';
import net from 'node:net';

net
  .createServer((socket) => void socket.on('error', () => {}).end())
  .listen({ path: process.argv[2], backlog: 1 }, () => {
    console.log('full soon');
    // The thread is blocked: the loop takes nobody from the queue.
    readSync(0, Buffer.alloc(1));
    console.log('accepting');
  });
