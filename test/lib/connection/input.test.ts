import t from 'tap';
import {
  BusyError,
  Channel,
  type Co,
  type Connection,
  current,
  pause,
  run,
  sleep,
  spawn,
  suspend,
  wait,
} from '../../../lib/index.ts';
import { stackOf } from '../../../scheduler/debug/stack.ts';
import { failure, withPair } from '../../support/connection/pair.ts';
import { until } from '../../support/connection/peers.ts';

t.test('read gives what has come, then null, again and again', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.write('hello');
      t.equal(String(yield* conn.read()), 'hello');
      peer.end();
      t.equal(yield* conn.read(), null);
      t.equal(yield* conn.read(), null);
      t.equal(conn.bytesRead, 5);
    }),
  ),
);

t.test('the five lines over recv and suspend read as the shipped read does', async (t) => {
  const fiveLines = (conn: Connection) =>
    suspend<Buffer | null>((resume) => conn.recv((data, error) => resume(error, data)));
  for (const read of [fiveLines, (conn: Connection) => conn.read()]) {
    await run(() =>
      withPair(function* ({ conn, peer }) {
        peer.write('one');
        t.equal(String(yield* read(conn)), 'one');
        // Cancelled while it waits: the next bytes are there for the next reader.
        const cancelled = spawn(() => read(conn));
        yield* sleep(5);
        t.equal((yield* failure(() => read(conn) as never)).code, 'ERR_BUSY');
        cancelled.cancel();
        yield* failure(function* () {
          yield* cancelled.join();
        });
        peer.write('two');
        t.equal(String(yield* read(conn)), 'two');
        peer.end('three');
        t.equal(String(yield* read(conn)), 'three');
        t.equal(yield* read(conn), null);
        conn.close();
        t.equal((yield* failure(() => read(conn) as never)).code, 'ERR_CLOSED');
      }),
    );
    await run(() =>
      withPair(function* ({ conn, peer }) {
        const reader = spawn(() => read(conn), { onError: () => {} });
        yield* sleep(5);
        peer.resetAndDestroy();
        const error = yield* failure(() => reader.join() as never);
        t.match(error, {
          code: 'ECONNRESET',
          syscall: 'read',
          address: '127.0.0.1',
          port: conn.remoteAddress.port,
        });
        t.match(error.cause, { code: 'ECONNRESET' });
      }),
    );
  }
});

t.test('N2 a second concurrent reader is busy, and the first is not disturbed', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const first = spawn(() => conn.read());
      yield* pause();
      const buffer = Buffer.alloc(4);
      for (const second of [() => conn.read(), () => conn.readInto(buffer)]) {
        const error = yield* failure(second as never);
        t.ok(error instanceof BusyError);
        t.match(error.message, 'reading from 127.0.0.1:');
      }
      t.throws(() => conn.recv(() => {}), { code: 'ERR_BUSY' });
      peer.write('x');
      t.equal(String(yield* first.join()), 'x');
    }),
  ),
);

t.test('N2 bytes that a woken reader has not taken yet are not for another', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const order: string[] = [];
      const first = spawn(function* () {
        order.push(`first ${String(yield* conn.read())}`);
      });
      yield* pause();
      peer.write('x');
      yield* wait(until(() => first.state !== 'suspended' || conn.bytesRead > 0));
      yield* first.join();
      t.same(order, ['first x']);
    }),
  ),
);

t.test('a read that was created and never performed is named at the next read, once', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      conn.read();
      t.throws(() => conn.read(), { name: 'TypeError', message: /`yield\*` is missing/ });
      peer.write('x');
      t.equal(String(yield* conn.read()), 'x');
    }),
  ),
);

t.test('a read in a cancelled scope was performed, and so was one that gave way', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const cancelled = spawn(function* () {
        current().cancel();
        for (let round = 0; round < 2; round++) {
          t.equal((yield* failure(() => conn.read() as never)).code, 'ABORT_ERR');
        }
      });
      yield* wait(until(() => cancelled.state === 'done'));
      const always = new Channel<number>();
      always.close();
      let cutOff = 0;
      // One of them has to give way where it reads, and is cancelled before it is its turn again.
      for (let before = 120; before < 136; before++) {
        const reader = spawn(function* () {
          for (let left = before; left > 0; left--) yield* always.receive();
          yield* conn.read();
        });
        yield* pause();
        if (reader.describe() === undefined) cutOff++;
        reader.cancel();
        yield* pause();
        t.equal(reader.state, 'cancelled');
      }
      t.ok(cutOff > 0, 'one has given way');
      peer.write('bytes');
      t.equal(String(yield* conn.read()), 'bytes');
    }),
  ),
);

t.test('readInto fills the buffer it is given and keeps the rest for later', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.end('abcdef');
      const buffer = new Uint8Array(4);
      t.equal(yield* conn.readInto(buffer), 4);
      t.equal(Buffer.from(buffer).toString(), 'abcd');
      t.equal(String(yield* conn.read()), 'ef');
      t.equal(yield* conn.readInto(buffer), 0);
      t.throws(() => conn.readInto(new Uint8Array(0)), TypeError);
      t.throws(() => conn.readInto('x' as never), TypeError);
    }),
  ),
);

t.test('N14 a small read keeps little memory', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      for (const text of ['one', 'two']) {
        peer.write(text);
        const data = (yield* conn.read())!;
        t.equal(String(data), text);
        t.ok(data.buffer.byteLength <= 16_384, `${data.buffer.byteLength} bytes of memory behind 3`);
      }
    }),
  ),
);

t.test('N11 an error carries the stack of the coroutine that was waiting', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      function* innermost(): Co<void> {
        yield* conn.read();
      }
      const reader = spawn(
        function* outermost() {
          yield* innermost();
        },
        { onError: () => {} },
      );
      yield* sleep(5);
      t.equal(reader.describe(), `reading from 127.0.0.1:${peer.localPort}`);
      t.match(stackOf(reader).join('\n'), /innermost[^]*outermost/);
      peer.resetAndDestroy();
      const { stack } = yield* failure(() => reader.join() as never);
      t.match(stack, /innermost[^]*input\.test\.ts[^]*outermost/);
    }),
  ),
);

t.test('N1 a peer that sends to a slow reader is stopped', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      let offered = 0;
      const piece = Buffer.alloc(65_536);
      const fill = () => {
        while (offered < 64_000_000 && peer.write(piece)) offered += piece.byteLength;
      };
      peer.on('drain', fill);
      fill();
      yield* sleep(100);
      t.ok(offered < 32_000_000, `the peer could send ${offered} bytes`);
      t.equal(conn.bytesRead, 0);
    }),
  ),
);

t.test('T2 the idle timeout is pushed back by every byte, and ends the wait', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      conn.idleTimeout = 60;
      t.equal(conn.idleTimeout, 60);
      for (let round = 0; round < 4; round++) {
        yield* sleep(30);
        peer.write('x');
        yield* conn.read();
      }
      const error = yield* failure(() => conn.read() as never);
      t.match(error, { name: 'TimeoutError', code: 'ERR_TIMEOUT', message: /for 60 ms/ });
      t.ok(conn.isClosed);
      t.equal((yield* failure(() => conn.write('x') as never)).code, 'ERR_TIMEOUT');
      t.throws(() => (conn.idleTimeout = -1), TypeError);
      t.throws(() => (conn.idleTimeout = 'x' as never), TypeError);
      conn.idleTimeout = 50;
    }),
  ),
);

t.test('the idle timeout can be switched off', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      conn.idleTimeout = 20;
      conn.idleTimeout = 0;
      yield* sleep(40);
      peer.write('x');
      t.equal(String(yield* conn.read()), 'x');
    }),
  ),
);
