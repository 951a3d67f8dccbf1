// Handshakes that take their time, fail or are cut off: nobody is held up, and nothing is left behind.

import { once } from 'node:events';
import type net from 'node:net';
import tls from 'node:tls';
import t from 'tap';
import {
  Acceptor,
  after,
  all,
  type Co,
  type Connection,
  dial,
  EventLoop,
  listen,
  run,
  select,
  sleep,
  spawn,
  wait,
} from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { openFiles } from '../../support/network/open-files.ts';
import { failure } from '../../support/connection/pair.ts';
import { connect, listenPlain, portOf, until } from '../../support/connection/peers.ts';
import { clientTls, readToEnd, serverTls } from '../../support/connection/tls-pair.ts';

const needs = { skip: noOpenssl };

/** The first bytes of what a client of TLS sends. */
async function clientHello(): Promise<Buffer> {
  const sockets: net.Socket[] = [];
  const server = await listenPlain((accepted) => sockets.push(accepted));
  const client = tls.connect(portOf(server), '127.0.0.1');
  client.on('error', () => {});
  await until(() => sockets.length > 0, 'a client');
  const [data] = (await once(sockets[0]!, 'data')) as [Buffer];
  client.destroy();
  server.close();
  return data;
}

t.test(
  'clients that do not finish their handshake are dropped at the deadline and hold up nobody',
  needs,
  (t) =>
    run(function* () {
      const hello = yield* wait(clientHello());
      const errors: NodeJS.ErrnoException[] = [];
      const acceptor = yield* listen(0, {
        tls: serverTls({ handshakeTimeout: 3_000 }),
        onError: (error) => errors.push(error),
      });
      const accepting = spawn(
        function* () {
          for (;;) {
            const conn = yield* acceptor.accept();
            spawn(function* () {
              yield* conn.write(yield* readToEnd(conn));
              conn.close();
            });
          }
        },
        { onError: () => {} },
      );
      const began = performance.now();
      const silent = yield* wait(connect(acceptor.address));
      const half = yield* wait(connect(acceptor.address));
      half.write(hello.subarray(0, hello.byteLength / 2));
      const dripping = yield* wait(connect(acceptor.address));
      let dripped = 0;
      const drip = setInterval(() => dripping.write(hello.subarray(dripped, ++dripped)), 20);
      const slow = [silent, half, dripping];
      const ports = slow.map(({ localPort }) => localPort);
      const closed = slow.map(
        (socket) => new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now()))),
      );
      for (const socket of slow) socket.resume();

      const answers = yield* all(
        Array.from(
          { length: 50 },
          (_, index) =>
            function* client() {
              const conn = yield* dial(acceptor.address, { tls: clientTls() });
              yield* conn.write(`hello ${index}`);
              yield* conn.end();
              const answer = String(yield* readToEnd(conn));
              conn.close();
              return answer;
            },
        ),
      );
      t.strictSame(
        answers,
        answers.map((_, index) => `hello ${index}`),
      );
      // Had they been held up by one after the other, their own deadline would have passed.
      for (const time of yield* wait(Promise.all(closed))) {
        t.ok(time - began >= 2_950, `dropped after ${time - began} ms, not sooner`);
      }
      clearInterval(drip);
      t.ok(dripped > 2, `${dripped} bytes have come before the deadline and not put it off`);
      t.ok(dripped < hello.byteLength, 'it would have gone on');
      t.equal(errors.length, 3);
      const told = errors.map((error) => (error as { port?: number }).port);
      t.strictSame(new Set(told), new Set(ports), 'each is told of with its address');
      for (const error of errors) {
        t.equal(error.code, 'ERR_TIMEOUT');
        t.match(error.message, /^accepting 127\.0\.0\.1:\d+ on .*: TLS: not done after 3000 ms$/);
      }
      t.equal(acceptor.dropped, 3);
      acceptor.close();
      yield* failure(() => accepting.join());
    }),
);

t.test('failed handshakes are warned of once a second at most, and end no process', needs, async (t) => {
  const warnings: (Error & { code?: string })[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  t.teardown(() => process.off('warning', onWarning));
  const event = new EventLoop();
  const acceptor = new Acceptor(0, { tls: serverTls() });
  event.add(acceptor, (conn) => conn.reset());
  event.loop();
  await until(() => acceptor.address.port > 0, 'listening');
  for (let count = 0; count < 5; count++) (await connect(acceptor.address)).end('no TLS\n');
  await until(() => acceptor.dropped === 5, 'the refusals');
  await new Promise(setImmediate);
  const told = warnings.filter(({ name }) => name === 'AcceptWarning');
  t.equal(told.length, 1);
  t.match(told[0]?.message, /^accepting 127\.0\.0\.1:\d+ on .*: TLS: .* \(1 refused so far\)$/);
  event.stop();
  acceptor.close();
});

t.test('closing the acceptor ends the handshakes that are under way', needs, (t) =>
  run(function* () {
    const before = openFiles();
    const errors: Error[] = [];
    const acceptor = yield* listen(0, { tls: serverTls(), onError: (error) => errors.push(error) });
    const accepting = spawn(() => failure(() => acceptor.accept()));
    const clients = yield* all(Array.from({ length: 5 }, () => () => wait(connect(acceptor.address))));
    const closed = clients.map((client) => new Promise((resolve) => client.once('close', resolve)));
    for (const client of clients) client.resume();
    yield* wait(until(() => reactor.open >= 5, 'the connections'));
    acceptor.close();
    t.equal((yield* accepting.join()).code, 'ERR_CLOSED');
    yield* wait(Promise.all(closed));
    t.strictSame(errors, []);
    yield* wait(until(() => openFiles() <= before, 'the descriptors'));
  }),
);

t.test('those who are in their handshake count for maxConnections', needs, (t) =>
  run(function* () {
    const acceptor = yield* listen(0, { tls: serverTls(), maxConnections: 2, onError: () => {} });
    const accepting = spawn(() => acceptor.accept());
    const silent = yield* all([() => wait(connect(acceptor.address)), () => wait(connect(acceptor.address))]);
    yield* wait(until(() => reactor.open >= 2, 'the two'));
    const third = yield* failure(() => dial(acceptor.address, { timeout: 100, tls: clientTls() }));
    t.match(third.code, /ERR_TIMEOUT|ECONNRESET/, 'it waits, or is refused');
    for (const socket of silent) socket.destroy();
    let conn: Connection | null = null;
    for (let tries = 0; conn === null && tries < 100; tries++) {
      try {
        conn = yield* dial(acceptor.address, { tls: clientTls() });
      } catch {
        yield* sleep(10);
      }
    }
    t.ok(conn, 'when they are gone there is room');
    (yield* accepting.join()).reset();
    conn?.reset();
    acceptor.close();
  }),
);

/** An acceptor that resets whoever has shaken hands. */
function* turningAway(): Co<Acceptor> {
  const acceptor = yield* listen(0, { tls: serverTls(), onError: () => {} });
  spawn(
    function* () {
      for (;;) (yield* acceptor.accept()).reset();
    },
    { onError: () => {} },
  );
  return acceptor;
}

t.test('dial may be cancelled at any moment of its handshake', needs, (t) =>
  run(function* () {
    const acceptor = yield* turningAway();
    const before = openFiles();
    let cancelled = 0;
    for (let round = 0; round < 60; round++) {
      const dialling = spawn(() => dial(acceptor.address, { tls: clientTls() }));
      for (let step = 0; step < round / 2; step++) yield* wait(new Promise(setImmediate));
      dialling.cancel();
      const error = yield* failure(function* () {
        (yield* dialling.join()).reset();
        throw Object.assign(new Error('it was there'), { code: 'done' });
      });
      if (error.code === 'ABORT_ERR') cancelled++;
      else t.equal(error.code, 'done');
    }
    t.ok(cancelled > 0, `${cancelled} were cancelled`);
    yield* wait(until(() => openFiles() <= before, 'the descriptors'));
    acceptor.close();
  }),
);

t.test('a dial that loses in a select leaves nothing, whatever had come', needs, (t) =>
  run(function* () {
    const acceptor = yield* turningAway();
    const before = openFiles();
    for (let late = 0; late < 12; late++) {
      const cases = { conn: dial(acceptor.address, { tls: clientTls() }), late: after(late) };
      const first = yield* select(cases);
      if (first.key === 'conn') first.value.reset();
      t.ok(acceptor.dropped <= late + 1);
    }
    yield* wait(until(() => openFiles() <= before, 'the descriptors'));
    acceptor.close();
  }),
);

t.test('an accept that is cancelled leaves the connection to the next one', needs, (t) =>
  run(function* () {
    const acceptor = yield* listen(0, { tls: serverTls() });
    for (let step = 0; step < 20; step++) {
      const first = spawn(() => acceptor.accept());
      const dialling = spawn(() => dial(acceptor.address, { tls: clientTls() }));
      for (let count = 0; count < step; count++) yield* wait(new Promise(setImmediate));
      first.cancel();
      const error = yield* failure(function* () {
        (yield* first.join()).reset();
        throw new Error('it was accepted');
      });
      if ((error as NodeJS.ErrnoException).code === 'ABORT_ERR') (yield* acceptor.accept()).reset();
      (yield* dialling.join()).reset();
      t.equal(acceptor.dropped, 0);
    }
    acceptor.close();
  }),
);

t.test('a process ends although a client is in its handshake, if nobody waits for it', needs, async (t) => {
  const { key, cert } = serverTls();
  const program = `
    import net from 'node:net';
    import { listen, run, spawn } from 'skein';
    await run(function* () {
      const tls = { key: ${JSON.stringify(key)}, cert: ${JSON.stringify(cert)} };
      const acceptor = yield* listen(0, { tls });
      const accepting = spawn(() => acceptor.accept());
      const client = net.connect(acceptor.address.port, '127.0.0.1');
      client.unref();
      yield* suspendFor(200);
      accepting.cancel();
      function* suspendFor(ms) { yield new Promise((resolve) => setTimeout(resolve, ms)); }
    });
    console.log('over');
  `;
  const { runProgram } = await import('../../support/programs/program.ts');
  const began = performance.now();
  const running = runProgram(['--input-type=module', '--eval', program]);
  t.equal(await running.exited, 0, running.output());
  t.match(running.output(), /over/);
  t.ok(performance.now() - began < 9_000, 'it did not wait for the deadline');
});
