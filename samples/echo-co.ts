// The same server on `co` and promises over node:net. Notice what `co` leaves to its user: turning the
// socket's events into promises, one for each way in which a wait can end; back-pressure; and that
// nothing waits for a client's coroutine, or can cancel it.

import { once } from 'node:events';
import net from 'node:net';
import co from 'co';

function* echo(socket: net.Socket): Generator<Promise<unknown>, void> {
  for (;;) {
    let data: Buffer | null;
    while ((data = socket.read() as Buffer | null) === null) {
      if (socket.readableEnded) {
        socket.end();
        return;
      }
      yield firstOf(socket, 'readable', 'end');
    }
    if (!socket.write(data)) yield firstOf(socket, 'drain');
  }
}

/** Waits for one of several events; the listeners of the others must be taken away by hand. */
async function firstOf(socket: net.Socket, ...events: string[]): Promise<void> {
  const others = new AbortController();
  const waits = events.map((event) => once(socket, event, { signal: others.signal }));
  try {
    await Promise.race(waits);
  } finally {
    others.abort();
    await Promise.allSettled(waits);
  }
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  co(echo, socket).catch((error: Error) => {
    console.error(socket.remoteAddress, error.message);
    socket.destroy();
  });
});

// Not `??`: for node:net an empty host is every interface.
server.listen(Number(process.env['PORT'] || 9981), process.env['HOST'] || '127.0.0.1', () => {
  const { address, port } = server.address() as net.AddressInfo;
  console.log(`echo server (co) listening on ${address}:${port}`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => server.close());
