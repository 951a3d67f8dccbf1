// The same server with async functions over node:net. Notice what the loop needs around it: the option that keeps it
// from destroying the socket before all is sent, a wait for 'drain' at each write, and a listener and a `catch` for
// errors, since one that nobody hears ends the process. A function that was started cannot be ended from outside.

import { once } from 'node:events';
import net from 'node:net';

async function echo(socket: net.Socket): Promise<void> {
  for await (const data of socket.iterator({ destroyOnReturn: false })) {
    if (!socket.write(data as Buffer)) await once(socket, 'drain');
  }
  socket.end();
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', (error) => console.error(socket.remoteAddress, error.message));
  echo(socket).catch(() => socket.destroy());
});

// Not `??`: for node:net an empty host is every interface.
server.listen(Number(process.env['PORT'] || 9981), process.env['HOST'] || '127.0.0.1', () => {
  const { address, port } = server.address() as net.AddressInfo;
  console.log(`echo server (async) listening on ${address}:${port}`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => server.close());
