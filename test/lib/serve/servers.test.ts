import { once } from 'node:events';
import type net from 'node:net';
import t from 'tap';
import {
  type Acceptor,
  dial,
  listen,
  pause,
  reactorName,
  run,
  serve,
  serveHttp,
  sleep,
  spawn,
  wait,
} from '../../../lib/index.ts';
import { failure, withPair } from '../../support/connection/pair.ts';
import {
  connect,
  listenPlain,
  portOf,
  readAll,
  socketPath,
  startConnect,
  takeSilently,
  until,
} from '../../support/connection/peers.ts';
import { echo, serving } from '../../support/connection/serving.ts';

t.test('a client that half-closes still gets its answer', async (t) => {
  const server = await serving(echo);
  const peer = await connect(server);
  peer.end('hello');
  t.equal(String(await readAll(peer)), 'hello');
  server.stop();
  await server.ended;
});

t.test('serve gives each client a coroutine, and a client’s error ends only its own', async (t) => {
  const errors: [string, string][] = [];
  const server = await serving(
    function* (conn) {
      const data = yield* conn.read();
      if (String(data) === 'boom') throw new Error('boom');
      yield* conn.write(data!);
      yield* echo(conn);
    },
    { onError: (error, conn) => errors.push([(error as Error).message, String(conn?.remoteAddress)]) },
  );
  const good = await connect(server);
  good.write('a');
  t.equal(String((await once(good, 'data'))[0]), 'a');
  const bad = await connect(server);
  bad.write('boom');
  t.equal(String(await readAll(bad)), '', 'its connection is closed');
  t.same(errors, [['boom', `127.0.0.1:${bad.localPort}`]]);
  bad.end();
  good.write('b');
  t.equal(String((await once(good, 'data'))[0]), 'b');
  const reset = await connect(server);
  reset.write('c');
  await once(reset, 'data');
  reset.resetAndDestroy();
  await until(() => errors.length === 2);
  t.match(errors[1]![0], 'ECONNRESET');
  good.end();
  server.stop();
  await server.ended;
});

t.test('serve prints errors when nobody asked for them', async (t) => {
  const printed: unknown[][] = [];
  const { error: original } = console;
  console.error = (...args: unknown[]) => printed.push(args);
  const server = await serving(function* () {
    yield* pause();
    throw new Error('boom');
  });
  const peer = await connect(server);
  await readAll(peer);
  peer.end();
  server.stop();
  await server.ended;
  console.error = original;
  t.match(printed, [[/^skein: client 127\.0\.0\.1:\d+:$/, { message: 'boom' }]]);
});

t.test('a peer cannot flood stderr with errors of accepting', async (t) => {
  const printed: unknown[][] = [];
  const { error: original } = console;
  console.error = (...args: unknown[]) => printed.push(args);
  const since = performance.now();
  let isFrom = 0;
  const refused = async (port: number): Promise<void> => {
    const peer = await connect({ port });
    peer.write('no header of a proxy\r\n');
    await readAll(peer).catch(() => {});
    peer.destroy();
    isFrom++;
  };
  const plain = await serving(echo, { proxyProtocol: true });
  let httpPort = 0;
  const stop = new AbortController();
  const onListening = ({ port }: { port: number }): void => void (httpPort = port);
  const http = run(() =>
    serveHttp(0, () => pause(), { proxyProtocol: true, signal: stop.signal, onListening }),
  );
  await until(() => httpPort > 0);
  for (let count = 0; count < 10; count++) {
    await refused(plain.port);
    await refused(httpPort);
  }
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  await refused(plain.port);
  plain.stop();
  stop.abort();
  await Promise.all([plain.ended, http]);
  console.error = original;
  const seconds = (performance.now() - since) / 1_000;
  t.ok(printed.length >= 2 && printed.length <= seconds + 1, `${printed.length} lines in ${seconds} s`);
  t.match(printed[0], ['skein:', { code: 'ERR_PROTOCOL' }]);
  const others = printed.map(([who]) => Number(/\((\d+) more like this/.exec(String(who))?.[1] ?? 0));
  t.equal(printed.length + others.reduce((sum, count) => sum + count), isFrom, 'each is printed or counted');
});

t.test('N3 a write that fails after its handler has ended goes to onError', async (t) => {
  const errors: unknown[] = [];
  const server = await serving(
    function* (conn) {
      conn.send(Buffer.alloc(20_000_000));
      yield* pause();
    },
    { onError: (error) => errors.push(error) },
  );
  const peer = await connect(server);
  peer.pause();
  await new Promise((resolve) => setTimeout(resolve, 20));
  peer.resetAndDestroy();
  await until(() => errors.length === 1);
  t.match(errors[0], { code: /EPIPE|ECONNRESET/ });
  server.stop();
  await server.ended;
});

t.test('serve ends in stages: no new clients, those there finish, the rest is cut off', async (t) => {
  const log: string[] = [];
  const server = await serving(
    function* (conn) {
      const name = String(yield* conn.read());
      try {
        if (name === 'quick') yield* sleep(20);
        else yield* sleep(60_000);
        log.push(`${name} finished`);
      } catch (error) {
        log.push(`${name} ${(error as Error).name}`);
        throw error;
      }
    },
    { grace: 100, onError: (error, conn) => log.push(`${String(conn?.remoteAddress)} ${String(error)}`) },
  );
  const peers: net.Socket[] = [];
  for (const name of ['quick', 'slow']) {
    const peer = await connect(server);
    peer.write(name);
    peer.on('end', () => peer.end());
    peer.resume();
    peers.push(peer);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  const slow = peers[1]!.localPort;
  server.stop();
  await once(startConnect(server), 'error');
  await server.ended;
  const cutOff = 'TimeoutError: cut off after 100 ms of grace, while sleeping for 60000 ms';
  t.same(log, ['quick finished', `127.0.0.1:${slow} ${cutOff}`, 'slow AbortError']);
  for (const peer of peers) peer.destroy();
});

t.test('cancelling serve cancels its handlers at once', async (t) => {
  let state = 'none';
  const stop = new AbortController();
  let acceptor!: Acceptor;
  const ended = run(
    function* () {
      acceptor = yield* listen(0);
      yield* serve(acceptor, function* (conn) {
        state = 'running';
        try {
          yield* conn.read();
        } finally {
          state = 'ended';
        }
      });
    },
    { signal: stop.signal },
  );
  await until(() => acceptor !== undefined);
  const peer = await connect(acceptor.address);
  await until(() => state === 'running');
  stop.abort(new Error('enough'));
  await t.rejects(ended, { name: 'AbortError', cause: { message: 'enough' } });
  t.equal(state, 'ended');
  t.ok(acceptor.isClosed);
  peer.destroy();
});

t.test('serve returns when its signal has aborted before, and refuses bad arguments', async (t) => {
  await run(() => serve(0, echo, { signal: AbortSignal.abort() }));
  await t.rejects(
    run(() => serve(0, 5 as never)),
    TypeError,
  );
  await t.rejects(
    run(() => serve(0, echo, { grace: -1 })),
    TypeError,
  );
  await t.rejects(
    run(() => serve('host:', echo)),
    TypeError,
  );
  await run(() =>
    withPair(function* ({ acceptor }) {
      const error = yield* failure(() => serve(acceptor.address, echo));
      t.match(error, { code: 'EADDRINUSE', syscall: 'listen' });
    }),
  );
});

t.test('those who accept are served first come, first served', (t) =>
  run(function* () {
    const acceptor = yield* listen(0);
    const order: string[] = [];
    const waiting = ['a', 'b', 'c'].map((name) =>
      spawn(function* () {
        (yield* acceptor.accept()).close();
        order.push(name);
      }),
    );
    yield* pause();
    t.equal(waiting[0]!.describe(), `accepting on ${acceptor.address}`);
    waiting[1]!.cancel();
    yield* failure(() => waiting[1]!.join() as never);
    for (let index = 0; index < 2; index++) {
      const peer = yield* wait(connect(acceptor.address));
      peer.end();
      yield* sleep(5);
    }
    t.same(order, ['a', 'c']);
    const last = spawn(() => acceptor.accept(), { onError: () => {} });
    yield* pause();
    acceptor.close();
    acceptor.close();
    t.equal((yield* failure(() => last.join() as never)).code, 'ERR_CLOSED');
    t.equal((yield* failure(() => acceptor.accept() as never)).code, 'ERR_CLOSED');
  }),
);

t.test('C6 a connection that was accepted wins over a cancellation that comes after it', (t) =>
  run(function* () {
    const acceptor = yield* listen(0);
    let accepted = 0;
    const accepting = spawn(function* () {
      const conn = yield* acceptor.accept();
      accepted++;
      conn.reset();
    });
    yield* pause();
    const peer = startConnect(acceptor.address);
    // The wake-up comes in the same turn of the loop as this check, before the coroutine runs.
    yield* wait(until(() => accepting.state !== 'suspended'));
    accepting.cancel();
    yield* wait(until(() => accepting.state === 'done' || accepting.state === 'cancelled'));
    t.equal(accepted, 1);
    peer.destroy();
    acceptor.close();
  }),
);

t.test('a client that was reset before accept returns is an error of its first read', (t) =>
  run(function* () {
    const acceptor = yield* listen(0);
    const peer = yield* wait(connect(acceptor.address));
    peer.resetAndDestroy();
    yield* sleep(10);
    const conn = yield* acceptor.accept();
    t.equal(conn.remoteAddress.host, '127.0.0.1');
    t.equal((yield* failure(() => conn.read() as never)).code, 'ECONNRESET');
    conn.close();
    acceptor.close();
  }),
);

t.test(
  'refused connections are reported to onError, else as a warning',
  { skip: reactorName() !== 'node' },
  async (t) => {
    for (const isAsked of [true, false]) {
      const errors: Error[] = [];
      const onError = (error: Error & { code?: string }): void => {
        // On a busy machine the thread may seem blocked, which is a process warning as well.
        if (error.code !== 'SKEIN_HELD') errors.push(error);
      };
      process.on('warning', onError);
      await run(function* () {
        const acceptor = yield* listen(0, { maxConnections: 1, ...(isAsked ? { onError } : {}) });
        const peers = [startConnect(acceptor.address), startConnect(acceptor.address)];
        yield* wait(until(() => errors.length === 1));
        t.match(errors[0], {
          code: 'ERR_LIMIT',
          message: /refused a connection from .*: maxConnections is 1/,
        });
        t.equal(errors[0]!.name, isAsked ? 'Error' : 'AcceptWarning');
        t.equal(acceptor.dropped, 1);
        for (const peer of peers) peer.destroy();
        acceptor.close();
      });
      process.removeListener('warning', onError);
    }
  },
);

t.test('dial connects over TCP and Unix sockets', async (t) => {
  for (const address of [0, '127.0.0.1:0', { path: socketPath() }] as const) {
    await run(function* () {
      const acceptor = yield* listen(address);
      spawn(function* () {
        const conn = yield* acceptor.accept();
        yield* echo(conn);
        conn.close();
      });
      const conn = yield* dial(acceptor.address, { timeout: 5000 });
      t.equal(String(conn.remoteAddress), String(acceptor.address));
      yield* conn.write('ping');
      t.equal(String(yield* conn.read()), 'ping');
      yield* conn.end();
      t.equal(yield* conn.read(), null);
      conn.close();
      acceptor.close();
    });
  }
});

t.test('dial fails with the system’s error and the line that dialled', async (t) => {
  const server = await listenPlain(() => {});
  const port = portOf(server);
  server.close();
  await run(function* () {
    const error = yield* failure(function* dialling() {
      yield* dial(port);
    });
    t.match(error, { code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port });
    t.match(error.stack, /dialling[^]*servers\.test\.ts/);
  });
  for (const bad of [70_000, 'host:', { path: '' }]) t.throws(() => dial(bad), TypeError);
  t.throws(() => dial(1, { timeout: NaN }), TypeError);
});

t.test('dial has a deadline', async (t) => {
  const { port, release } = await takeSilently('127.0.0.1');
  await run(function* () {
    const error = yield* failure(() => dial(port, { timeout: 50 }) as never);
    t.match(error, { code: 'ERR_TIMEOUT', address: '127.0.0.1', port });
    t.equal(
      error.message,
      `dialling 127.0.0.1:${port} took more than 50 ms: 127.0.0.1:${port} still connecting`,
    );
  });
  release();
});

t.test('dial and listen can be cancelled', (t) =>
  run(function* () {
    const acceptor = yield* listen(0);
    const attempt = spawn(() => dial(acceptor.address));
    yield* pause();
    t.match(attempt.describe(), 'dialling 127.0.0.1:');
    attempt.cancel();
    t.equal((yield* failure(() => attempt.join() as never)).code, 'ABORT_ERR');
    const binding = spawn(() => listen(0));
    yield* pause();
    t.match(binding.describe(), 'binding 127.0.0.1:0');
    binding.cancel();
    t.equal((yield* failure(() => binding.join() as never)).code, 'ABORT_ERR');
    acceptor.close();
  }),
);
