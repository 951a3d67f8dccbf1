// The echo server in the callback style. Notice what the coroutine version does not need: the next step
// is always another function, the loop is a function that calls itself, and each step must remember to
// close on each kind of end.

import { Acceptor, type Connection, EventLoop } from 'skein';

const event = new EventLoop();

function onNewClient(conn: Connection) {
  event.add(conn);
  echo(conn);
}

function echo(conn: Connection) {
  conn.recv((data, error) => {
    if (error || data === null) {
      close(conn);
      return;
    }
    conn.send(data, (failure) => {
      if (failure) close(conn);
      else echo(conn);
    });
  });
}

function close(conn: Connection) {
  event.del(conn);
  conn.close();
}

const acceptor = new Acceptor(
  { host: process.env['HOST'] || '127.0.0.1', port: Number(process.env['PORT'] || 9981) },
  { onListening: (address) => console.log(`echo server (callbacks) listening on ${address}`) },
);
event.add(acceptor, onNewClient);
event.loop();

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    acceptor.close();
    event.stop();
  });
}
