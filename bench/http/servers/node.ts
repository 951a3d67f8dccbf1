// The same answer from node:http alone.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((_, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end('hello, world\n');
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${(server.address() as AddressInfo).port}`));
