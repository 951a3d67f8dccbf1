import t from 'tap';
import {
  Acceptor,
  bindUdp,
  type Co,
  Connector,
  dial,
  EventLoop,
  listen,
  pause,
  Scheduler,
  serveHttp,
  sleep,
  spawn,
  VirtualClock,
} from '../../../lib/index.ts';
import { memoryNetwork, type MemoryNetworkOptions } from '../../../lib/testing/index.ts';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { failure } from '../../support/connection/pair.ts';
import { until } from '../../support/connection/peers.ts';
import { clientTls, serverTls } from '../../support/connection/tls-pair.ts';
import { runProgram } from '../../support/programs/program.ts';

/** Runs a body in a world of its own; gives the time that has passed in it. */
async function inMemory(body: () => Co<void>, options?: MemoryNetworkOptions): Promise<number> {
  const clock = new VirtualClock();
  const network = memoryNetwork(options);
  await new Scheduler({ clock, network, seed: 1 }).run(body);
  // What ends is gone a few rounds of the loop later.
  await until(() => network.open === 0, 'all to be closed');
  return clock.now();
}

t.test('options that do not fit are told', async (t) => {
  t.throws(() => memoryNetwork({ name: {} } as MemoryNetworkOptions), {
    name: 'TypeError',
    message: 'memoryNetwork has no option name; did you mean names?',
  });
  t.throws(() => memoryNetwork({ names: { db: 'database' } }), {
    name: 'TypeError',
    message: 'expected the name db to stand for IP addresses, got "database"',
  });
});

t.test('ports are counted up, taken once, and free again; wildcards take them too', async (t) => {
  await inMemory(function* () {
    const one = yield* listen(0);
    const two = yield* listen('*:0');
    t.equal(String(one.address), '127.0.0.1:49152');
    t.equal(String(two.address), '[::]:49153');
    for (const address of ['127.0.0.1:49153', '0.0.0.0:49153', '[::1]:49153']) {
      t.equal((yield* failure(() => listen(address))).code, 'EADDRINUSE', address);
    }
    const other = yield* listen('10.0.0.1:49152');
    const conn = yield* dial('10.0.0.1:49152');
    const accepted = yield* other.accept();
    t.equal(String(accepted.localAddress), '10.0.0.1:49152');
    t.equal(String(accepted.remoteAddress), String(conn.localAddress));
    for (const end of [one, two, other, conn, accepted]) end.close();
    yield* pause();
    t.equal((yield* failure(() => dial('10.0.0.1:49152'))).code, 'ECONNREFUSED');
    (yield* listen('10.0.0.1:49152')).close();
  });
});

t.test('names stand for what was said, and localhost for this machine', async (t) => {
  await inMemory(
    function* () {
      const acceptor = yield* listen('[::]:80');
      for (const name of ['localhost', 'db', 'www.localhost']) {
        const conn = yield* dial(`${name}:80`);
        const accepted = yield* acceptor.accept();
        t.equal(accepted.remoteAddress.host, name === 'db' ? 'fd00::5' : '::ffff:127.0.0.1');
        conn.reset();
        accepted.reset();
      }
      const error = yield* failure(() => dial('nowhere:80'));
      t.match(error, { code: 'ENOTFOUND', syscall: 'getaddrinfo' });
      acceptor.close();
    },
    { names: { DB: ['fd00::5'] } },
  );
});

t.test('a path is a name: taken, dialled, left and missing', async (t) => {
  await inMemory(function* () {
    t.equal((yield* failure(() => dial('unix:/app'))).code, 'ENOENT');
    const acceptor = yield* listen('unix:/app', { unlinkOnClose: false });
    const conn = yield* dial('unix:/app');
    (yield* acceptor.accept()).close();
    t.equal(yield* conn.read(), null);
    conn.close();
    acceptor.close();
    t.equal((yield* failure(() => dial('unix:/app'))).code, 'ECONNREFUSED');
    t.equal((yield* failure(() => listen('unix:/app'))).code, 'EADDRINUSE');
  });
});

t.test('a writer waits for a reader who is slow, and a reset breaks what is unread', async (t) => {
  const passed = await inMemory(function* () {
    const acceptor = yield* listen(0);
    const conn = yield* dial(acceptor.address);
    const accepted = yield* acceptor.accept();
    let written = 0;
    const writer = spawn(function* () {
      for (; written < 100; written++) yield* conn.write(Buffer.alloc(65_536));
      conn.close();
    });
    yield* sleep(60_000);
    t.ok(written < 5, `${written} of 100`);
    let size = 0;
    for (let data; (data = yield* accepted.read()) !== null; yield* sleep(1_000)) size += data.byteLength;
    t.equal(size, 100 * 65_536);
    yield* writer.join();
    accepted.close();
    acceptor.close();
  });
  t.ok(passed > 150_000, `${passed} ms`);
});

t.test('a connection waits for room in a queue that is full', async (t) => {
  await inMemory(function* () {
    const acceptor = yield* listen(0, { backlog: 1 });
    const dialling = [1, 2, 3, 4].map(() => spawn(() => dial(acceptor.address)));
    yield* sleep(10);
    t.same(
      dialling.map(({ state }) => state),
      ['done', 'done', 'suspended', 'suspended'],
    );
    for (const one of dialling) {
      (yield* acceptor.accept()).close();
      (yield* one.join()).close();
    }
    acceptor.close();
  });
});

t.test('W3 serveHttp and bindUdp run on it by the same clock', async (t) => {
  const passed = await inMemory(function* () {
    const stop = new AbortController();
    const acceptor = yield* listen(80);
    const server = spawn(() =>
      serveHttp(
        acceptor,
        function* (request, response) {
          yield* sleep(60_000);
          response.end(`${request.url} is here`);
        },
        { signal: stop.signal },
      ),
    );
    const conn = yield* dial('localhost:80');
    yield* conn.write('GET /it HTTP/1.1\r\nHost: localhost\r\n\r\n');
    t.match(String(yield* conn.read()), /^HTTP\/1.1 200 OK[^]*\/it is here$/);
    t.equal(yield* conn.read(), null, 'it was idle for 5 s');
    conn.close();
    const [one, other] = [yield* bindUdp(53), yield* bindUdp('localhost:0')];
    yield* other.send('who?', 'localhost:53');
    const { data, from } = yield* one.receive();
    yield* one.send(`${data} you`, from);
    t.equal(String((yield* other.receive()).data), 'who? you');
    one.close();
    other.close();
    stop.abort();
    yield* server.join();
  });
  t.equal(passed, 65_000);
});

t.test('W3 time stands still while a TLS handshake is under way', { skip: noOpenssl }, async (t) => {
  const passed = await inMemory(function* () {
    const acceptor = yield* listen(443, { tls: serverTls() });
    spawn(function* () {
      const accepted = yield* acceptor.accept();
      yield* sleep(60_000);
      yield* accepted.write(`${yield* accepted.readLine()}, an hour later\n`);
      accepted.close();
    });
    const conn = yield* dial(acceptor.address, { tls: clientTls({}) });
    yield* conn.write('here\n');
    t.equal(yield* conn.readLine(), 'here, an hour later');
    t.equal(conn.tls?.protocol, 'TLSv1.3');
    conn.close();
    acceptor.close();
  });
  t.ok(passed >= 60_000 && passed < 70_000, `${passed} ms`);
});

t.test(
  'W2 a client that does not complete its handshake is cut off by the clock',
  { skip: noOpenssl },
  async (t) => {
    const passed = await inMemory(function* () {
      const errors: Error[] = [];
      const acceptor = yield* listen(443, { tls: serverTls(), onError: (error) => errors.push(error) });
      const accepting = spawn(() => acceptor.accept(), { onError: () => {} });
      const conn = yield* dial(acceptor.address);
      t.equal(yield* conn.read(), null);
      t.match(errors[0], { code: 'ERR_TIMEOUT', message: /TLS: not done after 10000 ms/ });
      accepting.cancel();
      conn.close();
      acceptor.close();
    });
    t.equal(passed, 10_000);
  },
);

t.test('W1 schedulers that share a network reach each other, and nobody else', async (t) => {
  const network = memoryNetwork();
  const clock = new VirtualClock();
  const address = 'localhost:9981';
  const server = new Scheduler({ network, clock }).run(function* () {
    const acceptor = yield* listen(address);
    const conn = yield* acceptor.accept();
    yield* conn.write(`hello ${yield* conn.readLine()}\n`);
    conn.close();
    acceptor.close();
  });
  await new Scheduler({ network, clock }).run(function* () {
    yield* sleep(1);
    const conn = yield* dial(address);
    yield* conn.write('ada\n');
    t.equal(yield* conn.readLine(), 'hello ada');
    conn.close();
  });
  await server;
  await new Scheduler({ network: memoryNetwork() }).run(function* () {
    t.equal((yield* failure(() => dial(address))).code, 'ECONNREFUSED');
  });
});

t.test(
  'callbacks that answer each other for ever let timers have their turn, and no clock jumps',
  async (t) => {
    const clock = new VirtualClock();
    const scheduler = new Scheduler({ clock, network: memoryNetwork() });
    let count = 0;
    let isEnough = false;
    const sleeping = scheduler.run(function* () {
      const event = new EventLoop();
      const acceptor = new Acceptor(9981, {
        onListening: () =>
          new Connector(9981).connect((conn) => {
            event.add(conn!);
            answer(conn!);
            conn!.send('x');
          }),
      });
      const answer = (conn: NonNullable<Parameters<Parameters<Connector['connect']>[0]>[0]>): void => {
        conn.recv((data) => {
          count++;
          if (data === null || isEnough) {
            conn.reset();
            return;
          }
          conn.send(data);
          answer(conn);
        });
      };
      event.add(acceptor, (conn) => {
        acceptor.close();
        event.add(conn);
        answer(conn);
      });
      event.loop();
      yield* sleep(1_000);
      event.stop();
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.ok(count > 1_000, `${count} messages`);
    t.equal(clock.now(), 0, 'something was always on its way');
    isEnough = true;
    await sleeping;
    t.equal(clock.now(), 1_000);
  },
);

t.test('R8 whoever waits for what nobody sends is a deadlock, and no hanging test', async (t) => {
  const program = runProgram([
    '--input-type=module',
    '-e',
    `
    import { listen, Scheduler, VirtualClock } from 'skein';
    import { memoryNetwork } from 'skein/testing';
    const scheduler = new Scheduler({ clock: new VirtualClock(), network: memoryNetwork() });
    scheduler.run(function* server() {
      const acceptor = yield* listen(9981);
      yield* acceptor.accept();
    }).catch((error) => console.log(error.message));
    `,
  ]);
  t.equal(await program.exited, 2);
  t.match(program.output(), /server waits for ever: accepting on 127\.0\.0\.1:9981/);
});
