import { once } from 'node:events';
import t from 'tap';
import { type Co, type Connection, sleep } from '../../../lib/index.ts';
import { connect, readAll, until } from '../../support/connection/peers.ts';
import { serving } from '../../support/connection/serving.ts';

const TOTAL = 400;

/** Answers each line with its length, after it has thought about it. */
function answer(thought: number) {
  return function* (conn: Connection): Co<void> {
    for (let line; (line = yield* conn.readLine()) !== null;) {
      yield* sleep(thought);
      yield* conn.write(`${line.length}\n`);
    }
  };
}

t.test('a request that comes byte by byte is cut off after its time in all', async (t) => {
  const errors: string[] = [];
  const server = await serving(answer(0), {
    requestTimeout: TOTAL,
    idleTimeout: 10_000,
    onError: (error, conn) => errors.push(`${String(error)} (${String(conn?.remoteAddress)})`),
  });
  const slow = await connect(server);
  const started = performance.now();
  const drip = setInterval(() => slow.write('x'), 10);
  t.equal(String(await readAll(slow)), '', 'the connection is closed');
  clearInterval(drip);
  t.ok(performance.now() - started > TOTAL - 10, 'not before');
  slow.destroy();
  await until(() => errors.length === 1);
  t.match(
    errors[0],
    /^TimeoutError: the request of 127\.0\.0\.1:\d+ was not complete after 400 ms \(127\.0\.0\.1:\d+\)$/,
  );
  server.stop();
  await server.ended;
});

t.test('the beginning of a request that came with the one before counts, too', async (t) => {
  const errors: unknown[] = [];
  const server = await serving(answer(0), { requestTimeout: TOTAL, onError: (error) => errors.push(error) });
  const peer = await connect(server);
  peer.write('whole\nhalf');
  t.equal(String(await readAll(peer)), '5\n', 'the connection is closed');
  peer.destroy();
  t.match(errors, [{ code: 'ERR_TIMEOUT', message: /was not complete/ }]);
  server.stop();
  await server.ended;
});

t.test('each request has its own time, and waiting for one has none', async (t) => {
  const errors: unknown[] = [];
  const server = await serving(answer(0), { requestTimeout: TOTAL, onError: (error) => errors.push(error) });
  const peer = await connect(server);
  for (let count = 0; count < 4; count++) {
    peer.write('ab');
    await new Promise((resolve) => setTimeout(resolve, TOTAL / 3));
    peer.write('c\n');
    t.equal(String((await once(peer, 'data'))[0]), '3\n');
    // Silence between two requests is for `idleTimeout` to judge.
    await new Promise((resolve) => setTimeout(resolve, TOTAL * 1.2));
  }
  peer.end();
  server.stop();
  await server.ended;
  t.same(errors, []);
});

t.test('a handler may think longer than a request may take', async (t) => {
  const errors: unknown[] = [];
  const server = await serving(answer(TOTAL * 2), {
    requestTimeout: TOTAL,
    onError: (error) => errors.push(error),
  });
  const peer = await connect(server);
  peer.write('abc\n');
  t.equal(String((await once(peer, 'data'))[0]), '3\n');
  peer.end();
  server.stop();
  await server.ended;
  t.same(errors, []);
});

t.test('requestTimeout can be set, seen and taken back', async (t) => {
  const server = await serving(
    function* (conn) {
      t.equal(conn.requestTimeout, 0);
      t.throws(() => (conn.requestTimeout = -1), { message: /requestTimeout expects milliseconds/ });
      conn.requestTimeout = 20;
      t.equal(conn.requestTimeout, 20);
      yield* conn.read();
      conn.requestTimeout = 0;
      yield* conn.write(`${(yield* conn.readLine())!.length}`);
      conn.close();
      conn.requestTimeout = 20;
      t.equal(conn.requestTimeout, 0, 'nothing is left to be timed');
    },
    { onError: (error) => t.fail(String(error)) },
  );
  const peer = await connect(server);
  peer.write('x');
  await new Promise((resolve) => setTimeout(resolve, 5));
  const answered = once(peer, 'data');
  setTimeout(() => peer.write('late\n'), 60);
  t.match(String((await answered)[0]), /^[45]$/);
  peer.end();
  server.stop();
  await server.ended;
});
