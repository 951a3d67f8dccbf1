// skein's callback face. As callbacks.ts, it does not wait until the kernel has taken what it sends.

import { Acceptor, type Connection, EventLoop } from 'skein';
import { options, tell } from './skein.ts';

const event = new EventLoop();

function onNewClient(conn: Connection): void {
  event.add(conn);
  const onData = (data: Buffer | null, error: Error | null): void => {
    if (error !== null || data === null) {
      conn.close();
      return;
    }
    conn.send(data);
    conn.recv(onData);
  };
  conn.recv(onData);
}

event.add(new Acceptor(0, { backlog: options.backlog, onListening: tell }), onNewClient, options.onError);
event.loop();
