// What engines do differently. Stores of AsyncLocalStorage must not travel from one client to the next, nor from whoever
// has loaded skein.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { type Co, formatDump, run, scope, sleep, spawn } from '../../../lib/index.ts';
import { runProgram } from '../../support/programs/program.ts';

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

/** Hands on what a generator yields in results of its own, as `yield*` does in the engine of Bun. */
function* handedOn<T>(inner: Co<T>): Co<T> {
  for (;;) {
    const { done, value } = inner.next();
    if (done === true) return value as T;
    yield value as never;
  }
}

t.test('a suspension in a result of the engine is one all the same', async (t) => {
  await run(() =>
    handedOn(
      scope(function* (jobs) {
        jobs.spawn(() => handedOn(sleepily()), { daemon: true, name: 'sleeper' });
        yield* sleep(1);
        t.match(formatDump(), /sleeper #\d+, suspended, .*: sleeping for 60000 ms/);
      }),
    ),
  );
  await run(function* () {
    const child = spawn(() => handedOn(sleepily()));
    yield* sleep(1);
    child.cancel();
  });
});

function* sleepily(): Co<void> {
  yield* sleep(60_000);
}

t.test('a thread that ends itself has closed its UDP sockets, at which Node 20 may abort', async (t) => {
  const thread = `
    const { parentPort } = require('node:worker_threads');
    const source = import('tsx/esm/api').then(({ register }) => (register(), import('skein')));
    source.then(({ bindUdp, run }) => run(function* () {
      const socket = yield* bindUdp(0);
      process.once('exit', () => parentPort.postMessage(socket.isClosed));
      process.exit();
    }));
  `;
  const worker = new Worker(thread, { eval: true, execArgv: ['--conditions=skein-source'] });
  const [isClosed] = (await once(worker, 'message')) as [boolean];
  t.ok(isClosed);
});
