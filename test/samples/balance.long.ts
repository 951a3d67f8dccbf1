import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import t from 'tap';
import { connect, listenPlain, portOf, readAll, until } from '../support/connection/peers.ts';
import { curl, type SampleServer, startSample, without } from '../support/programs/samples.ts';

const hasCurl = { skip: without('curl'), timeout: 60_000 };

/** A site that answers with its name. */
async function openSite(name: string, port = 0): Promise<http.Server> {
  const site = http.createServer((_, response) => void response.end(name));
  await once(site.listen(port, '127.0.0.1'), 'listening');
  return site;
}

/** As if it had died: whoever is there is cut off. */
async function kill(site: http.Server): Promise<void> {
  site.closeAllConnections();
  site.close();
  await once(site, 'close');
}

const before = (...servers: net.Server[]) => ({
  BACKENDS: servers.map((server) => `127.0.0.1:${portOf(server)}`).join(','),
});

async function ask(server: SampleServer): Promise<string> {
  const { stdout, stderr } = await curl(`http://127.0.0.1:${server.port}/`);
  return `${String(stdout)}${stderr}`;
}

t.test('balance.ts goes on while a backend dies and comes back', hasCurl, async (t) => {
  const [first, two] = await Promise.all([openSite('one'), openSite('two')]);
  t.teardown(() => kill(two));
  const port = portOf(first);
  const server = await startSample(t, 'balance.ts', { ...before(first, two), INTERVAL: '100' });
  t.equal(await ask(server), 'one', 'the first of those who have nobody');

  await kill(first);
  for (let n = 0; n < 3; n++) t.equal(await ask(server), 'two');
  await until(() => server.output().includes(`127.0.0.1:${port} is down (ECONNREFUSED)`), 'the news');

  const again = await openSite('one', port);
  t.teardown(() => kill(again));
  await until(() => server.output().includes(`127.0.0.1:${port} is up`), 'the news');
  t.equal(await ask(server), 'one');

  t.equal(await server.end('SIGINT'), 0);
});

t.test('balance.ts dials the next backend when one refuses, also one that was down', hasCurl, async (t) => {
  const [one, two] = await Promise.all([openSite('one'), openSite('two')]);
  const port = portOf(one);
  const server = await startSample(t, 'balance.ts', { ...before(one, two), INTERVAL: '60000' });
  await kill(one);
  t.equal(await ask(server), 'two', 'nobody had looked since the first one died');
  await kill(two);
  const again = await openSite('one', port);
  t.teardown(() => kill(again));
  t.equal(await ask(server), 'one');
  t.equal(await server.end('SIGINT'), 0);
});

t.test('balance.ts gives each client to the backend that has the fewest', { timeout: 60_000 }, async (t) => {
  const held: net.Socket[][] = [[], [], []];
  const servers = await Promise.all(
    held.map((sockets) => listenPlain((socket) => void sockets.push(socket.resume()))),
  );
  t.teardown(() => servers.forEach((server) => server.close()));
  const server = await startSample(t, 'balance.ts', { ...before(...servers), INTERVAL: '60000' });
  const clients = await Promise.all(Array.from({ length: 30 }, () => connect(server)));
  const counts = () => held.map((sockets) => sockets.filter(({ readableEnded }) => !readableEnded).length);
  await until(() => counts().reduce((sum, count) => sum + count) === 30, 'all to be passed on');
  t.same(counts(), [10, 10, 10]);

  for (const socket of held[1]!) socket.end();
  for (const client of clients) client.resume();
  const over = () => clients.filter(({ readableEnded }) => readableEnded);
  await until(() => over().length === 10, 'ten to end');
  for (const client of over()) client.end();
  await until(() => counts()[1] === 0, 'them to be gone');
  // Its clients have ended when their backend has seen it, or soon after.
  await new Promise((resolve) => setTimeout(resolve, 100));
  clients.push(...(await Promise.all(Array.from({ length: 9 }, () => connect(server)))));
  await until(() => counts()[1] === 9, 'the new ones to be passed on');
  t.same(counts(), [10, 9, 10]);
  for (const socket of [...clients, ...held.flat()]) socket.destroy();
  t.equal(await server.end('SIGTERM'), 0);
});

t.test('balance.ts with one backend is a TCP proxy, and drains on SIGINT', { timeout: 60_000 }, async (t) => {
  const echo = await listenPlain((socket) => void socket.pipe(socket));
  t.teardown(() => echo.close());
  const server = await startSample(t, 'balance.ts', before(echo));
  const data = randomBytes(5_000_000);
  const first = await connect(server);
  const all = readAll(first);
  first.write(data.subarray(0, 1_000_000));
  await until(() => first.bytesRead > 0, 'an echo');
  const exit = server.end('SIGINT');
  const isRefused = async (): Promise<boolean> =>
    connect(server).then(
      (socket) => {
        socket.destroy();
        return false;
      },
      () => true,
    );
  while (!(await isRefused())) await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(server.child.exitCode, null, 'it waits for the one who is there');
  first.end(data.subarray(1_000_000));
  t.ok((await all).equals(data));
  t.equal(await exit, 0, server.output());
});

t.test(
  'balance.ts resets a client for whom there is no backend, and ends',
  { timeout: 60_000 },
  async (t) => {
    const gone = await listenPlain(() => {});
    const env = before(gone);
    gone.close();
    const server = await startSample(t, 'balance.ts', env);
    const socket = await connect(server);
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    t.equal(error.code, 'ECONNRESET');
    t.equal(await server.end('SIGTERM'), 0);
  },
);
