import { spawnSync, spawn as spawnProcess } from 'node:child_process';
import { once as onceEvent } from 'node:events';
import { WebSocket } from 'ws';
import t from 'tap';
import { Latch, run, pause, serveHttp, sleep, spawn } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { dialWebSocket, serveWebSocket, type WebSocketHandler, webSockets } from '../../../lib/ws/index.ts';
import { failure } from '../../support/connection/pair.ts';
import { connect, listenPlain, portOf, until } from '../../support/connection/peers.ts';

type Options = Parameters<typeof serveWebSocket>[2];

/** A server that is up, and how to end it. */
async function serving(handler: WebSocketHandler, options: Options = {}) {
  const stop = new AbortController();
  let port = 0;
  const errors: unknown[] = [];
  const ended = run(() =>
    serveWebSocket(0, handler, {
      signal: stop.signal,
      onListening: (address) => (port = address.port),
      onError: (error) => errors.push(error),
      ...options,
    }),
  );
  await until(() => port !== 0);
  const end = async (): Promise<void> => {
    stop.abort();
    await ended;
    await until(() => reactor.open === 0, 'all descriptors');
  };
  return { port, url: `ws://127.0.0.1:${port}`, stop, ended, errors, end };
}

const echo: WebSocketHandler = function* (socket) {
  for (let message; (message = yield* socket.receive()) !== null;) yield* socket.send(message);
};

t.test('messages go both ways, as text and as bytes, and a close is the end', async (t) => {
  const server = await serving(echo);
  await run(function* () {
    const socket = yield* dialWebSocket(server.url, { protocols: 'chat' });
    t.equal(socket.protocol, 'chat');
    yield* socket.send('hello');
    t.equal(yield* socket.receive(), 'hello');
    yield* socket.send(new Uint8Array([1, 2, 3]));
    t.same(yield* socket.receive(), Buffer.from([1, 2, 3]));
    yield* socket.send('x'.repeat(300_000));
    t.equal(((yield* socket.receive()) as string).length, 300_000);
    t.equal(socket.closeCode, 0);
    socket.close(4000, 'enough');
    socket.close();
    t.equal(yield* socket.receive(), null);
    t.equal(yield* socket.receive(), null, 'again and again');
    t.equal(socket.closeCode, 4000);
    t.match(yield* failure(() => socket.send('x')), { code: 'ERR_CLOSED' });
  });
  await server.end();
  t.same(server.errors, []);
});

t.test('another client is understood, and sees how a handler ends', async (t) => {
  const server = await serving(function* (socket, request) {
    if (request.url === '/fails') throw new Error('boom');
    yield* socket.send(`${request.url}`);
    yield* socket.receive();
    t.equal(socket.closeReason, '');
  });
  const client = new WebSocket(`${server.url}/path`);
  t.equal(String((await onceEvent(client, 'message'))[0]), '/path');
  client.send('done');
  t.equal((await onceEvent(client, 'close'))[0], 1000);
  const failing = new WebSocket(`${server.url}/fails`);
  t.equal((await onceEvent(failing, 'close'))[0], 1011);
  await server.end();
  t.match(server.errors, [{ message: 'boom' }]);
});

t.test('a receiver that is slow stops the sender', async (t) => {
  const gate = new Latch();
  const server = await serving(function* (socket) {
    yield* sleep(10);
    yield* gate.wait();
    let size = 0;
    for (let message; (message = yield* socket.receive()) !== null;) size += message.length;
    t.equal(size, 400 * 65_536);
  });
  const before = process.memoryUsage().arrayBuffers;
  const client = new WebSocket(server.url);
  await onceEvent(client, 'open');
  const chunk = Buffer.alloc(65_536);
  for (let count = 0; count < 400; count++) client.send(chunk);
  let last = -1;
  while (client.bufferedAmount !== last) {
    last = client.bufferedAmount;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.ok(client.bufferedAmount > 5_000_000, `${client.bufferedAmount} bytes wait at the sender`);
  t.ok(process.memoryUsage().arrayBuffers - before < 100_000_000);
  gate.countDown();
  client.close();
  await onceEvent(client, 'close');
  await server.end();
  t.same(server.errors, []);
});

t.test('what breaks off, is too long or malformed is an error', async (t) => {
  const server = await serving(echo, { maxPayload: 1000 });
  const torn = new WebSocket(server.url);
  await onceEvent(torn, 'open');
  torn.terminate();
  await until(() => server.errors.length === 1);
  t.match(server.errors[0], { code: 'ERR_STREAM_PREMATURE_CLOSE' });
  const long = new WebSocket(server.url);
  await onceEvent(long, 'open');
  long.send('x'.repeat(1001));
  t.equal((await onceEvent(long, 'close'))[0], 1009);
  await until(() => server.errors.length === 2);
  t.match(server.errors[1], { code: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' });
  await run(function* () {
    t.match(yield* failure(() => dialWebSocket('ws://127.0.0.1:1')), { code: 'ECONNREFUSED' });
    const socket = yield* dialWebSocket(server.url);
    socket.reset();
    t.match(yield* failure(() => socket.receive()), { code: 'ERR_CLOSED' });
    t.throws(() => socket.send(5 as never), TypeError);
    t.throws(() => socket.close(1005), TypeError);
    t.throws(() => socket.close(1000, 'x'.repeat(124)), TypeError);
  });
  await until(() => server.errors.length === 3);
  const other = await fetch(server.url.replace('ws', 'http'));
  t.equal(other.status, 426);
  const peer = await connect(server);
  peer.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  t.match(String((await onceEvent(peer, 'data'))[0]), /^HTTP\/1\.1 400/);
  peer.destroy();
  t.throws(() => webSockets(5 as never), TypeError);
  await server.end();
});

t.test('waits can be cancelled, and there is one receiver at a time', async (t) => {
  const server = await serving(echo);
  await run(function* () {
    const socket = yield* dialWebSocket(server.url);
    const waiting = spawn(() => socket.receive());
    yield* pause();
    t.equal(waiting.describe(), 'receiving from a WebSocket');
    t.match(yield* failure(() => socket.receive()), { code: 'ERR_BUSY' });
    waiting.cancel();
    yield* pause();
    yield* socket.send('kept');
    t.equal(yield* socket.receive(), 'kept');
    const cancelled = spawn(() => socket.send('arrives all the same'));
    yield* pause();
    cancelled.cancel();
    t.equal(yield* socket.receive(), 'arrives all the same');
    socket.close();
    yield* socket.receive();
  });
  const silent = await listenPlain(() => {});
  await run(function* () {
    const dialling = spawn(() => dialWebSocket(`ws://127.0.0.1:${portOf(silent)}`));
    yield* sleep(20);
    dialling.cancel();
    t.match(yield* failure(() => dialling.join()), { code: 'ABORT_ERR' });
  });
  silent.close();
  await server.end();
});

t.test('the end of the server closes its WebSockets, and cuts off those that stay', async (t) => {
  const server = await serving(
    function* (socket, request) {
      yield* echo(socket, request) as Generator<never>;
      if (request.url === '/stays') yield* sleep(60_000);
    },
    { grace: 200 },
  );
  const clients = ['/leaves', '/stays'].map((path) => new WebSocket(server.url + path));
  for (const client of clients) await onceEvent(client, 'open');
  const closes = clients.map((client) => onceEvent(client, 'close'));
  server.stop.abort();
  for (const close of closes) t.equal((await close)[0], 1001);
  await server.ended;
  t.match(server.errors, [{ code: 'ERR_TIMEOUT' }]);
  await until(() => reactor.open === 0);
});

t.test(
  'curl upgrades, beside other requests',
  { skip: spawnSync('curl', ['-V']).error !== undefined },
  async (t) => {
    const stop = new AbortController();
    let port = 0;
    const ended = run(() =>
      serveHttp(
        0,
        function* (_, response) {
          response.end('a page');
        },
        {
          signal: stop.signal,
          onListening: (address) => (port = address.port),
          upgrade: webSockets(function* (socket) {
            yield* socket.send('hello, curl');
          }),
        },
      ),
    );
    await until(() => port !== 0);
    t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'a page');
    const headers = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ].flatMap((header) => ['-H', header]);
    const curl = spawnProcess('curl', [
      '-sS',
      '--include',
      '--no-buffer',
      '--max-time',
      '10',
      '--http1.1',
      ...headers,
      `http://127.0.0.1:${port}/`,
    ]);
    let seen = '';
    curl.stdout.on('data', (data: Buffer) => (seen += data.toString('latin1')));
    await until(() => seen.includes('hello, curl'));
    t.match(seen, /^HTTP\/1\.1 101 [^]*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/, 'the answer of RFC 6455');
    curl.kill();
    await onceEvent(curl, 'exit');
    stop.abort();
    await ended;
  },
);
