import { once } from 'node:events';
import t from 'tap';
import { pause, run, sleep, spawn, wait } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { failure, noteAccepted, withPair } from '../../support/connection/pair.ts';
import { readAll, socketPath, until } from '../../support/connection/peers.ts';

t.test('N3 the writes of a turn arrive as one, in order', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const first = once(peer, 'data');
      for (let index = 0; index < 16; index++) yield* conn.write(`${index} `);
      const [data] = yield* wait(first);
      t.equal(String(data), '0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 ');
      t.equal(conn.bytesWritten, 38);
    }),
  ),
);

t.test('N3 the caller owns its buffer when a write returns', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const all = readAll(peer);
      for (const size of [10, 60_000, 3_000_000]) {
        const buffer = Buffer.alloc(size, 'a');
        yield* conn.write(buffer);
        buffer.fill('b');
      }
      yield* conn.end();
      const received = yield* wait(all);
      t.equal(received.byteLength, 3_060_010);
      t.notOk(received.includes('b'));
    }),
  ),
);

t.test('N3 writers wait while more than 64 KiB wait for the kernel, and no two interleave', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      const letters = [...'abcdef'];
      const writers = letters.map((letter) => spawn(() => conn.write(Buffer.alloc(10_000_000, letter))));
      yield* sleep(20);
      t.ok(writers.filter(({ state }) => state === 'suspended').length >= 5, 'most must wait');
      t.match(writers[5]!.describe(), 'writing to 127.0.0.1:');
      const all = readAll(peer);
      for (const writer of writers) yield* writer.join();
      yield* conn.end();
      const received = String(yield* wait(all));
      t.ok(
        received === letters.map((letter) => letter.repeat(10_000_000)).join(''),
        'first come, first served',
      );
    }),
  ),
);

t.test('N8 a write that waits its turn is cancelled without a trace', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      const first = spawn(() => conn.write(Buffer.alloc(12_000_000, 'a')));
      yield* pause();
      const second = spawn(() => conn.write('SECOND'));
      const third = spawn(() => conn.write('THIRD'));
      yield* sleep(10);
      second.cancel();
      const error = yield* failure(() => second.join() as never);
      t.match(error, { name: 'AbortError', code: 'ABORT_ERR' });
      t.notOk('accepted' in error);
      const all = readAll(peer);
      yield* first.join();
      yield* third.join();
      yield* conn.end();
      const received = yield* wait(all);
      t.equal(received.byteLength, 12_000_005);
      t.equal(String(received.subarray(-5)), 'THIRD');
    }),
  ),
);

t.test('N8 a write that was handed over is delivered although it was cancelled', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      const buffer = Buffer.alloc(12_000_000, 'a');
      const seen: { accepted?: number } = {};
      const writer = spawn(() => noteAccepted(conn, buffer, seen));
      yield* sleep(10);
      writer.cancel();
      yield* failure(() => writer.join() as never);
      t.equal(seen.accepted, 12_000_000);
      buffer.fill('b');
      const all = readAll(peer);
      yield* conn.end();
      const received = yield* wait(all);
      t.equal(received.byteLength, 12_000_000);
      t.notOk(received.includes('b'));
    }),
  ),
);

t.test('N3 a write that failed is sticky: write, flush and end throw it', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.resetAndDestroy();
      const error = yield* failure(function* () {
        for (;;) {
          yield* conn.write('into the void');
          yield* sleep(1);
        }
      });
      t.match(error.code, /EPIPE|ECONNRESET/);
      t.match(error.message, 'writing to 127.0.0.1:');
      for (const next of [() => conn.write('x'), () => conn.flush(), () => conn.end()]) {
        t.equal((yield* failure(next as never)).code, error.code);
      }
      const sendError = yield* wait(new Promise((resolve) => conn.send('x', resolve)));
      t.match(sendError, { code: error.code });
    }),
  ),
);

t.test('N3 who waits for the kernel hears of a reset', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      const handedOver = spawn(() => conn.write(Buffer.alloc(12_000_000)), { onError: () => {} });
      const waiting = spawn(() => conn.write('turn'), { onError: () => {} });
      const flushing = spawn(() => conn.flush(), { onError: () => {} });
      yield* sleep(10);
      const sent = new Promise((resolve) => conn.send('x', resolve));
      t.match(flushing.describe(), 'flushing to 127.0.0.1:');
      peer.resetAndDestroy();
      for (const each of [handedOver, waiting, flushing]) {
        t.match((yield* failure(() => each.join() as never)).code, /EPIPE|ECONNRESET/);
      }
      t.match(yield* wait(sent), { code: /EPIPE|ECONNRESET/ });
    }),
  ),
);

t.test('writeAll writes its parts as one; nothing but text and bytes is written', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const all = readAll(peer);
      yield* conn.writeAll(['grüß ', Buffer.from('gott'), new Uint8Array([33])]);
      yield* conn.write('');
      yield* conn.writeAll([]);
      for (const data of [5, null, undefined, {}, [1], new ArrayBuffer(1)]) {
        t.throws(() => conn.write(data as never), {
          name: 'TypeError',
          message: /^expected a string or a Uint8Array/,
        });
        t.throws(() => conn.send(data as never), TypeError);
        t.throws(() => conn.writeAll([data] as never), TypeError);
      }
      t.throws(() => conn.writeAll('x' as never), TypeError);
      t.throws(() => conn.send('x', 5 as never), TypeError);
      yield* conn.end();
      t.equal(String(yield* wait(all)), 'grüß gott!');
    }),
  ),
);

t.test('N4 end closes one direction; writing after it is an error of its own', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      yield* conn.write('request');
      yield* conn.end();
      t.equal(String(yield* wait(readAll(peer))), 'request');
      t.match(yield* failure(() => conn.write('x') as never), { code: 'ERR_CLOSED', message: /after end/ });
      t.match(yield* wait(new Promise((resolve) => conn.send('x', resolve))), { code: 'ERR_CLOSED' });
      yield* conn.end();
      peer.end('answer');
      t.equal(String(yield* conn.read()), 'answer');
      t.equal(yield* conn.read(), null);
    }),
  ),
);

t.test('a flush and an end that are cancelled end their wait only', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      conn.send(Buffer.alloc(8_000_000));
      const flushing = spawn(() => conn.flush());
      const ending = spawn(() => conn.end());
      yield* sleep(5);
      t.match(ending.describe(), 'ending the stream to');
      flushing.cancel();
      ending.cancel();
      yield* failure(() => flushing.join() as never);
      yield* failure(() => ending.join() as never);
      const flush = conn.flush();
      const all = readAll(peer);
      yield* flush;
      yield* flush;
      t.equal((yield* wait(all)).byteLength, 8_000_000);
    }),
  ),
);

for (const kind of ['TCP', 'Unix']) {
  const address = () => (kind === 'TCP' ? 0 : { path: socketPath() });

  t.test(`${kind}: N6 close delivers what was written although input is unread`, (t) =>
    run(() =>
      withPair(function* ({ conn, peer }) {
        peer.write('unread');
        yield* sleep(5);
        for (let index = 0; index < 20; index++) yield* conn.write(Buffer.alloc(3_000, 'x'));
        conn.close();
        conn.close();
        t.ok(conn.isClosed);
        const received = yield* wait(readAll(peer));
        t.equal(received.byteLength, 60_000);
        peer.write('more, unread');
        peer.end();
        yield* wait(once(peer, 'close'));
      }, address()),
    ),
  );

  t.test(`${kind}: N7 closing wakes all who wait`, (t) =>
    run(() =>
      withPair(function* ({ conn, peer }) {
        peer.pause();
        const waiting = [
          spawn(() => conn.read(), { onError: () => {} }),
          spawn(() => conn.write(Buffer.alloc(20_000_000)), { onError: () => {} }),
          spawn(() => conn.write('turn'), { onError: () => {} }),
          spawn(() => conn.write('turn'), { onError: () => {} }),
          spawn(() => conn.flush(), { onError: () => {} }),
        ];
        yield* sleep(10);
        conn.close();
        for (const each of waiting) t.equal((yield* failure(() => each.join() as never)).code, 'ERR_CLOSED');
        conn.reset();
        conn.reset();
      }, address()),
    ),
  );

  t.test(`${kind}: a reset after close leaves no handle behind`, (t) =>
    run(() =>
      withPair(function* ({ conn, peer }) {
        const closed = new Promise((resolve) => peer.once('close', resolve));
        conn.close();
        yield* sleep(5);
        conn.reset();
        peer.write('to nobody');
        peer.resume().end();
        yield* wait(closed);
        yield* wait(until(() => reactor.open === 0, 'the last descriptor'));
        t.pass();
      }, address()),
    ),
  );

  t.test(`${kind}: reset drops everything at once`, (t) =>
    run(() =>
      withPair(function* ({ conn, peer }) {
        const errors: unknown[] = [];
        conn.send(Buffer.alloc(20_000_000), (error) => errors.push(error));
        conn.recv((_, error) => errors.push(error));
        const closed = once(peer.resume(), 'close').catch(() => {});
        conn.reset();
        t.same(errors, [], 'nothing is called back inside the call');
        yield* wait(until(() => errors.length === 2));
        for (const error of errors) t.match(error, { code: 'ERR_CLOSED', message: /reset on this side/ });
        peer.end();
        yield* wait(closed);
      }, address()),
    ),
  );
}

t.test('R11 socket options are kept and checked', (t) =>
  run(() =>
    withPair(function* ({ conn }) {
      t.equal(conn.noDelay, true);
      conn.noDelay = false;
      t.equal(conn.noDelay, false);
      t.equal(conn.keepAlive, 15_000);
      conn.keepAlive = 0;
      t.equal(conn.keepAlive, 0);
      t.throws(() => (conn.keepAlive = NaN), TypeError);
    }),
  ),
);
