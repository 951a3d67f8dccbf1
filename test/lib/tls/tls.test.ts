import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import t from 'tap';
import {
  Acceptor,
  all,
  type Co,
  type Connection,
  Connector,
  dial,
  EventLoop,
  listen,
  pause,
  run,
  serve,
  sleep,
  spawn,
  TimeoutError,
  type TlsOptions,
  wait,
} from '../../../lib/index.ts';
import { authority, certificate, noOpenssl } from '../../support/connection/certificates.ts';
import { failure } from '../../support/connection/pair.ts';
import { listenPlain, portOf, readAll, socketPath, until } from '../../support/connection/peers.ts';
import { clientTls, readToEnd, serverTls, withTlsPair } from '../../support/connection/tls-pair.ts';

const needs = { skip: noOpenssl };

t.test('both sides see what was agreed on', needs, (t) =>
  run(() =>
    withTlsPair(
      function* ({ conn, peer }) {
        for (const one of [conn, peer]) {
          t.equal(one.tls?.protocol, 'TLSv1.3');
          t.match(one.tls?.cipher, /^TLS_/);
          t.equal(one.tls?.alpnProtocol, 'two');
          t.equal(one.tls?.servername, 'localhost');
        }
        t.ok(peer.tls?.authorized);
        t.equal(peer.tls?.authorizationError, null);
        t.equal(peer.tls?.peerCertificate()?.subject, 'CN=localhost');
        t.notOk(conn.tls?.authorized, 'the client has shown no certificate');
        t.equal(conn.tls?.peerCertificate(), null);
        t.equal(String(peer.remoteAddress), String(conn.localAddress), 'the addresses are those of TCP');
        t.equal(String(conn.remoteAddress), String(peer.localAddress));
        conn.reset();
        t.equal(conn.tls?.protocol, 'TLSv1.3', 'also when it is closed');
      },
      { server: { ALPNProtocols: ['one', 'two'] }, client: { ALPNProtocols: ['three', 'two'] } },
    ),
  ),
);

t.test('a connection without TLS has no info', (t) =>
  run(function* () {
    const acceptor = yield* listen(0);
    const conn = yield* dial(acceptor.address);
    t.equal(conn.tls, null);
    conn.reset();
    acceptor.close();
  }),
);

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  for (const kind of ['TCP', 'Unix']) {
    t.test(
      `${version} over ${kind}: both directions end by themselves, and what was written arrives`,
      needs,
      (t) =>
        run(() =>
          withTlsPair(
            function* ({ conn, peer }) {
              t.equal(conn.tls?.protocol, version);
              const much = Buffer.alloc(1_000_000, 'much');
              for (const [from, to] of [
                [conn, peer],
                [peer, conn],
              ] as const) {
                yield* from.write('small');
                t.equal(String(yield* to.read()), 'small');
                const reading = spawn(() => readToEnd(to));
                yield* from.write(much);
                yield* from.end();
                t.ok(much.equals(yield* reading.join()), 'all of it, then the end');
                t.equal(from.bytesWritten, 1_000_005);
                t.equal(to.bytesRead, 1_000_005);
                t.equal((yield* failure(() => from.write('more'))).code, 'ERR_CLOSED');
              }
            },
            {
              client: { maxVersion: version },
              ...(kind === 'Unix' ? { address: { path: socketPath() } } : {}),
            },
          ),
        ),
    );
  }
}

t.test('a peer of node:tls goes on when this side has ended, and this side when the peer has', needs, (t) =>
  run(function* () {
    const { key, cert } = certificate();
    const server = tls.createServer({ key, cert, allowHalfOpen: true }, (socket) => {
      socket.resume().once('end', () => {
        socket.write('still ');
        setTimeout(() => socket.end('here'), 10);
      });
    });
    server.listen(0, '127.0.0.1');
    yield* wait(once(server, 'listening'));
    const conn = yield* dial(portOf(server), { tls: clientTls() });
    yield* conn.end();
    t.equal(String(yield* readToEnd(conn)), 'still here');
    conn.close();
    server.close();

    const acceptor = yield* listen(0, { tls: serverTls() });
    const { port } = acceptor.address;
    // Its types do not know that it takes it.
    const halfOpen = { allowHalfOpen: true };
    const client = tls.connect({ port, host: '127.0.0.1', ca: authority().cert, ...halfOpen });
    client.end('asked');
    const accepted = yield* acceptor.accept();
    t.equal(String(yield* readToEnd(accepted)), 'asked');
    yield* sleep(10);
    yield* accepted.write('answer');
    accepted.close();
    t.equal(String(yield* wait(readAll(client))), 'answer');
    acceptor.close();
  }),
);

t.test('close delivers what was written, although input was not read', needs, (t) =>
  run(() =>
    withTlsPair(function* ({ conn, peer }) {
      yield* peer.write('never read');
      const much = Buffer.alloc(500_000, 'x');
      conn.send(much);
      conn.close();
      t.equal((yield* readToEnd(peer)).byteLength, much.byteLength);
      peer.close();
    }),
  ),
);

t.test('reset is seen as one, also by whoever resets in the turn in which it was accepted', needs, (t) =>
  run(function* () {
    yield* withTlsPair(function* ({ conn, peer }) {
      // libuv takes a reset behind bytes that are not read for an end: here are session tickets.
      yield* conn.write('hello');
      yield* peer.read();
      const reading = spawn(() => failure(() => peer.read()));
      yield* pause();
      conn.reset();
      t.equal((yield* reading.join()).code, 'ECONNRESET');
    });
    for (let round = 0; round < 20; round++) {
      yield* withTlsPair(function* ({ conn, peer }) {
        peer.reset();
        conn.reset();
      });
    }
  }),
);

t.test('a connection may be reset by whoever has just read from it', needs, (t) =>
  run(function* () {
    for (let round = 0; round < 20; round++) {
      yield* withTlsPair(function* ({ conn, peer }) {
        yield* peer.write(Buffer.alloc(100_000));
        yield* conn.read();
        conn.reset();
        t.ok(conn.isClosed);
      });
    }
  }),
);

t.test('a client that was refused is told apart by its error', needs, (t) =>
  run(function* () {
    const cases: [string, TlsOptions, TlsOptions, RegExp][] = [
      [
        'ERR_TLS_CERT_ALTNAME_INVALID',
        certificate('other', { names: 'DNS:other.example' }),
        {},
        /localhost.*not in the cert's altnames: DNS:other.example/i,
      ],
      ['CERT_HAS_EXPIRED', certificate('localhost', { days: -1 }), {}, /certificate has expired/],
      [
        'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
        certificate('localhost', { by: authority('unknown') }),
        {},
        /unable to verify/,
      ],
      ['DEPTH_ZERO_SELF_SIGNED_CERT', authority('alone'), {}, /self-signed certificate/],
      ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', {}, { ca: undefined }, /unable to verify/],
    ];
    for (const [code, server, client, message] of cases) {
      const acceptor = yield* listen(0, { tls: serverTls(server), onError: () => {} });
      const accepting = spawn(() => acceptor.accept());
      const where = `localhost:${acceptor.address.port}`;
      const tlsOptions = { ca: authority().cert, ...client };
      const error = yield* failure(() => dial(where, { tls: tlsOptions }));
      t.equal(error.code, code);
      t.match(error.message, message);
      t.ok(error.message.startsWith(`dialling ${where}: TLS: `), error.message);
      t.equal((error.cause as NodeJS.ErrnoException).code, code, 'the cause is what Node says');
      t.ok(error.stack?.includes('tls.test.ts'), 'with the stack of the one who dials');
      const unchecked = { ...tlsOptions, rejectUnauthorized: false };
      const conn = yield* dial(where, { tls: unchecked });
      t.notOk(conn.tls?.authorized);
      t.equal(conn.tls?.authorizationError, code, 'who does not want to verify it can look');
      conn.reset();
      (yield* accepting.join()).reset();
      acceptor.close();
    }
  }),
);

t.test('an IP address is checked against the certificate, and is no SNI', needs, (t) =>
  run(function* () {
    const names: string[] = [];
    const right = serverTls({
      SNICallback: (name, done) => {
        names.push(name);
        done(null);
      },
    });
    const wrong = certificate('far', { names: 'IP:192.0.2.1,DNS:localhost' });
    for (const [options, code] of [
      [right, undefined],
      [wrong, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ] as const) {
      const acceptor = yield* listen(0, { tls: options, onError: () => {} });
      spawn(() => failure(() => acceptor.accept()), { daemon: true });
      const dialling = dial(acceptor.address, { tls: { ca: authority().cert } });
      if (code === undefined) (yield* dialling).reset();
      else t.equal((yield* failure(() => dialling)).code, code);
      acceptor.close();
    }
    t.strictSame(names, []);
  }),
);

t.test('NODE_TLS_REJECT_UNAUTHORIZED does not turn verification off', needs, (t) => {
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  t.teardown(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
  return run(function* () {
    const acceptor = yield* listen(0, { tls: serverTls(), onError: () => {} });
    spawn(() => failure(() => acceptor.accept()), { daemon: true });
    const error = yield* failure(() => dial(acceptor.address, { tls: true }));
    t.equal(error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    acceptor.close();
  });
});

t.test('a peer that speaks TLS 1.1 at most is refused in either role', needs, (t) =>
  run(function* () {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const errors: NodeJS.ErrnoException[] = [];
    const acceptor = yield* listen(0, { tls: serverTls(), onError: (error) => errors.push(error) });
    spawn(() => failure(() => acceptor.accept()), { daemon: true });
    const client = tls.connect({
      port: acceptor.address.port,
      host: '127.0.0.1',
      ca: authority().cert,
      ...old,
    });
    const [error] = (yield* wait(once(client, 'error'))) as [NodeJS.ErrnoException];
    t.match(error.code, /PROTOCOL_VERSION/);
    yield* wait(until(() => errors.length > 0, 'the error'));
    t.equal(errors[0]?.code, 'ERR_SSL_UNSUPPORTED_PROTOCOL');
    acceptor.close();

    const server = tls.createServer({ ...certificate(), ...old });
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    yield* wait(once(server, 'listening'));
    const refused = yield* failure(() => dial(portOf(server), { tls: clientTls() }));
    t.match(refused.code, /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/);
    server.close();
  }),
);

t.test('a server chooses its certificate by the name that is asked for', needs, (t) =>
  run(function* () {
    const contexts = new Map(
      ['a.example', 'b.example'].map((name) => [
        name,
        tls.createSecureContext(certificate(name, { names: `DNS:${name}` })),
      ]),
    );
    const options: TlsOptions = { SNICallback: (name, done) => done(null, contexts.get(name)) };
    const acceptor = yield* listen(0, { tls: options, onError: () => {} });
    for (const servername of contexts.keys()) {
      const accepting = spawn(() => acceptor.accept());
      const peer = yield* dial(acceptor.address, { tls: clientTls({ servername }) });
      t.equal(peer.tls?.peerCertificate()?.subject, `CN=${servername}`);
      const conn = yield* accepting.join();
      t.equal(conn.tls?.servername, servername);
      conn.reset();
      peer.reset();
    }
    acceptor.close();
  }),
);

t.test('client certificates: the right one is seen, none and a stranger’s are refused', needs, (t) =>
  run(function* () {
    const errors: NodeJS.ErrnoException[] = [];
    const server = serverTls({ requestCert: true, ca: authority().cert });
    const acceptor = yield* listen(0, { tls: server, onError: (error) => errors.push(error) });
    const { key, cert } = certificate('somebody');
    const accepting = spawn(() => acceptor.accept());
    const peer = yield* dial(acceptor.address, { tls: clientTls({ key, cert }) });
    const conn = yield* accepting.join();
    t.ok(conn.tls?.authorized);
    t.equal(conn.tls?.peerCertificate()?.subject, 'CN=somebody');
    conn.reset();
    peer.reset();

    const stranger = certificate('stranger', { by: authority('unknown') });
    for (const [client, code] of [
      [{}, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'],
      [{ key: stranger.key, cert: stranger.cert }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ] as const) {
      errors.length = 0;
      spawn(() => failure(() => acceptor.accept()), { daemon: true });
      // With TLS 1.3 a client has done its part before the server looks: it learns of it when it reads.
      const refused = yield* failure(function* () {
        const dialled = yield* dial(acceptor.address, { tls: clientTls(client) });
        yield* dialled.read();
        throw Object.assign(new Error('the end'), { code: 'the end' });
      });
      t.ok(refused.code);
      yield* wait(until(() => errors.length > 0, 'the error'));
      t.equal(errors[0]?.code, code);
      t.match(errors[0]?.message, /^accepting 127\.0\.0\.1:\d+ on 127\.0\.0\.1:\d+: TLS: /);
    }
    acceptor.close();
  }),
);

t.test('many handshakes at once, some of which fail: each connection is its own', needs, (t) =>
  run(function* () {
    for (const address of [0, { path: socketPath() }]) {
      const errors: Error[] = [];
      const acceptor = yield* listen(address, { tls: serverTls(), onError: (error) => errors.push(error) });
      spawn(
        function* () {
          for (;;) {
            const conn = yield* acceptor.accept();
            spawn(function* () {
              const name = conn.tls?.servername ?? '';
              const data = yield* conn.read();
              yield* conn.write(`${name} ${String(data)}`);
              conn.close();
            });
          }
        },
        { daemon: true, onError: () => {} },
      );
      const clients = Array.from(
        { length: 60 },
        (_, index) =>
          function* client(): Co<string> {
            if (index % 3 === 0) {
              const plain = yield* dial(acceptor.address);
              yield* plain.write('this is no TLS\n');
              yield* failure(function* () {
                yield* readToEnd(plain);
                throw new Error('the end');
              });
              plain.reset();
              return '';
            }
            const servername = `host-${index}.example`;
            const checkServerIdentity = (): undefined => undefined;
            const peer = yield* dial(acceptor.address, {
              tls: clientTls({ servername, checkServerIdentity }),
            });
            yield* peer.write(`from ${index}`);
            const answer = String(yield* readToEnd(peer));
            peer.close();
            return answer;
          },
      );
      const answers = yield* all(clients);
      for (const [index, answer] of answers.entries()) {
        if (index % 3 !== 0) t.equal(answer, `host-${index}.example from ${index}`);
      }
      yield* wait(until(() => errors.length === 20, 'the errors'));
      t.equal(acceptor.dropped, 20);
      acceptor.close();
    }
  }),
);

t.test('the callback style speaks TLS as well', needs, async (t) => {
  const event = new EventLoop();
  const acceptor = new Acceptor(0, { tls: serverTls() });
  const log: string[] = [];
  event.add(acceptor, (conn) => {
    log.push(`accepted ${conn.tls?.protocol}`);
    event.add(conn);
    conn.recv((data) => conn.send(data!, () => conn.close()));
  });
  event.loop();
  await until(() => acceptor.address.port > 0, 'listening');
  const { address } = acceptor;
  const received = await new Promise<string>((resolve, reject) => {
    new Connector(address, { tls: clientTls() }).connect((conn, error) => {
      if (conn === null) return reject(error!);
      event.add(conn);
      conn.send('hello');
      conn.recv((data) => {
        resolve(String(data));
        conn.close();
      });
    });
  });
  t.equal(received, 'hello');
  t.strictSame(log, ['accepted TLSv1.3']);
  const failed = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    new Connector(address, { tls: true }).connect((_, error) => resolve(error));
  });
  t.equal(failed?.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  event.stop();
  acceptor.close();
});

t.test('serve hands its handler connections over TLS', needs, (t) =>
  run(function* () {
    const stop = new AbortController();
    let port = 0;
    const echo = function* (conn: Connection): Co<void> {
      for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
    };
    const server = spawn(() =>
      serve(0, echo, {
        tls: serverTls(),
        signal: stop.signal,
        onListening: (address) => (port = address.port),
      }),
    );
    yield* wait(until(() => port > 0, 'listening'));
    const conn = yield* dial(port, { tls: clientTls() });
    yield* conn.write('hello');
    yield* conn.end();
    t.equal(String(yield* readToEnd(conn)), 'hello');
    conn.close();
    stop.abort();
    yield* server.join();
  }),
);

t.test('a peer that closes in the middle of the handshake is a clear error', needs, (t) =>
  run(function* () {
    for (const hangUp of [
      (socket: net.Socket) => socket.end(),
      (socket: net.Socket) => socket.resetAndDestroy(),
    ]) {
      const server = yield* wait(listenPlain((socket) => socket.once('data', () => hangUp(socket))));
      const error = yield* failure(() => dial(portOf(server), { tls: clientTls() }));
      t.equal(error.code, 'ECONNRESET');
      t.match(error.message, /^dialling 127\.0\.0\.1:\d+: TLS: /);
      server.close();
    }
  }),
);

t.test('a handshake that does not end is a TimeoutError of dial', needs, (t) =>
  run(function* () {
    const sockets: net.Socket[] = [];
    const server = yield* wait(listenPlain((socket) => sockets.push(socket)));
    for (const options of [
      { timeout: 50, tls: clientTls() },
      { tls: clientTls({ handshakeTimeout: 50 }) },
      { timeout: 5_000, tls: clientTls({ handshakeTimeout: 50 }) },
    ]) {
      const error = yield* failure(() => dial(portOf(server), options));
      t.ok(error instanceof TimeoutError, String(error));
      t.match(error.message, /^dialling 127\.0\.0\.1:\d+: TLS: the handshake took more than 50 ms$/);
    }
    for (const socket of sockets) socket.destroy();
    server.close();
  }),
);

t.test('options that do not fit are told of at once', needs, (t) => {
  const { key, cert } = certificate();
  t.throws(() => listen(0, { tls: {} }), /expects a key and a cert, a pfx or an SNICallback, got none/);
  t.throws(() => listen(0, { tls: { key } }), TypeError);
  t.throws(
    () => listen(0, { tls: true as never }),
    /the tls of listen expects an object with options, got true/,
  );
  t.throws(
    () => listen(0, { tls: { key, cert, handshakeTimeout: -1 } }),
    /handshakeTimeout of the tls of listen/,
  );
  t.throws(() => listen(0, { tls: { key: 'no key', cert } }), /PEM|DECODER/i);
  t.throws(
    () => dial(1, { tls: 'yes' as never }),
    /the tls of dial expects an object with options, got "yes"/,
  );
  t.throws(() => dial(1, { tls: { ca: 5 as never } }), /ca/);
  t.throws(
    () => dial({ path: '/tmp/x' }, { tls: true }),
    /expects a servername to check the certificate against/,
  );
  t.throws(
    () => dial(1, { tls: { servername: 5 as never } }),
    /servername of the tls of dial expects a string/,
  );
  t.end();
});
