// TLS as spoken with the openssl command: with something that is neither skein nor Node.

import { type ChildProcessWithoutNullStreams, spawn as start } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { type Co, type Connection, dial, listen, run, spawn, wait } from '../../../lib/index.ts';
import { authority, certificate, noOpenssl } from '../../support/connection/certificates.ts';
import { failure } from '../../support/connection/pair.ts';
import { connect, until } from '../../support/connection/peers.ts';
import { readToEnd, serverTls } from '../../support/connection/tls-pair.ts';

const needs = { skip: noOpenssl };

interface Command {
  readonly child: ChildProcessWithoutNullStreams;
  output(): string;
  readonly exited: Promise<unknown>;
}

function openssl(...args: string[]): Command {
  const child = start('openssl', args);
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)));
  child.stdin.on('error', () => {});
  return { child, output: () => output, exited: once(child, 'exit') };
}

/** What `openssl s_client` is told of the server at a port. */
function clientArgs(port: number, ...more: string[]): string[] {
  return ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', authority().certFile, ...more];
}

/** Runs `openssl s_server` at a free port. */
async function server(...more: string[]): Promise<{ command: Command; port: number }> {
  const free = net.createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as net.AddressInfo;
  free.close();
  const { keyFile, certFile } = certificate();
  const files = ['-key', keyFile, '-cert', certFile];
  const command = openssl('s_server', '-accept', `127.0.0.1:${port}`, ...files, ...more);
  await until(() => command.output().includes('ACCEPT'), 'the server');
  return { command, port };
}

const versions = [
  ['-tls1_2', 'TLSv1.2'],
  ['-tls1_3', 'TLSv1.3'],
] as const;

for (const [flag, version] of versions) {
  t.test(`a server, and openssl as its ${version} client`, needs, (t) =>
    run(function* () {
      const acceptor = yield* listen(0, { tls: serverTls({ ALPNProtocols: ['b'] }) });
      const names = ['-servername', 'localhost', '-alpn', 'a,b', '-verify_return_error', '-ign_eof'];
      const client = openssl(...clientArgs(acceptor.address.port, flag, ...names));
      const conn = yield* acceptor.accept();
      t.equal(conn.tls?.protocol, version);
      t.equal(conn.tls?.alpnProtocol, 'b');
      t.equal(conn.tls?.servername, 'localhost');
      client.child.stdin.write('from openssl\n');
      t.equal(String(yield* conn.read()), 'from openssl\n');
      yield* conn.write('from skein\n');
      yield* wait(until(() => client.output().includes('from skein'), 'the answer'));
      t.match(client.output(), /Verify return code: 0 \(ok\)/);
      t.match(client.output(), /ALPN protocol: b/);
      // It ends when it is told of the end, and says so itself.
      yield* conn.end();
      t.equal(yield* conn.read(), null);
      yield* wait(client.exited);
      acceptor.close();
    }),
  );

  t.test(`a client, and openssl as its ${version} server`, needs, (t) =>
    run(function* () {
      const { command, port } = yield* wait(server(flag, '-alpn', 'b', '-rev'));
      const conn = yield* dial(`localhost:${port}`, {
        tls: { ca: authority().cert, ALPNProtocols: ['a', 'b'] },
      });
      t.equal(conn.tls?.protocol, version);
      t.equal(conn.tls?.alpnProtocol, 'b');
      t.ok(conn.tls?.authorized);
      yield* conn.write('hello\n');
      t.equal(String(yield* conn.read()), 'olleh\n');
      yield* conn.end();
      t.equal(yield* conn.read(), null);
      conn.close();
      command.child.kill();
      yield* wait(command.exited);
    }),
  );
}

t.test('client certificates of openssl are accepted and refused', needs, (t) =>
  run(function* () {
    const errors: NodeJS.ErrnoException[] = [];
    const tls = serverTls({ requestCert: true, ca: authority().cert });
    const acceptor = yield* listen(0, { tls, onError: (error) => errors.push(error) });
    const accepting = spawn(() => acceptor.accept());
    const stranger = certificate('stranger', { by: authority('unknown') });
    const { port } = acceptor.address;
    for (const shown of [[], ['-cert', stranger.certFile, '-key', stranger.keyFile]]) {
      errors.length = 0;
      const refused = openssl(...clientArgs(port, ...shown));
      yield* wait(until(() => errors.length === 1, 'the refusal'));
      t.match(
        errors[0]?.code,
        shown.length === 0 ? /PEER_DID_NOT_RETURN/ : 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      );
      refused.child.stdin.end();
      yield* wait(refused.exited);
    }
    const { certFile, keyFile } = certificate('somebody');
    const client = openssl(...clientArgs(port, '-cert', certFile, '-key', keyFile));
    const conn = yield* accepting.join();
    t.equal(conn.tls?.peerCertificate()?.subject, 'CN=somebody');
    conn.close();
    client.child.stdin.end();
    yield* wait(client.exited);
    acceptor.close();
  }),
);

t.test('openssl without TLS 1.2 is refused', needs, (t) =>
  run(function* () {
    const errors: NodeJS.ErrnoException[] = [];
    const acceptor = yield* listen(0, { tls: serverTls(), onError: (error) => errors.push(error) });
    spawn(() => failure(() => acceptor.accept()), { daemon: true });
    const client = openssl(...clientArgs(acceptor.address.port, '-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'));
    yield* wait(until(() => errors.length === 1, 'the refusal'));
    t.match(errors[0]?.code, /UNSUPPORTED_PROTOCOL|VERSION/);
    yield* wait(client.exited);
    acceptor.close();
  }),
);

/** The part of SMTP that comes before TLS, and one command over it. */
function* smtp(conn: Connection): Co<string> {
  const line = function* (): Co<string> {
    return String(yield* conn.read()).trim();
  };
  yield* conn.write('220 skein\r\n');
  yield* line();
  yield* conn.write('250-skein\r\n250 STARTTLS\r\n');
  yield* line();
  yield* conn.write('220 go ahead\r\n');
  yield* conn.startTls({ ...serverTls(), isServer: true });
  const command = yield* line();
  yield* conn.write('250 over TLS\r\n');
  return command;
}

t.test('openssl -starttls smtp', needs, (t) =>
  run(function* () {
    for (const [flag, version] of versions) {
      const acceptor = yield* listen(0);
      const client = openssl(...clientArgs(acceptor.address.port, flag, '-starttls', 'smtp', '-crlf'));
      client.child.stdin.write('NOOP\n');
      const conn = yield* acceptor.accept();
      t.equal(yield* smtp(conn), 'NOOP');
      t.equal(conn.tls?.protocol, version);
      yield* wait(until(() => client.output().includes('250 over TLS'), 'the answer'));
      client.child.stdin.end();
      t.equal((yield* readToEnd(conn)).byteLength, 0);
      conn.close();
      yield* wait(client.exited);
      acceptor.close();
    }
  }),
);

t.test('a plain client of a TLS server is told of, and so is one that hangs up', needs, (t) =>
  run(function* () {
    const errors: NodeJS.ErrnoException[] = [];
    const acceptor = yield* listen(0, { tls: serverTls(), onError: (error) => errors.push(error) });
    spawn(() => failure(() => acceptor.accept()), { daemon: true });
    const plain = yield* wait(connect(acceptor.address));
    const from = `127.0.0.1:${plain.localPort}`;
    plain.write('GET / HTTP/1.1\r\n\r\n');
    yield* wait(until(() => errors.length === 1, 'the error'));
    t.equal(errors[0]?.code, 'ERR_SSL_HTTP_REQUEST');
    t.equal(errors[0]?.message, `accepting ${from} on ${acceptor.address}: TLS: http request`);
    t.match(errors[0], { address: '127.0.0.1', port: plain.localPort });
    plain.destroy();
    for (const isReset of [false, true]) {
      errors.length = 0;
      const gone = yield* wait(connect(acceptor.address));
      if (isReset) gone.resetAndDestroy();
      else gone.end();
      yield* wait(until(() => errors.length === 1, 'the error'));
      t.equal(errors[0]?.code, 'ECONNRESET');
      gone.destroy();
    }
    acceptor.close();
  }),
);
