// From one connection to another.

import { once as onceEvent } from 'node:events';
import type net from 'node:net';
import { PassThrough } from 'node:stream';
import t from 'tap';
import {
  all,
  type Co,
  type Connection,
  copyBoth,
  dial,
  fromDuplex,
  listen,
  pause,
  pipe,
  run,
  sleep,
  spawn,
  wait,
} from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { Random } from '../../../scheduler/kernel/random.ts';
import { failure, fill, withPair } from '../../support/connection/pair.ts';
import { connect, listenPlain, portOf, readAll, until } from '../../support/connection/peers.ts';

/** Two servers' connections, each with a plain client at its other end. */
function* withTwo(
  body: (a: Connection, b: Connection, ofA: net.Socket, ofB: net.Socket) => Co<void>,
): Co<void> {
  yield* withPair((one) => withPair((two) => body(one.conn, two.conn, one.peer, two.peer)));
}

t.test('pipe copies until the end, passes it on, and closes nothing', (t) =>
  run(() =>
    withTwo(function* (a, b, ofA, ofB) {
      const copying = spawn(() => pipe(a, b));
      const received = readAll(ofB);
      ofA.end(Buffer.alloc(2_000_000, 'xyz'));
      t.equal((yield* wait(received)).byteLength, 2_000_000);
      t.equal(yield* copying.join(), 2_000_000);
      t.notOk(a.isClosed || b.isClosed);
      t.match(yield* failure(() => pipe(a, 5 as never)), TypeError);
    }),
  ),
);

t.test('pipe reads no faster than its receiver', (t) =>
  run(() =>
    withTwo(function* (a, b, ofA, ofB) {
      ofB.pause();
      const copying = spawn(() => pipe(a, b));
      yield* fill(
        (chunk) => ofA.writableNeedDrain || ofA.write(chunk),
        () => a.bytesRead,
      );
      t.ok(a.bytesRead - b.bytesWritten <= 400_000, `${a.bytesRead - b.bytesWritten} bytes wait in between`);
      copying.cancel();
      t.match(yield* failure(() => copying.join()), { code: 'ABORT_ERR' });
      t.notOk(a.isClosed || b.isClosed);
    }),
  ),
);

t.test('copyBoth passes half-closes on, and returns when both directions have ended', (t) =>
  run(() =>
    withTwo(function* (a, b, ofA, ofB) {
      const copying = spawn(() => copyBoth(a, b));
      ofA.end('question');
      t.equal(String(yield* wait(readAll(ofB))), 'question');
      t.equal(copying.state, 'suspended');
      ofB.end('the answer');
      t.equal(String(yield* wait(readAll(ofA))), 'the answer');
      t.same(yield* copying.join(), [8, 10]);
      t.notOk(a.isClosed || b.isClosed);
    }),
  ),
);

t.test('copyBoth that fails or is cancelled resets both connections', (t) =>
  run(function* () {
    yield* withTwo(function* (a, b, ofA, ofB) {
      const copying = spawn(() => failure(() => copyBoth(a, b)));
      const seen = onceEvent(ofB, 'error');
      ofB.resume();
      yield* sleep(5);
      ofA.resetAndDestroy();
      t.match(yield* copying.join(), { code: 'ECONNRESET' });
      t.match((yield* wait(seen))[0], { code: 'ECONNRESET' }, 'the other peer sees no clean end');
      t.ok(a.isClosed && b.isClosed);
    });
    yield* withTwo(function* (a, b) {
      const copying = spawn(() => copyBoth(a, b));
      yield* pause();
      copying.cancel();
      t.match(yield* failure(() => copying.join()), { code: 'ABORT_ERR' });
      t.ok(a.isClosed && b.isClosed);
      t.match(yield* failure(() => copyBoth(a, 5 as never)), TypeError);
    });
  }),
);

t.test('a proxy in a few lines', async (t) => {
  const open = reactor.open;
  const upstream = await listenPlain((socket) => socket.pipe(socket));
  await run(function* () {
    const acceptor = yield* listen(0);
    const proxy = spawn(function* () {
      const client = yield* acceptor.accept();
      const conn = yield* dial(portOf(upstream));
      yield* copyBoth(client, conn);
      client.close();
      conn.close();
    });
    const peer = yield* wait(connect(acceptor.address));
    peer.end('through the proxy');
    t.equal(String(yield* wait(readAll(peer))), 'through the proxy');
    yield* proxy.join();
    acceptor.close();
  });
  upstream.close();
  await until(() => reactor.open <= open, 'all descriptors');
});

/** Bytes that say where they stand, different for each seed. */
function pattern(size: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE((at * 2_654_435_761 + seed) >>> 0, at);
  return bytes;
}

t.test('many pipes at once bring all bytes, also after some were cut off in the middle', (t) =>
  run(function* () {
    const random = new Random(7);
    const size = 6_000_000;
    const one = (seed: number, isCutOff: boolean): Co<void> =>
      withTwo(function* (a, b, ofA, ofB) {
        const sent = pattern(size, seed);
        const received: Buffer[] = [];
        ofB.on('data', (chunk: Buffer) => {
          received.push(Buffer.from(chunk));
          if (random.below(4) > 0) return;
          ofB.pause();
          setTimeout(() => ofB.resume(), random.below(4));
        });
        const ended = new Promise((resolve) => ofB.once('close', resolve));
        const copying = spawn(() => pipe(a, b));
        if (isCutOff) {
          // Without an end the pipe is not over before it is cut off, however quickly the bytes go through.
          ofA.write(sent);
          while (b.bytesWritten < size / 4) yield* sleep(1);
          copying.cancel();
          t.match(yield* failure(() => copying.join()), { code: 'ABORT_ERR' });
          // What it had taken is still on its way, while others pass bytes on.
          yield* sleep(20);
          yield* b.end();
        } else {
          ofA.end(sent);
          t.equal(yield* copying.join(), size);
        }
        ofB.end();
        yield* wait(ended);
        const whole = Buffer.concat(received);
        t.ok(whole.equals(sent.subarray(0, whole.byteLength)), `${whole.byteLength} bytes as they were sent`);
        t.equal(whole.byteLength, isCutOff ? b.bytesWritten : size);
      });
    yield* all(Array.from({ length: 8 }, (_, seed) => () => one(seed, seed % 2 === 1)));
    yield* one(99, false);
  }),
);

t.test('a stream that keeps what it is given keeps what was sent', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const stream = new PassThrough({ highWaterMark: 8_000_000 });
      const over = fromDuplex(stream);
      const sent = pattern(4_000_000, 5);
      peer.end(sent);
      t.equal(yield* pipe(conn, over), sent.byteLength);
      const received: Buffer[] = [];
      for (let data; (data = yield* over.read()) !== null;) received.push(data);
      t.ok(Buffer.concat(received).equals(sent));
      over.close();
    }),
  ),
);
