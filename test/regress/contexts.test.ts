// Stores of AsyncLocalStorage must not travel from one client to the next, nor from whoever has loaded skein.

import t from 'tap';
import { runProgram } from '../support/program.ts';

t.test(
  'a callback sees no store of the one who loaded skein, nor one that another callback has entered',
  async (t) => {
    const program = `
    import { AsyncLocalStorage } from 'node:async_hooks';
    import net from 'node:net';
    const store = new AsyncLocalStorage();
    const { Acceptor, Connector, EventLoop } = await store.run('loader', () => import('skein'));
    // Coroutines wait for the end of the turn, and callbacks do not.
    await new Promise(setImmediate);
    const seen = [];
    const look = () => {
      seen.push(store.getStore());
      store.enterWith('a client');
    };
    const event = new EventLoop();
    const acceptor = new Acceptor(0, { onListening: look });
    event.add(acceptor, (conn) => {
      look();
      event.add(conn);
      conn.recv((data) => {
        look();
        conn.send(data, look);
        conn.close();
      });
    });
    event.loop();
    while (acceptor.address.port === 0) await new Promise(setImmediate);
    for (let client = 0; client < 2; client++) {
      await new Promise((resolve) => {
        new Connector(acceptor.address).connect((conn) => {
          look();
          event.add(conn);
          conn.send('ping', look);
          conn.recv(() => {
            look();
            conn.close();
            resolve();
          });
        });
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    acceptor.close();
    event.stop();
    console.log(seen.length, [...new Set(seen)].map(String).join());
  `;
    const { exited, output } = runProgram(['--input-type=module', '-e', program]);
    t.equal(await exited, 0);
    t.equal(output().trim(), '13 undefined');
  },
);
