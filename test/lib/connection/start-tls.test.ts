import { once } from 'node:events';
import tls from 'node:tls';
import t from 'tap';
import {
  after,
  all,
  type Co,
  type Connection,
  dial,
  listen,
  pause,
  run,
  select,
  sleep,
  spawn,
  type StartTlsOptions,
  wait,
} from '../../../lib/index.ts';
import { authority, noOpenssl } from '../../support/connection/certificates.ts';
import { openFiles } from '../../support/network/open-files.ts';
import { failure, withPair } from '../../support/connection/pair.ts';
import { listenPlain, portOf, until } from '../../support/connection/peers.ts';
import { clientTls, readToEnd, serverTls } from '../../support/connection/tls-pair.ts';

const needs = { skip: noOpenssl };

/** Two connections in the clear. */
function* withPlainPair(body: (conn: Connection, peer: Connection) => Co<void>): Co<void> {
  const acceptor = yield* listen(0);
  const peer = yield* dial(`localhost:${acceptor.address.port}`);
  const conn = yield* acceptor.accept();
  try {
    yield* body(conn, peer);
  } finally {
    conn.reset();
    peer.reset();
    acceptor.close();
  }
}

const asServer = (options: StartTlsOptions = {}): StartTlsOptions => ({
  ...serverTls(options),
  isServer: true,
});

/** Both sides change over. */
function* startBoth(conn: Connection, peer: Connection): Co<void> {
  yield* all([() => conn.startTls(asServer()), () => peer.startTls({ ca: authority().cert })]);
}

t.test('a dialogue goes on over TLS on the same connections', needs, (t) =>
  run(() =>
    withPlainPair(function* (conn, peer) {
      yield* peer.write('EHLO\r\n');
      t.equal(String(yield* conn.read()), 'EHLO\r\n');
      yield* conn.write('250-STARTTLS\r\n');
      t.equal(String(yield* peer.read()), '250-STARTTLS\r\n');
      yield* peer.write('STARTTLS\r\n');
      t.equal(String(yield* conn.read()), 'STARTTLS\r\n');
      // What was written and is not out yet goes out in the clear.
      conn.send('220 go ahead\r\n');
      const server = spawn(() => conn.startTls(asServer()));
      t.equal(String(yield* peer.read()), '220 go ahead\r\n');
      const { localAddress } = peer;
      yield* peer.startTls({ ca: authority().cert });
      yield* server.join();
      t.equal(peer.tls?.protocol, 'TLSv1.3');
      t.equal(peer.tls?.servername, 'localhost', 'the host that was dialled');
      t.ok(peer.tls?.authorized);
      t.equal(conn.tls?.servername, 'localhost');
      t.equal(String(peer.localAddress), String(localAddress));
      t.equal(peer.bytesWritten, 16);
      t.equal(peer.bytesRead, 28);
      yield* peer.write('secret');
      t.equal(String(yield* conn.read()), 'secret');
      const much = Buffer.alloc(300_000, 'x');
      const reading = spawn(() => readToEnd(peer));
      yield* conn.write(much);
      yield* conn.end();
      t.ok(much.equals(yield* reading.join()));
      t.equal(peer.bytesWritten, 22, 'the user’s bytes are counted across the change');
      t.equal(conn.bytesRead, 22);
      t.equal(conn.bytesWritten, 28 + 300_000);
      t.equal(peer.bytesRead, 28 + 300_000);
      conn.noDelay = false;
      conn.keepAlive = 1_000;
      yield* peer.end();
      t.equal(yield* conn.read(), null);
    }),
  ),
);

t.test('plaintext that was slipped in before the handshake reaches nobody', needs, (t) =>
  run(function* () {
    // As a server: a command behind STARTTLS, in the same segment or unread in the kernel.
    for (const how of ['apart', 'in the socket', 'held', 'put back']) {
      yield* withPlainPair(function* (conn, peer) {
        if (how === 'apart') {
          yield* peer.write('STARTTLS\r\n');
          t.equal(String(yield* conn.read()), 'STARTTLS\r\n');
          yield* peer.write('RCPT TO:<evil>\r\n');
          yield* sleep(20);
        } else {
          yield* peer.write('STARTTLS\r\nRCPT TO:<evil>\r\n');
          if (how === 'held') t.equal(yield* conn.readLine(), 'STARTTLS');
          else t.equal(yield* conn.readInto(Buffer.alloc(10)), 10);
          if (how === 'put back') conn.unread(yield* conn.readExactly(5));
        }
        const error = yield* failure(() => conn.startTls(asServer()));
        t.match(error.code, /^ERR_SSL_/);
        t.match(error.message, /^starting TLS with 127\.0\.0\.1:\d+: /);
        for (const use of [() => conn.read(), () => conn.write('x'), () => conn.startTls(asServer())]) {
          t.equal((yield* failure(use)).message, error.message, 'whoever uses it is told so');
        }
      });
    }
    // As a client: an answer behind the one to STARTTLS.
    yield* withPlainPair(function* (conn, peer) {
      yield* conn.write('220 go\r\n250 you are root\r\n');
      const line = Buffer.alloc(8);
      t.equal(yield* peer.readInto(line), 8);
      spawn(() => failure(() => conn.startTls(asServer())));
      const error = yield* failure(() => peer.startTls({ ca: authority().cert }));
      t.match(error.code, /^ERR_SSL_/);
      t.ok(peer.isClosed);
    });
  }),
);

t.test('a handshake that has begun to arrive is taken up', needs, (t) =>
  run(function* () {
    const acceptor = yield* listen(0);
    const client = tls.connect({ port: acceptor.address.port, host: '127.0.0.1', ...clientTls() });
    const secured = once(client, 'secureConnect');
    const conn = yield* acceptor.accept();
    // A read that is cancelled leaves the ClientHello on this side.
    const reading = spawn(() => select({ data: conn.read(), late: after(0) }));
    yield* reading.join();
    yield* sleep(20);
    yield* conn.startTls(asServer());
    yield* wait(secured);
    client.end('hello');
    t.equal(String(yield* conn.read()), 'hello');
    conn.close();
    acceptor.close();
  }),
);

t.test('it is refused while somebody reads, or another one starts it', needs, (t) =>
  run(() =>
    withPlainPair(function* (conn, peer) {
      const reading = spawn(() => conn.read());
      yield* pause();
      t.equal((yield* failure(() => conn.startTls(asServer()))).code, 'ERR_BUSY');
      yield* peer.write('x');
      t.equal(String(yield* reading.join()), 'x', 'who read goes on');

      const starting = spawn(() => conn.startTls(asServer()));
      yield* sleep(5);
      for (const use of [
        () => conn.read(),
        () => conn.write('in the clear'),
        () => conn.flush(),
        () => conn.end(),
        () => conn.startTls(asServer()),
      ]) {
        t.equal((yield* failure(use)).code, 'ERR_BUSY');
      }
      const sent = yield* wait(new Promise<Error | null>((resolve) => conn.send('in the clear', resolve)));
      t.equal((sent as NodeJS.ErrnoException).code, 'ERR_BUSY');
      t.throws(() => conn.recv(() => {}), { code: 'ERR_BUSY' });
      t.throws(() => conn.unread(Buffer.from('in the clear')), { code: 'ERR_BUSY' });
      yield* peer.startTls({ ca: authority().cert });
      yield* starting.join();
      t.equal((yield* failure(() => conn.startTls(asServer()))).code, 'ERR_STATE', 'it is there');
      yield* conn.write('over TLS');
      t.equal(String(yield* peer.read()), 'over TLS');
    }),
  ),
);

t.test('it is refused when the connection is closed, or was ended', needs, (t) =>
  run(() =>
    withPlainPair(function* (conn, peer) {
      yield* conn.end();
      t.equal((yield* failure(() => conn.startTls(asServer()))).code, 'ERR_CLOSED');
      peer.close();
      t.equal((yield* failure(() => peer.startTls({ ca: authority().cert }))).code, 'ERR_CLOSED');
      t.throws(() => conn.startTls(), /startTls of a client expects a servername/);
      t.throws(() => conn.startTls({ isServer: true }), /startTls of a server expects a key and a cert/);
      t.throws(() => conn.startTls({ handshakeTimeout: -1 }), TypeError);
    }),
  ),
);

t.test('the certificate is checked', needs, (t) =>
  run(function* () {
    for (const [options, code] of [
      [{}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      [clientTls({ servername: 'other.example' }), 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ] as const) {
      yield* withPlainPair(function* (conn, peer) {
        const server = spawn(() => failure(() => conn.startTls(asServer()).next as never));
        yield* server.join();
        const starting = spawn(() => conn.startTls(asServer()), { onError: () => {} });
        t.equal((yield* failure(() => peer.startTls(options))).code, code);
        t.equal((yield* failure(() => peer.read())).code, code);
        starting.cancel();
      });
    }
  }),
);

t.test('a peer that does not answer is given up at the deadline, and one that closes at once', needs, (t) =>
  run(function* () {
    yield* withPair(function* ({ conn }) {
      const error = yield* failure(() => conn.startTls(asServer({ handshakeTimeout: 30 })));
      t.equal(error.code, 'ERR_TIMEOUT');
      t.ok(conn.isClosed);
    });
    for (const isReset of [true, false]) {
      yield* withPair(function* ({ conn, peer }) {
        const starting = spawn(() => failure(() => conn.startTls(asServer())));
        yield* sleep(5);
        if (isReset) peer.resetAndDestroy();
        else peer.end();
        t.equal((yield* starting.join()).code, 'ECONNRESET');
      });
    }
    yield* withPair(function* ({ conn, peer }) {
      peer.end();
      t.equal(yield* conn.read(), null);
      t.equal((yield* failure(() => conn.startTls(asServer()))).code, 'ECONNRESET', 'it had ended before');
    });
  }),
);

t.test('closing it meanwhile wakes the one who starts it', needs, (t) =>
  run(function* () {
    for (const how of ['close', 'reset'] as const) {
      yield* withPair(function* ({ conn, peer }) {
        const starting = spawn(() => failure(() => conn.startTls(asServer())));
        yield* sleep(5);
        const closed = new Promise((resolve) => peer.once('close', resolve));
        peer.resume();
        conn[how]();
        t.equal((yield* starting.join()).code, 'ERR_CLOSED');
        peer.end();
        yield* wait(closed);
      });
    }
  }),
);

t.test('cancelled while it waits for its turn it has done nothing, half-way it resets', needs, (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      conn.send(Buffer.alloc(12_000_000));
      const early = spawn(() => conn.startTls(asServer()));
      yield* sleep(5);
      early.cancel();
      yield* failure(() => early.join());
      t.notOk(conn.isClosed);
      let received = 0;
      peer.on('data', (data) => (received += data.byteLength));
      peer.resume();
      yield* wait(until(() => received === 12_000_000, 'all bytes'));
      const late = spawn(() => conn.startTls(asServer()));
      yield* sleep(5);
      const closed = new Promise((resolve) => peer.once('close', resolve));
      late.cancel();
      yield* failure(() => late.join());
      t.ok(conn.isClosed);
      t.match((yield* failure(() => conn.read())).message, /cancelled half-way/);
      yield* wait(closed);
    }),
  ),
);

t.test('cancelled at any moment of the handshake it leaves no descriptor', needs, (t) =>
  run(function* () {
    const before = openFiles();
    for (let round = 0; round < 40; round++) {
      yield* withPlainPair(function* (conn, peer) {
        const both = spawn(() => startBoth(conn, peer));
        for (let step = 0; step < round; step++) yield* wait(new Promise(setImmediate));
        both.cancel();
        yield* failure(function* () {
          yield* both.join();
          throw new Error('it was done');
        });
        if (conn.tls === null) t.ok(conn.isClosed || round === 0, `in the clear after ${round} rounds`);
      });
    }
    yield* wait(until(() => openFiles() <= before, 'the descriptors'));
  }),
);

t.test('silence is counted again after the handshake', needs, (t) =>
  run(() =>
    withPlainPair(function* (conn, peer) {
      conn.idleTimeout = 60;
      yield* startBoth(conn, peer);
      t.equal(conn.idleTimeout, 60);
      yield* conn.write('x');
      const error = yield* failure(() => conn.read());
      t.equal(error.code, 'ERR_TIMEOUT');
    }),
  ),
);

t.test('a server of node:tls is spoken to in the middle of a stream', needs, (t) =>
  run(function* () {
    const server = yield* wait(
      listenPlain((socket) => {
        socket.once('data', () => {
          socket.write('220 go\r\n');
          const { key, cert } = serverTls();
          const over = new tls.TLSSocket(socket, {
            isServer: true,
            key: key as string,
            cert: cert as string,
          });
          over.on('error', () => {});
          over.pipe(over);
        });
      }),
    );
    const conn = yield* dial(portOf(server));
    yield* conn.write('STARTTLS\r\n');
    t.equal(String(yield* conn.read()), '220 go\r\n');
    yield* conn.startTls(clientTls());
    yield* conn.write('echo');
    t.equal(String(yield* conn.read()), 'echo');
    conn.close();
    server.close();
  }),
);
