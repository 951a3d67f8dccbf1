// co over node:net, as in samples/echo-co.ts: each wait is put together from the socket's events.

import { once } from 'node:events';
import net from 'node:net';
import co from 'co';
import { announce, BACKLOG } from './announce.ts';

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

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  co(echo, socket).catch(() => socket.destroy());
});
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => announce(server.address()));
