import { once as onceEvent } from 'node:events';
import net from 'node:net';
import { Duplex, PassThrough, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { drained, fromDuplex, listen, pause, run, sleep, spawn, wait } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { failure, fill, pair, withPair } from '../../support/connection/pair.ts';
import { readAll, socketPath, until } from '../../support/connection/peers.ts';

/** Two streams, each of which reads what is written to the other. */
function ends(): [Duplex, Duplex] {
  const there = new PassThrough();
  const back = new PassThrough();
  const near = Duplex.from({ readable: back, writable: there });
  const far = Duplex.from({ readable: there, writable: back });
  // To destroy one is an error of the other.
  for (const end of [near, far]) end.on('error', () => {});
  return [near, far];
}

t.test('a connection over a stream reads and writes, and each side ends by itself', (t) =>
  run(function* () {
    const [near, far] = ends();
    const conn = fromDuplex(near);
    yield* conn.write('hello');
    t.equal(String((yield* wait(onceEvent(far, 'data')))[0]), 'hello');
    far.end('bye');
    t.equal(String(yield* conn.read()), 'bye');
    t.equal(yield* conn.read(), null);
    yield* conn.write('still here');
    t.equal(String((yield* wait(onceEvent(far, 'data')))[0]), 'still here');
    const ended = onceEvent(far, 'end');
    yield* conn.end();
    yield* wait(ended);
    t.equal(String(conn.remoteAddress), 'an unnamed socket');
    conn.close();
    yield* wait(until(() => near.destroyed));
  }),
);

t.test('a connection over a net.Socket has its addresses, and its errors', (t) =>
  run(function* () {
    for (const path of ['', socketPath()]) {
      const acceptor = yield* listen(path === '' ? 0 : { path });
      const accepting = spawn(() => acceptor.accept());
      // As a library makes it: Node would end its writable side at the peer's end.
      const socket = path === '' ? net.connect(acceptor.address.port) : net.connect(path);
      yield* wait(onceEvent(socket, 'connect'));
      const peer = yield* accepting.join();
      const conn = fromDuplex(socket);
      conn.noDelay = true;
      conn.keepAlive = 1000;
      if (path === '') t.equal(String(conn.remoteAddress), String(acceptor.address));
      yield* conn.write('ping');
      t.equal(String(yield* peer.read()), 'ping');
      yield* peer.write('pong');
      yield* peer.end();
      t.equal(String(yield* conn.read()), 'pong');
      t.equal(yield* conn.read(), null);
      yield* conn.write('after the end');
      t.equal(String(yield* peer.read()), 'after the end');
      conn.reset();
      if (path === '') t.match(yield* failure(() => peer.read()), { code: 'ECONNRESET' });
      else t.equal(yield* peer.read(), null);
      peer.reset();
      acceptor.close();
    }
  }),
);

t.test('fromDuplex refuses what gives no bytes, and what has ended', (t) =>
  run(function* () {
    const refuses = (what: unknown, expected: object): void => {
      t.throws(() => fromDuplex(what as Duplex), expected as Error);
    };
    refuses(5, { name: 'TypeError', message: 'fromDuplex expects a Duplex, got 5' });
    refuses(null, { name: 'TypeError' });
    refuses(new Writable(), { name: 'TypeError' });
    refuses(new PassThrough({ objectMode: true }), { name: 'TypeError', message: /object mode/ });
    refuses(new PassThrough({ readableObjectMode: true }), { name: 'TypeError' });
    refuses(new PassThrough().setEncoding('utf8'), { name: 'TypeError', message: /gives utf8/ });
    refuses(new PassThrough().destroy(), { code: 'ERR_STATE' });
    refuses(new PassThrough().end(), { code: 'ERR_STATE', message: /writable side/ });
    const ended = new PassThrough().resume();
    ended.push(null);
    yield* wait(onceEvent(ended, 'end'));
    refuses(ended, { code: 'ERR_STATE', message: /readable side/ });
  }),
);

t.test('a slow reader stops a stream, in both directions', (t) =>
  run(function* () {
    const [near, far] = ends();
    const conn = fromDuplex(near);
    let given = 0;
    const all = yield* fill(
      (chunk) => far.writableNeedDrain || ((given += chunk.byteLength), far.write(chunk)),
      () => given,
    );
    t.ok(all < 1_000_000, `${all} bytes waited for the connection`);
    let accepted = 0;
    const writer = spawn(function* () {
      for (;;) {
        yield* conn.write(Buffer.alloc(65_536));
        accepted += 65_536;
      }
    });
    yield* sleep(50);
    t.ok(accepted < 1_000_000, `${accepted} bytes waited for the stream`);
    writer.cancel();
    let size = 0;
    while (size < all) size += (yield* conn.read())!.byteLength;
    t.equal(size, all);
    conn.reset();
    t.ok(near.destroyed);
  }),
);

t.test('waits on a stream that breaks off fail with its error, and can be cancelled', (t) =>
  run(function* () {
    for (const [reason, code] of [
      [Object.assign(new Error('torn'), { code: 'ETORN' }), 'ETORN'],
      [undefined, 'ERR_STREAM_PREMATURE_CLOSE'],
    ] as const) {
      const near = new Duplex({ read() {}, write() {} });
      const conn = fromDuplex(near);
      const cancelled = spawn(() => conn.read());
      yield* pause();
      cancelled.cancel();
      const reading = spawn(() => failure(() => conn.read()));
      const writing = spawn(() => failure(() => conn.write(Buffer.alloc(1_000_000))));
      yield* sleep(5);
      near.destroy(reason);
      t.match(yield* reading.join(), { code });
      t.match(yield* writing.join(), { code });
      conn.close();
    }
  }),
);

t.test('a connection as a stream reads, writes and half-closes', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const stream = conn.toDuplex() as net.Socket;
      t.equal(stream.remoteAddress, '127.0.0.1');
      t.equal(stream.remotePort, peer.localPort);
      t.equal(stream.localPort, peer.remotePort);
      t.same([stream.remoteFamily, stream.localFamily, stream.localAddress], ['IPv4', 'IPv4', '127.0.0.1']);
      t.equal(stream.setNoDelay().setKeepAlive(true, 2_000).setKeepAlive().ref().unref(), stream);
      peer.write('hello');
      t.equal(String((yield* wait(onceEvent(stream, 'data')))[0]), 'hello');
      const [data] = (yield* wait(
        Promise.all([
          onceEvent(peer, 'data').then(([chunk]) => chunk as Buffer),
          new Promise((resolve) => stream.write('\u00e9', 'latin1', resolve)),
        ]),
      )) as [Buffer, unknown];
      t.equal(data.toString('latin1'), '\u00e9', 'in its own encoding');
      stream.cork();
      stream.write('a');
      stream.write(Buffer.from('b'));
      stream.write('');
      stream.uncork();
      stream.end();
      yield* wait(onceEvent(stream, 'finish'));
      t.equal(String(yield* wait(readAll(peer))), 'ab');
      t.notOk(stream.destroyed, 'reads go on');
      peer.end('bye');
      t.equal(String((yield* wait(onceEvent(stream, 'data')))[0]), 'bye');
      yield* wait(onceEvent(stream, 'close'));
      t.ok(conn.isClosed);
      t.equal(stream.bytesRead, 8);
      t.equal(stream.bytesWritten, 3);
      t.equal(stream.errored, null);
    }),
  ),
);

t.test('a connection that was given up is busy, and given up once', (t) =>
  run(() =>
    withPair(function* ({ conn }) {
      const reading = spawn(() => conn.read());
      yield* pause();
      t.throws(() => conn.toDuplex(), { code: 'ERR_BUSY' });
      reading.cancel();
      yield* pause();
      conn.toDuplex();
      t.throws(() => conn.toDuplex(), { code: 'ERR_BUSY' });
      t.match(yield* failure(() => conn.read()), { code: 'ERR_BUSY' });
      t.throws(() => conn.recv(() => {}), { code: 'ERR_BUSY' });
      conn.reset();
      t.throws(() => conn.toDuplex(), { code: 'ERR_CLOSED' });
    }),
  ),
);

t.test('a stream over a connection stops a fast peer, and is stopped by a slow one', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const stream = conn.toDuplex();
      yield* fill(
        (chunk) => peer.writableNeedDrain || peer.write(chunk),
        () => peer.bytesWritten,
      );
      t.ok(conn.bytesRead <= 65_536, `${conn.bytesRead} bytes were read although nobody asked`);
      stream.once('data', () => stream.pause());
      yield* sleep(20);
      t.ok(conn.bytesRead <= 400_000, `${conn.bytesRead} bytes were read for the first chunk`);
      peer.pause();
      let accepted = 0;
      yield* fill(
        (chunk) => stream.writableNeedDrain || ((accepted += chunk.byteLength), stream.write(chunk)),
        () => conn.bytesWritten,
      );
      t.ok(stream.writableLength + accepted - conn.bytesWritten < 1_000_000, 'bounded');
      t.ok(stream.writableNeedDrain);
      const emptied = onceEvent(stream, 'drain');
      peer.resume();
      yield* wait(emptied);
      stream.resume();
    }),
  ),
);

t.test('a stream that flows gives all in order, whoever pauses it or puts something back', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const stream = conn.toDuplex();
      const sent = Buffer.from(Array.from({ length: 3_000 }, (_, index) => index % 251));
      const received: Buffer[] = [];
      let count = 0;
      stream.on('data', (chunk: Buffer) => {
        const kept = ++count % 7 === 0 && chunk.byteLength > 1 ? chunk.byteLength >> 1 : chunk.byteLength;
        received.push(chunk.subarray(0, kept));
        if (kept < chunk.byteLength) stream.unshift(chunk.subarray(kept));
        if (count % 3 === 0) {
          stream.pause();
          setTimeout(() => stream.resume(), 2);
        }
      });
      const ended = onceEvent(stream, 'end');
      for (let at = 0; at < sent.byteLength; at += 50) {
        peer.write(sent.subarray(at, at + 50));
        if (at % 200 === 0) yield* sleep(1);
      }
      peer.end();
      yield* wait(ended);
      t.ok(count > 10, `${count} chunks`);
      t.ok(Buffer.concat(received).equals(sent));
      t.equal(conn.bytesRead, sent.byteLength);
    }),
  ),
);

t.test('much data passes through streams whole', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const stream = conn.toDuplex();
      const sent = Buffer.alloc(3_000_000, 'abcdefg');
      spawn(() => wait(pipeline(stream, stream)));
      const received = readAll(peer);
      peer.end(sent);
      t.ok((yield* wait(received)).equals(sent));
    }),
  ),
);

t.test('a reset of the peer is an error of the stream; destroying it resets, or closes', (t) =>
  run(function* () {
    const open = reactor.open;
    const torn = yield* pair();
    const stream = torn.conn.toDuplex().resume();
    const failing = onceEvent(stream, 'error');
    torn.peer.resetAndDestroy();
    t.match((yield* wait(failing))[0], { code: 'ECONNRESET' });
    torn.acceptor.close();

    const reset = yield* pair();
    const errors = onceEvent(reset.peer, 'error');
    reset.conn.toDuplex().destroy();
    t.ok(reset.conn.isClosed);
    t.match((yield* wait(errors))[0], { code: 'ECONNRESET' });
    reset.acceptor.close();

    const soon = yield* pair();
    const ending = soon.conn.toDuplex() as net.Socket;
    soon.peer.write('never read');
    ending.write('last words');
    ending.destroySoon();
    ending.destroySoon();
    t.equal(String(yield* wait(readAll(soon.peer))), 'last words');
    yield* wait(until(() => ending.destroyed));
    soon.peer.end();
    soon.acceptor.close();
    yield* wait(until(() => reactor.open <= open, 'all descriptors'));
  }),
);

t.test('closing the connection destroys its stream; an idle timeout is an error of it', (t) =>
  run(function* () {
    for (const isAsking of [true, false]) {
      yield* withPair(function* ({ conn }) {
        const stream = conn.toDuplex();
        if (isAsking) stream.resume();
        const closed = onceEvent(stream, 'close');
        conn.close();
        yield* wait(closed);
        t.equal(stream.errored, null);
        t.match(yield* failure(() => wait(new Promise((_, reject) => stream.write('x', reject)))), {
          code: 'ERR_STREAM_DESTROYED',
        });
      });
    }
    yield* withPair(function* ({ conn }) {
      const stream = conn.toDuplex().resume();
      const failing = onceEvent(stream, 'error');
      conn.idleTimeout = 20;
      t.match((yield* wait(failing))[0], { code: 'ERR_TIMEOUT' });
    });
  }),
);

t.test('a stream over a connection tells of silence, and what a listener throws is uncaught', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const stream = conn.toDuplex() as net.Socket;
      let silences = 0;
      stream.setTimeout(30, () => silences++);
      peer.write('x');
      yield* wait(onceEvent(stream, 'data'));
      stream.write('y');
      t.equal(silences, 0);
      yield* wait(until(() => silences === 1));
      t.throws(() => stream.setTimeout(-1), TypeError);
      stream.setTimeout(0);
      stream.setTimeout(0, () => {});
      stream.once('data', () => {
        throw new Error('thrown by a listener');
      });
      const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
      peer.write('z');
      t.match(yield* wait(thrown), { message: 'thrown by a listener' });
    }),
  ),
);

t.test('a write of a stream to a connection that has failed is an error of it', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const stream = conn.toDuplex();
      const failing = onceEvent(stream, 'error');
      peer.resetAndDestroy();
      const writer = setInterval(() => stream.write('x'), 5);
      const [error] = yield* wait(failing);
      clearInterval(writer);
      t.match(error, { code: /EPIPE|ECONNRESET/ });
      t.ok(conn.isClosed);
    }),
  ),
);

t.test('drained waits for room, sees the end of a stream, and can be cancelled', (t) =>
  run(function* () {
    const stream = new PassThrough();
    yield* drained(stream);
    while (stream.write('x'.repeat(10_000)));
    const waiting = spawn(() => drained(stream));
    const cancelled = spawn(() => drained(stream));
    yield* pause();
    t.match(waiting.describe(), /drain/);
    cancelled.cancel();
    t.equal(stream.listenerCount('drain'), 1);
    t.equal(waiting.state, 'suspended');
    stream.resume();
    yield* waiting.join();
    t.equal(stream.listenerCount('drain') + stream.listenerCount('error'), 0);
    stream.pause();
    while (stream.write('x'.repeat(10_000)));
    const failing = spawn(() => failure(() => drained(stream)));
    yield* pause();
    stream.destroy();
    t.match(yield* failing.join(), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
    stream.on('error', () => {});
    const torn = new PassThrough().on('error', () => {}).destroy(new Error('torn'));
    t.match(yield* failure(() => drained(torn)), { message: 'torn' });
    t.throws(() => drained(5 as never), TypeError);
  }),
);
