import type net from 'node:net';
import t from 'tap';
import {
  after,
  Channel,
  type Connection,
  dial,
  EventLoop,
  listen,
  never,
  type Operation,
  pause,
  run,
  select,
  sleep,
  spawn,
  trySelect,
  wait,
} from '../../../lib/index.ts';
import { FIRED, type Leaf } from '../../../scheduler/kernel/operation.ts';
import { failure, withPair } from '../../support/connection/pair.ts';
import { listenPlain, portOf, readAll, startConnect, until } from '../../support/connection/peers.ts';

/** More than the kernel takes while the peer does not read. */
const MUCH = 12_000_000;

t.test('a read that loses in a select leaves its bytes to the next reader', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const news = new Channel<string>();
      for (const text of ['one', 'two']) {
        const waiting = spawn(() => select({ data: conn.read(), news: news.receive() }));
        yield* sleep(5);
        t.ok(news.trySend('news'));
        peer.write(text);
        t.equal((yield* waiting.join()).key, 'news');
        t.equal(String(yield* conn.read()), text);
      }
      t.equal(conn.bytesRead, 6);
    }),
  ),
);

/** Runs code right after a read was told that there are bytes, before its coroutine looks. */
function onceTold(operation: Operation<unknown>, code: () => void): void {
  const read = operation as unknown as { notify(): void };
  const { notify } = read;
  read.notify = function told() {
    read.notify = notify;
    notify.call(operation);
    code();
  };
}

t.test('a read that was told of bytes when another case was served leaves them too', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const news = new Channel<string>();
      const data = conn.read();
      onceTold(data, () => t.ok(news.trySend('news')));
      setImmediate(() => peer.write('bytes'));
      t.equal((yield* select({ data, news: news.receive() })).key, 'news');
      t.equal(String(yield* conn.read()), 'bytes');
    }),
  ),
);

t.test('a read that wins has its bytes, then the end, and then a reset', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const cases = () => ({ data: conn.read(), late: after(5_000) });
      peer.write('bytes');
      t.equal(String((yield* select(cases())).value), 'bytes');
      peer.end();
      t.strictSame(yield* select(cases()), { key: 'data', value: null });
      conn.close();
      t.equal((yield* failure(() => select(cases()) as never)).code, 'ERR_CLOSED');
    }),
  ),
);

t.test('closing the connection, or a reset by the peer, is thrown from a select that reads', (t) =>
  run(function* () {
    for (const isReset of [false, true]) {
      yield* withPair(function* ({ conn, peer }) {
        const waiting = spawn(() => failure(() => select({ data: conn.read(), off: never }) as never));
        yield* sleep(5);
        if (isReset) peer.resetAndDestroy();
        else conn.close();
        t.equal((yield* waiting.join()).code, isReset ? 'ECONNRESET' : 'ERR_CLOSED');
      });
    }
  }),
);

t.test('a read that was a case and was never polled is no read whose yield* is missing', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const news = new Channel<number>(1);
      for (let round = 0; round < 20; round++) {
        news.trySend(round);
        t.equal((yield* select({ data: conn.read(), news: news.receive() })).key, 'news');
        news.trySend(round);
        t.equal(trySelect({ data: conn.read(), news: news.receive() })?.key, 'news');
      }
      peer.write('bytes');
      t.equal(String(yield* conn.read()), 'bytes');
      conn.read();
      t.throws(() => select({ data: conn.read() }), /`yield\*` is missing/, 'that one is');
    }),
  ),
);

t.test('N2 a read in a select is busy while somebody else reads, and the other way round', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const news = new Channel<number>();
      const reading = spawn(() => conn.read());
      yield* pause();
      const busy = yield* failure(() => select({ news: news.receive(), data: conn.read() }) as never);
      t.equal(busy.code, 'ERR_BUSY');
      t.notOk(news.trySend(1), 'the other case was disarmed');
      peer.write('one');
      t.equal(String(yield* reading.join()), 'one');
      const selecting = spawn(() => select({ data: conn.read() }));
      yield* pause();
      t.equal((yield* failure(() => conn.read() as never)).code, 'ERR_BUSY');
      const buffer = Buffer.alloc(8);
      t.equal((yield* failure(() => conn.readInto(buffer) as never)).code, 'ERR_BUSY');
      peer.write('two');
      t.equal(String((yield* selecting.join()).value), 'two');
    }),
  ),
);

t.test('bytes that were announced and are held back again leave the select waiting', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const event = new EventLoop();
      event.loop();
      event.add(conn);
      const data = conn.read();
      onceTold(data, () => event.del(conn));
      const news = new Channel<string>();
      const waiting = spawn(() => select({ data, news: news.receive() }));
      peer.write('bytes');
      yield* sleep(10);
      t.equal(waiting.state, 'suspended');
      event.add(conn);
      const first = yield* waiting.join();
      t.equal(String(first.value), 'bytes');
      t.notOk(news.trySend('nobody waits'));
      event.stop();
    }),
  ),
);

t.test('an accept that loses leaves the connection to the next one', (t) =>
  run(function* () {
    const acceptor = yield* listen(0);
    const first = yield* select({ client: acceptor.accept(), late: sleep(5) });
    t.equal(first.key, 'late');
    const peer = startConnect(acceptor.address);
    const second = yield* select({ client: acceptor.accept(), late: sleep(5_000) });
    t.equal(second.key, 'client');
    (second.value as Connection).reset();
    // Two who ask by select, and one connection: it goes to one of them, and the other asks on.
    const asking = [1, 2].map(() => spawn(() => select({ client: acceptor.accept(), off: never })));
    yield* pause();
    const other = startConnect(acceptor.address);
    yield* wait(until(() => asking.some(({ state }) => state === 'done')));
    t.equal(asking.filter(({ state }) => state === 'suspended').length, 1);
    (yield* asking[0]!.join()).value.reset();
    acceptor.close();
    t.equal((yield* failure(() => asking[1]!.join() as never)).code, 'ERR_CLOSED');
    peer.destroy();
    other.destroy();
  }).catch((error: unknown) => t.match(error, { code: 'ERR_CLOSED' })),
);

t.test('an accept that was served is no loss for a coroutine that was cancelled since (C6)', (t) =>
  run(function* () {
    const acceptor = yield* listen(0);
    let conn: Connection | undefined;
    const asking = spawn(function* () {
      conn = (yield* select({ client: acceptor.accept(), off: never })).value;
    });
    yield* pause();
    const peer = startConnect(acceptor.address);
    yield* wait(until(() => asking.state !== 'suspended'));
    asking.cancel();
    yield* sleep(5);
    t.not(conn, undefined);
    conn?.reset();
    peer.destroy();
    acceptor.close();
  }),
);

t.test('dial and write begin only if nothing else is ready', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      let dialled = 0;
      const server = yield* wait(listenPlain(() => dialled++));
      const news = new Channel<number>(1);
      for (let round = 0; round < 20; round++) {
        news.trySend(round);
        const cases = { peer: dial(portOf(server)), sent: conn.write('never'), news: news.receive() };
        t.equal((yield* select(cases)).key, 'news');
      }
      t.equal((yield* select({ sent: conn.write('hello'), news: news.receive() })).key, 'sent');
      const first = yield* select({ peer: dial(portOf(server)), news: news.receive() });
      t.equal(first.key, 'peer');
      (first.value as Connection).reset();
      yield* conn.end();
      t.equal(String(yield* wait(readAll(peer))), 'hello');
      t.equal(dialled, 1);
      server.close();
    }),
  ),
);

t.test('a dial that loses is ended', (t) =>
  run(function* () {
    const server = yield* wait(listenPlain((socket) => socket.resume().on('end', () => socket.end())));
    const news = new Channel<number>();
    const waiting = spawn(() => select({ dialled: dial(portOf(server)), news: news.receive() }));
    yield* pause();
    news.trySend(1);
    t.equal((yield* waiting.join()).key, 'news');
    yield* sleep(10);
    // It calls back when no connection is left.
    yield* wait(new Promise((resolve) => server.close(resolve)));
  }),
);

t.test('N8 a write that was handed over goes out though it loses; it is no error of the select', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      const first = yield* select({ sent: conn.write(Buffer.alloc(MUCH, 'a')), late: sleep(10) });
      t.equal(first.key, 'late');
      const second = yield* select({ sent: conn.write('not handed over'), late: sleep(5) });
      t.equal(second.key, 'late');
      const all = readAll(peer);
      yield* conn.end();
      t.equal(
        (yield* wait(all)).byteLength,
        MUCH,
        'and one that waited for its turn is gone without a trace',
      );
    }),
  ),
);

t.test('N8 a select that is cancelled with a write handed over says what was accepted', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      for (const accepted of [MUCH, undefined]) {
        let error: (Error & { accepted?: number }) | undefined;
        const sender = spawn(function* () {
          try {
            yield* select({ sent: conn.write(Buffer.alloc(MUCH)), off: never });
          } catch (thrown) {
            error = thrown as Error;
            throw thrown;
          }
        });
        yield* sleep(10);
        sender.cancel('enough');
        yield* sleep(1);
        t.equal(sender.state, 'cancelled');
        t.match(error, { name: 'AbortError', cause: 'enough' });
        t.equal(error?.accepted, accepted, 'the second waits for its turn');
      }
    }),
  ),
);

t.test('a write that lost may be performed again, and writes again', (t) =>
  run(function* () {
    for (const isTold of [false, true]) {
      yield* withPair(function* ({ conn, peer }) {
        peer.pause();
        const news = new Channel<number>();
        const write = conn.write(Buffer.alloc(MUCH, 'a'));
        const waiting = spawn(() => select({ write, news: news.receive() }));
        yield* sleep(5);
        // As if the kernel had taken it at the same moment.
        if (isTold) (write as unknown as { notify(): void }).notify();
        news.trySend(1);
        t.equal((yield* waiting.join()).key, 'news');
        const all = readAll(peer);
        yield* write;
        yield* conn.end();
        t.equal((yield* wait(all)).byteLength, 2 * MUCH);
      });
    }
  }),
);

t.test('a connection that has come for a coroutine which returns instead is reset', (t) =>
  run(function* () {
    for (const isSelected of [false, true]) {
      const acceptor = yield* listen(0);
      let theirs: net.Socket | undefined;
      const server = yield* wait(listenPlain((socket) => (theirs = socket.resume())));
      const peer = startConnect(acceptor.address);
      const operations = [acceptor.accept(), dial(portOf(server))];
      for (const operation of operations) {
        const generator = (function* () {
          return yield* isSelected ? select({ operation, off: never }) : operation;
        })();
        // Performed by nobody but this test, so that it is not resumed.
        t.equal(generator.next().done, false);
        yield* wait(until(() => (operation as Leaf<Connection>).state === FIRED));
        generator.return(undefined as never);
      }
      yield* wait(until(() => peer.destroyed && theirs?.destroyed === true));
      acceptor.close();
      server.close();
    }
  }),
);
