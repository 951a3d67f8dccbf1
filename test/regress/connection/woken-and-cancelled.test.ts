// Faults that were found by use and by reading, each as the test that would have found it.

import type net from 'node:net';
import t from 'tap';
import {
  Acceptor,
  type Co,
  type Connection,
  dial,
  EventLoop,
  listen,
  pause,
  reactorName,
  run,
  serve,
  sleep,
  spawn,
  TimeoutError,
  wait,
} from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { failure, noteAccepted, withPair } from '../../support/connection/pair.ts';
import {
  connect,
  listenPlain,
  portOf,
  readAll,
  startConnect,
  until,
} from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';

const ignored = { onError: () => {} };

// The callback of a `send` comes in the very moment in which a waiting writer was woken and has not run.

t.test('a woken writer that is cancelled leaves the queue to the next', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      conn.send(Buffer.alloc(8_000_000), () => {
        conn.send(Buffer.alloc(8_000_000));
        first.cancel();
      });
      const first = spawn(() => conn.write('first'), ignored);
      const second = spawn(() => conn.write('second'));
      yield* sleep(10);
      const all = readAll(peer);
      yield* second.join();
      yield* conn.end();
      t.match(String((yield* wait(all)).subarray(-11)), /\0second$/);
    }),
  ),
);

t.test('a woken writer that is cancelled while it hands over has its bytes copied', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      conn.send(Buffer.alloc(8_000_000), () => writer.cancel());
      const buffer = Buffer.alloc(8_000_000, 'a');
      const seen: { accepted?: number } = {};
      const writer = spawn(() => noteAccepted(conn, buffer, seen), ignored);
      yield* sleep(10);
      const all = readAll(peer);
      yield* failure(() => writer.join());
      t.equal(seen.accepted, 8_000_000);
      buffer.fill('b');
      yield* conn.end();
      t.notOk((yield* wait(all)).includes('b'));
    }),
  ),
);

t.test('who cancels a reader may read itself at once', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const reader = spawn(() => conn.read());
      yield* pause();
      reader.cancel();
      peer.write('mine');
      t.equal(String(yield* conn.read()), 'mine');
      t.equal((yield* failure(() => reader.join())).code, 'ABORT_ERR');
    }),
  ),
);

t.test('a read that was refused in a cancelled scope is no missing yield*', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const reader = spawn(() => conn.read());
      reader.cancel();
      t.equal((yield* failure(() => reader.join())).code, 'ABORT_ERR');
      peer.write('x');
      t.equal(String(yield* conn.read()), 'x');
    }),
  ),
);

t.test('bytes that came before a reset are read before its error', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      for (const letter of 'abcd') {
        peer.write(letter);
        yield* sleep(10);
        if (letter === 'a') t.equal(String(yield* conn.read()), 'a');
      }
      peer.resetAndDestroy();
      yield* sleep(20);
      let text = '';
      const error = yield* failure(function* () {
        for (let data; (data = yield* conn.read()) !== null;) text += String(data);
      });
      t.equal(text, 'bcd');
      t.equal(error.code, 'ECONNRESET');
    }),
  ),
);

t.test('input that waits to be read is no silence', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      conn.idleTimeout = 30;
      peer.write('in time');
      yield* sleep(100);
      t.equal(String(yield* conn.read()), 'in time');
    }),
  ),
);

t.test('a writer that is stuck gets the TimeoutError, and its handler ends', async (t) => {
  const errors: unknown[] = [];
  const stop = new AbortController();
  let port = 0;
  let isOver = false;
  const ended = run(() =>
    serve(
      0,
      function* (conn) {
        conn.idleTimeout = 50;
        try {
          yield* conn.write(Buffer.alloc(20_000_000));
        } catch (error) {
          errors.push(error);
        }
        isOver = true;
      },
      { signal: stop.signal, onListening: (address) => (port = address.port), onError: () => {} },
    ),
  );
  await until(() => port !== 0);
  const peer = await connect({ port });
  peer.pause();
  await until(() => isOver);
  t.ok(errors[0] instanceof TimeoutError);
  t.match(errors[0], { accepted: 20_000_000 });
  const started = performance.now();
  stop.abort();
  await ended;
  t.ok(performance.now() - started < 3_000, 'well within the grace');
  peer.destroy();
});

t.test('a reset that its handler has dealt with is no failed write', async (t) => {
  const errors: unknown[] = [];
  const stop = new AbortController();
  let port = 0;
  let handled = 0;
  const ended = run(() =>
    serve(
      0,
      function* (conn): Co<void> {
        try {
          yield* conn.read();
        } catch {
          handled++;
        }
      },
      {
        signal: stop.signal,
        onListening: (address) => (port = address.port),
        onError: (error) => errors.push(error),
      },
    ),
  );
  await until(() => port !== 0);
  const peer = await connect({ port });
  await new Promise((resolve) => setTimeout(resolve, 10));
  peer.resetAndDestroy();
  await until(() => handled === 1);
  stop.abort();
  await ended;
  t.same(errors, []);
});

t.test('serve binds an acceptor that is not bound yet', async (t) => {
  const acceptor = new Acceptor(0);
  const stop = new AbortController();
  let port = 0;
  const ended = run(() =>
    serve(
      acceptor,
      function* (conn) {
        yield* conn.write('hello');
      },
      { signal: stop.signal, onListening: (address) => (port = address.port) },
    ),
  );
  await until(() => port !== 0);
  const peer = await connect({ port });
  t.equal(String(await readAll(peer)), 'hello');
  peer.end();
  stop.abort();
  await ended;
});

t.test(
  'accept on an acceptor that does not listen is an error, and one that cannot bind tells who waits',
  (t) =>
    run(function* () {
      const acceptor = new Acceptor(0);
      t.match(yield* failure(() => acceptor.accept()), { name: 'TypeError', message: /listens/ });
      const taken = yield* listen(0);
      const second = new Acceptor(taken.address);
      new EventLoop().add(
        second,
        () => {},
        () => {},
      );
      const waiting = spawn(() => second.accept(), ignored);
      t.equal((yield* failure(() => waiting.join())).code, 'EADDRINUSE');
      taken.close();
    }),
);

t.test('a process whose event loop could not bind a name ends', async (t) => {
  const { exited } = runProgram([
    '--input-type=module',
    '-e',
    `
    import net from 'node:net';
    import { Acceptor, EventLoop } from 'skein';
    // The look-up of a name lets \`loop\` ask for connections before binding fails.
    const taken = net.createServer().listen(0, 'localhost', () => {
      const event = new EventLoop();
      const onError = () => {
        event.stop();
        taken.close();
      };
      event.add(new Acceptor('localhost:' + taken.address().port), () => {}, onError);
      event.loop();
    });
    `,
  ]);
  t.equal(await exited, 0);
});

t.test(
  'a refused client is no uncaught error in the callback style',
  { skip: reactorName() !== 'node' },
  async (t) => {
    const event = new EventLoop();
    const acceptor = new Acceptor(0, { maxConnections: 1 });
    const conns: Connection[] = [];
    event.add(acceptor, (conn) => conns.push(conn));
    event.loop();
    await until(() => acceptor.address.port !== 0);
    const warned = new Promise((resolve) => process.once('warning', resolve));
    const peers = [1, 2, 3].map(() => startConnect(acceptor.address));
    t.match(await warned, { name: 'AcceptWarning', code: 'ERR_LIMIT' });
    await until(() => acceptor.dropped === 2);
    t.equal(conns.length, 1);
    for (const peer of peers) peer.destroy();
    acceptor.close();
    conns[0]!.reset();
    event.stop();
  },
);

t.test('an event loop forgets what was closed', async (t) => {
  const { lines, exited } = runProgram([
    '--expose-gc',
    '--input-type=module',
    '-e',
    `
    import net from 'node:net';
    import { Acceptor, EventLoop } from 'skein';
    let collected = 0;
    const registry = new FinalizationRegistry(() => collected++);
    const event = new EventLoop();
    const acceptor = new Acceptor(0, { onListening: (address) => go(address.port) });
    event.add(acceptor, (conn) => {
      registry.register(conn);
      event.add(conn);
      conn.recv(() => conn.close());
    });
    event.loop();
    async function go(port) {
      for (let count = 0; count < 50; count++) {
        await new Promise((resolve) => net.connect(port, '127.0.0.1').resume().end('x').on('close', resolve));
      }
      for (let round = 0; round < 50 && collected < 45; round++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      console.log(collected);
      acceptor.close();
      event.stop();
    }
    `,
  ]);
  t.equal(await exited, 0);
  t.ok(Number(lines()[0]) >= 45, `${lines()[0]} of 50 were collected`);
});

t.test('a reset in the callback of a send ends the lingering', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const closed = new Promise((resolve) => peer.once('close', resolve));
      conn.send('x', () => conn.reset());
      conn.close();
      peer.resume().end();
      yield* wait(closed);
      yield* sleep(10);
      t.ok(
        process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length <= 2,
        'no timer of 5 s is left',
      );
    }),
  ),
);

t.test('the callback of an empty send comes after those before it', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      const order: string[] = [];
      conn.send(Buffer.alloc(8_000_000), () => order.push('full'));
      conn.send('', () => order.push('empty'));
      peer.resume();
      yield* wait(until(() => order.length === 2));
      t.same(order, ['full', 'empty']);
    }),
  ),
);

t.test('options that make no sense are TypeErrors', async (t) => {
  t.throws(() => new Acceptor(0, { backlog: -1 }), TypeError);
  t.throws(() => new Acceptor(0, { maxConnections: 'x' as never }), TypeError);
  t.throws(() => new Acceptor({ path: `/tmp/${'x'.repeat(120)}` }), {
    message: /at most 10\d bytes, got 125/,
  });
  const handler = function* (): Co<void> {};
  for (const options of [{ signal: 5 }, { onError: 5 }]) {
    await t.rejects(
      run(() => serve(0, handler, options as never)),
      TypeError,
    );
  }
});

t.test('a client that was cut off does not hold the process up', async (t) => {
  const stop = new AbortController();
  let port = 0;
  const ended = run(() =>
    serve(
      0,
      function* (conn) {
        for (;;) yield* conn.write(Buffer.alloc(100_000));
      },
      { signal: stop.signal, grace: 10, onListening: (address) => (port = address.port) },
    ),
  );
  await until(() => port !== 0);
  const peer = await connect({ port });
  peer.pause();
  await new Promise((resolve) => setTimeout(resolve, 20));
  stop.abort();
  await ended;
  await until(() => reactor.open === 0, 'its descriptor');
  t.pass('it was reset at once');
  peer.destroy();
});

t.test("who gives the memory of a read away takes nobody else's bytes with it", (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const texts: string[] = [];
      for (let round = 0; round < 20; round++) {
        peer.write(`message ${round}`);
        const data = (yield* conn.read())!;
        texts.push(String(data));
        giveAway(data.buffer as ArrayBuffer, round % 2 === 0);
      }
      t.same(
        texts,
        Array.from({ length: 20 }, (_, round) => `message ${round}`),
      );
    }),
  ),
);

/** Newer versions of Node refuse it for memory that others share. */
function giveAway(memory: ArrayBuffer & { transfer?: () => ArrayBuffer }, isByMethod: boolean): void {
  try {
    if (isByMethod) memory.transfer?.();
    else structuredClone(memory, { transfer: [memory] });
  } catch {
    // That is as good.
  }
}

t.test('memory that is transferred while it waits to be sent is an error of that connection alone', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      const bytes = new Uint8Array(20_000_000);
      const failed = spawn(() => failure(() => conn.write(bytes)));
      yield* sleep(10);
      const sent = new Promise<Error | null>((resolve) => conn.send(new Uint8Array(10), resolve));
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      peer.resume();
      const acceptor = yield* listen(0);
      const client = yield* wait(connect(acceptor.address));
      const other = yield* acceptor.accept();
      client.write('still served');
      t.equal(String(yield* other.read()), 'still served');
      const error = yield* failed.join();
      // libuv has it already on the portable reactor, and finds nothing there.
      t.match(error.code, /ERR_INVALID_STATE|EFAULT/);
      t.ok((yield* wait(sent)) !== null);
      client.destroy();
      other.reset();
      acceptor.close();
    }),
  ),
);

t.test('readInto whose buffer is transferred meanwhile is an error, and loses no byte', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const buffer = new Uint8Array(64);
      const failed = spawn(() => failure(() => conn.readInto(buffer)));
      yield* pause();
      structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
      peer.write('hello');
      t.ok((yield* failed.join()) instanceof TypeError);
      t.equal(String(yield* conn.read()), 'hello');
    }),
  ),
);

t.test('what was written just before the process ends goes out', async (t) => {
  for (const ending of [
    'process.exit()',
    'queueMicrotask(() => process.exit())',
    "throw new Error('crash')",
  ]) {
    const server = await listenPlain((socket) => socket.on('error', () => {}));
    const connected = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
    const { exited } = runProgram([
      '--input-type=module',
      '-e',
      `import { dial, run } from 'skein';
      await run(function* () {
        const conn = yield* dial(${portOf(server)});
        yield* conn.read();
        yield* conn.write('last words');
        ${ending};
      });`,
    ]);
    const socket = await connected;
    socket.write('go on');
    t.equal(String(await readAll(socket)), 'last words', ending);
    await exited;
    server.close();
  }
});

// `net.isIP` takes an interface of any length, and the addon no text of that length: it threw where nobody could catch it.

t.test('an address with an endless interface is an error of dialling and of listening', (t) =>
  run(function* () {
    const address = { host: `fe80::1%${'a'.repeat(2_000)}`, port: 1 };
    for (const body of [() => dial(address), () => listen(address)]) {
      t.match((yield* failure(body)).message, `fe80::1%${'a'.repeat(2_000)}`);
    }
  }),
);

// On the portable reactor: libuv takes a reset for the end of the stream, if bytes have come before it. What was cut off
// looked whole.

t.test('a reset behind bytes that were not read yet is an error, and no end', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      for (let count = 0; count < 100; count++) peer.write(Buffer.alloc(100_000));
      yield* sleep(20);
      peer.resetAndDestroy();
      yield* sleep(20);
      let received = 0;
      const error = yield* failure(function* () {
        for (let data; (data = yield* conn.read()) !== null;) received += data.byteLength;
      });
      t.equal(error.code, 'ECONNRESET');
      t.ok(received > 0, 'after the bytes before it');
      t.equal((yield* failure(() => conn.read())).code, 'ECONNRESET', 'and it stays one');
      t.match((yield* failure(() => conn.write('x'))).code, /ECONNRESET|EPIPE/);
    }),
  ),
);

// An end is told apart from a reset with the help of the writing side, which may be busy or over.

t.test('the end of the stream is told although nothing that is written gets through', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      conn.send(Buffer.alloc(20_000_000));
      peer.end('bye');
      t.equal(String(yield* conn.read()), 'bye');
      t.equal(yield* conn.read(), null);
      t.equal(yield* conn.read(), null);
    }),
  ),
);

t.test('the end of the stream is told after one has ended', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      yield* conn.end();
      peer.resume();
      peer.end('bye');
      t.equal(String(yield* conn.read()), 'bye');
      t.equal(yield* conn.read(), null);
    }),
  ),
);
