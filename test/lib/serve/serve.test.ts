import { once } from 'node:events';
import t from 'tap';
import {
  type Co,
  type Connection,
  dial,
  listen,
  type Latch,
  pause,
  run,
  select,
  serve,
  spawn,
} from '../../../lib/index.ts';
import { connect, readAll, socketPath, startConnect, until } from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';
import { echo, serving } from '../../support/connection/serving.ts';

function* echoUntilStopped(conn: Connection, stopping: Latch): Co<void> {
  for (;;) {
    const next = yield* select({ data: conn.read(), stop: stopping.wait() });
    if (next.key === 'stop') {
      yield* conn.write('bye');
      return;
    }
    if (next.value === null) return;
    yield* conn.write(next.value);
  }
}

t.test('a handler that waits for the end of the server ends by itself', async (t) => {
  const errors: unknown[] = [];
  const server = await serving(echoUntilStopped, { grace: 60_000, onError: (error) => errors.push(error) });
  const peers = await Promise.all([1, 2, 3].map(() => connect(server)));
  for (const peer of peers) {
    peer.write('a');
    t.equal(String((await once(peer, 'data'))[0]), 'a');
  }
  const rests = peers.map((peer) => readAll(peer));
  server.stop();
  t.same((await Promise.all(rests)).map(String), ['bye', 'bye', 'bye']);
  for (const peer of peers) peer.end();
  await server.ended;
  t.same(errors, []);
});

t.test('maxConnections is kept at all addresses together, and nobody else is accepted', async (t) => {
  let clients = 0;
  let most = 0;
  const counted = function* (conn: Connection): Co<void> {
    most = Math.max(most, ++clients);
    yield* echo(conn);
    clients--;
  };
  const server = await serving(counted, { maxConnections: 2, where: [0, 0, { path: socketPath() }] });
  t.equal(server.addresses.length, 3);
  const peers = server.addresses.map((address) => startConnect(address));
  await until(() => clients === 2, 'two clients');
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.equal(clients, 2, 'the third one has to wait');
  const answers = peers.map(async (peer) => {
    peer.end('x');
    return String(await readAll(peer));
  });
  t.same(await Promise.all(answers), ['x', 'x', 'x'], 'each is served in its turn');
  t.equal(most, 2);
  server.stop();
  await server.ended;
});

t.test('a server that is full ends when it is asked to', async (t) => {
  const server = await serving(echo, { maxConnections: 1 });
  const peer = await connect(server);
  peer.write('a');
  await once(peer, 'data');
  server.stop();
  peer.end();
  await server.ended;
  t.pass('it did not wait for room for another client');
});

t.test('serve goes on while one of its acceptors is open', (t) =>
  run(function* () {
    const first = yield* listen(0);
    const second = yield* listen(0);
    const server = spawn(() => serve([first, second], echo));
    yield* pause();
    first.close();
    const conn = yield* dial(second.address);
    yield* conn.write('hello');
    t.equal(String(yield* conn.read()), 'hello');
    conn.close();
    t.equal(server.state, 'suspended');
    second.close();
    yield* server.join();
  }),
);

t.test('an address that is taken closes what was bound before it', async (t) => {
  const server = await serving(echo);
  const path = socketPath();
  await t.rejects(
    run(() => serve([{ path }, server.port], echo)),
    { code: 'EADDRINUSE' },
  );
  const [error] = await once(startConnect({ path, port: 0 }), 'error');
  t.match(error, { code: /ENOENT|ECONNREFUSED/ });
  server.stop();
  await server.ended;
});

t.test('T2 idleTimeout goes to each connection', async (t) => {
  const errors: string[] = [];
  const server = await serving(echo, {
    idleTimeout: 30,
    onError: (error, conn) => errors.push(`${String(error)} (${String(conn?.remoteAddress)})`),
  });
  const peer = await connect(server);
  peer.write('a');
  t.equal(String(await readAll(peer)), 'a');
  peer.end();
  t.match(errors, [/^TimeoutError: no byte from or to 127\.0\.0\.1:\d+ for 30 ms \(127\.0\.0\.1:\d+\)$/]);
  server.stop();
  await server.ended;
});

const program = (options: string) => `
  import { run, serve } from 'skein';
  await run(() => serve(0, function* (conn) {
    for (let data; (data = yield* conn.read()) !== null; ) yield* conn.write(data);
  }, { onListening: ({ port }) => console.log(port), ${options} }));
  console.log(process.listenerCount('SIGTERM') + process.listenerCount('SIGINT'));
`;

t.test('signals end a server in stages, by option, and the second one at once', async (t) => {
  const start = async (options: string) => {
    const child = runProgram(['--input-type=module', '-e', program(options)]);
    await until(() => child.lines().length === 1, 'the port');
    const peer = await connect({ port: Number(child.lines()[0]) });
    peer.write('a');
    await once(peer, 'data');
    return { ...child, peer };
  };
  const byDefault = await start('');
  t.equal(await byDefault.end('SIGTERM'), null, 'by default it just ends the process');
  const gentle = await start('signals: true');
  const status = gentle.end('SIGTERM');
  gentle.peer.write('b');
  t.equal(String((await once(gentle.peer, 'data'))[0]), 'b', 'its client is served on');
  gentle.peer.end();
  t.equal(await status, 0);
  t.equal(gentle.lines()[1], '0', 'no listener is left');
  const named = await start("signals: ['SIGINT'], grace: 60_000");
  named.child.kill('SIGINT');
  await until(() => {
    named.child.kill('SIGINT');
    return named.child.signalCode !== null;
  }, 'the second signal');
  t.equal(named.child.signalCode, 'SIGINT');
  for (const { peer } of [byDefault, gentle, named]) peer.destroy();
});

t.test('many servers share one listener of a signal, and all end', async (t) => {
  const servers = await Promise.all(
    Array.from({ length: 12 }, () => serving(echo, { signals: ['SIGUSR1'] })),
  );
  t.equal(process.listenerCount('SIGUSR1'), 1);
  servers[0]!.stop();
  await servers[0]!.ended;
  t.equal(process.listenerCount('SIGUSR1'), 1);
  process.kill(process.pid, 'SIGUSR1');
  await Promise.all(servers.map(({ ended }) => ended));
  t.equal(process.listenerCount('SIGUSR1'), 0);
});

t.test('malformed options are told at once', async (t) => {
  const refused: [object, RegExp][] = [
    [{ signals: 'SIGTERM' }, /signals of serve should be true or names of signals .* got "SIGTERM"/],
    [{ signals: ['SIGTERM', 'SIGFOO'] }, /signals of serve .* got "SIGFOO"/],
    [{ signals: ['SIGKILL'] }, /signals of serve .* got "SIGKILL"/],
    [{ onListening: 1 }, /the onListening of serve expects a callback, got 1/],
    [{ reusePort: 'yes' }, /reusePort should be true or false, got "yes"/],
    [{ ipv6Only: 1 }, /ipv6Only should be true or false, got 1/],
    [{ signal: {} }, /signal/],
    [{ idleTimeout: -1 }, /idleTimeout of serve expects milliseconds/],
    [{ maxConnections: 0.5 }, /maxConnections expects a whole number/],
    [{ grace: 'long' }, /grace of serve expects milliseconds/],
  ];
  for (const [options, message] of refused) {
    await t.rejects(
      run(() => serve(0, echo, options)),
      { name: 'TypeError', message },
    );
  }
  await t.rejects(
    run(() => serve([], echo)),
    { message: /an empty array/ },
  );
  await t.rejects(
    run(() => serve([99_999], echo)),
    { message: /expected a port/ },
  );
});
