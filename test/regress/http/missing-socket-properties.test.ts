// What libraries ask the socket of a request for. It had none of what `tls.TLSSocket` documents, so Express took HTTPS for
// HTTP, and cookies for secure connections were dropped.

import { once as onceEvent } from 'node:events';
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import type net from 'node:net';
import type tls from 'node:tls';
import t from 'tap';
import { dial, listen, once, run, serveHttp, spawn, type TlsOptions } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { authority, certificate, noOpenssl } from '../../support/connection/certificates.ts';
import { failure, withPair } from '../../support/connection/pair.ts';
import { portOf, socketPath, until } from '../../support/connection/peers.ts';
import { clientTls, serverTls, withTlsPair } from '../../support/connection/tls-pair.ts';

const require = createRequire(import.meta.url);
const needs = { skip: noOpenssl };

/** What is seen of a request, by whatever looks at it. */
type Seen = Record<string, unknown>;

interface Serving {
  readonly port: number;
  end(): Promise<void>;
}

/** A listener of node:http, on skein. */
async function serving(app: RequestListener, options?: TlsOptions): Promise<Serving> {
  const stop = new AbortController();
  let port = 0;
  const ended = run(() =>
    serveHttp(
      '127.0.0.1:0',
      function* (request, response) {
        app(request, response);
        if (!response.writableFinished) yield* once(response, 'close');
      },
      {
        ...(options !== undefined && { tls: options }),
        signal: stop.signal,
        onListening: (address) => (port = address.port),
        onError: (error) => t.fail(String(error)),
      },
    ),
  );
  await until(() => port !== 0);
  return {
    port,
    async end() {
      stop.abort();
      await ended;
      await until(() => reactor.open === 0, 'all descriptors');
    },
  };
}

/** The same on Node's own server. */
async function servingNode(app: RequestListener, options?: TlsOptions): Promise<Serving> {
  const server = options === undefined ? http.createServer(app) : https.createServer(options as object, app);
  server.listen(0, '127.0.0.1');
  await onceEvent(server, 'listening');
  return {
    port: portOf(server),
    async end() {
      server.closeAllConnections();
      server.close();
      await onceEvent(server, 'close');
    },
  };
}

interface Answer {
  readonly status: number;
  readonly cookies: readonly string[];
  readonly seen: Seen;
}

/** Asks over TLS if there are options for it. */
async function ask(port: number, client?: https.RequestOptions, path = '/'): Promise<Answer> {
  const to = { host: '127.0.0.1', port, path, agent: false as const };
  const request =
    client === undefined ? http.get(to) : https.get({ ...to, servername: 'localhost', ...client });
  const [response] = (await onceEvent(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  const { statusCode, headers } = response;
  return { status: statusCode!, cookies: headers['set-cookie'] ?? [], seen: JSON.parse(text) as Seen };
}

const known = (): https.RequestOptions => ({ ca: authority().cert });

/** One that shows a certificate. */
function withCertificate(by = authority()): https.RequestOptions {
  const { key, cert } = certificate('somebody', { by });
  return { ...known(), key, cert };
}

// Frameworks, as they are used: nothing is set that makes them trust a proxy.

interface App {
  readonly listener: RequestListener;
}

interface ExpressRequest extends IncomingMessage {
  readonly protocol: string;
  readonly secure: boolean;
  readonly ip: string;
  session: Seen;
}
interface ExpressResponse extends ServerResponse {
  json(value: unknown): void;
  cookie(name: string, value: string, options: object): void;
}
type ExpressHandler = (request: ExpressRequest, response: ExpressResponse, next: () => void) => void;
type Express = RequestListener & {
  use(handler: ExpressHandler): void;
  get(path: string, handler: ExpressHandler): void;
};

function peerOf(request: IncomingMessage): unknown {
  const socket = request.socket as tls.TLSSocket;
  if (!socket.encrypted) return null;
  // As passport-client-cert does it.
  return socket.authorized ? socket.getPeerCertificate().subject.CN : `${socket.authorizationError}`;
}

function express(): App {
  const app = (require('express') as () => Express)();
  const session = (require('express-session') as (options: object) => ExpressHandler)({
    secret: 'of the test',
    resave: false,
    saveUninitialized: true,
    cookie: { secure: true },
  });
  app.use(session);
  app.get('/', (request, response) => {
    response.cookie('own', '1', { secure: true });
    const { protocol, secure, ip } = request;
    response.json({ protocol, secure, ip, peer: peerOf(request) });
  });
  return { listener: app };
}

interface KoaContext {
  readonly protocol: string;
  readonly secure: boolean;
  readonly ip: string;
  readonly req: IncomingMessage;
  readonly cookies: { set(name: string, value: string, options: object): void };
  body: unknown;
}
interface Koa {
  use(handler: (context: KoaContext) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  callback(): RequestListener;
}

function koa(): App {
  const app = new (require('koa') as new () => Koa)();
  app.use((context) => {
    const { protocol, secure, ip, req } = context;
    let cookie = 'set';
    try {
      context.cookies.set('own', '1', { secure: true });
    } catch (error) {
      cookie = (error as Error).message;
    }
    context.body = { protocol, secure, ip, peer: peerOf(req), cookie };
  });
  app.on('error', (error) => t.fail(String(error)));
  return { listener: app.callback() };
}

interface Fastify {
  get(
    path: string,
    handler: (request: {
      readonly protocol: string;
      readonly ip: string;
      readonly raw: IncomingMessage;
    }) => unknown,
  ): void;
  ready(): Promise<void>;
  readonly routing: RequestListener;
}

async function fastify(): Promise<App> {
  const app = (require('fastify') as () => Fastify)();
  app.get('/', async ({ protocol, ip, raw }) => ({ protocol, ip, peer: peerOf(raw) }));
  await app.ready();
  return { listener: (request, response) => app.routing(request, response) };
}

const names = (cookies: readonly string[]): string[] =>
  cookies.map((cookie) => cookie.split('=')[0]!).toSorted();

t.test('Express, Koa and Fastify see HTTPS, and its clients', needs, async (t) => {
  const stranger = authority('stranger');
  const asking = { requestCert: true, rejectUnauthorized: false, ca: authority().cert };
  for (const [name, app, cookies] of [
    ['express', express(), ['connect.sid', 'own']],
    ['koa', koa(), ['own']],
    ['fastify', await fastify(), []],
  ] as const) {
    const server = await serving(app.listener, serverTls(asking));
    const plain = await ask(server.port, known());
    t.match(plain, { status: 200, seen: { protocol: 'https', ip: '127.0.0.1' } }, name);
    if (name !== 'fastify') t.equal(plain.seen['secure'], true);
    t.same(names(plain.cookies), cookies, `${name} sets its secure cookies`);
    for (const cookie of plain.cookies) t.match(cookie, /; secure/i);
    t.equal((await ask(server.port, withCertificate())).seen['peer'], 'somebody', `${name} knows its client`);
    const unknown = await ask(server.port, withCertificate(stranger));
    t.match(unknown.seen['peer'], /UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/, `${name} knows no strangers`);
    await server.end();
  }
});

t.test('Express, Koa and Fastify see that HTTP is not secure', async (t) => {
  for (const [name, app, cookies] of [
    ['express', express(), ['own']],
    ['koa', koa(), []],
    ['fastify', await fastify(), []],
  ] as const) {
    const server = await serving(app.listener);
    const { seen, cookies: set } = await ask(server.port);
    t.match(seen, { protocol: 'http', ip: '127.0.0.1', peer: null }, name);
    if (name !== 'fastify') t.equal(seen['secure'], false);
    t.same(names(set), cookies, name);
    await server.end();
  }
});

// The same socket, member by member, beside Node's own.

/** Those that are documented for a connection that is made. */
const NET = [
  ...[
    'address',
    'bufferSize',
    'bytesRead',
    'bytesWritten',
    'connecting',
    'destroy',
    'destroyed',
    'destroySoon',
  ],
  ...['end', 'localAddress', 'localPort', 'localFamily', 'pause', 'pending', 'ref', 'remoteAddress'],
  ...['remoteFamily', 'remotePort', 'resetAndDestroy', 'resume', 'setEncoding', 'setKeepAlive', 'setNoDelay'],
  ...['setTimeout', 'unref', 'write', 'readyState'],
] as const;

const TLS = [
  ...['authorized', 'authorizationError', 'encrypted', 'alpnProtocol', 'servername', 'disableRenegotiation'],
  ...[
    'enableTrace',
    'exportKeyingMaterial',
    'getCertificate',
    'getCipher',
    'getEphemeralKeyInfo',
    'getFinished',
  ],
  ...['getPeerCertificate', 'getPeerFinished', 'getPeerX509Certificate', 'getProtocol', 'getSession'],
  ...[
    'getSharedSigalgs',
    'getTLSTicket',
    'getX509Certificate',
    'isSessionReused',
    'renegotiate',
    'setKeyCert',
  ],
  ...['setMaxSendFragment'],
] as const;

const typesOf = (socket: object, members: readonly string[]): Seen =>
  Object.fromEntries(members.map((member) => [member, typeof Reflect.get(socket, member)]));

const describe: RequestListener = (request, response) => {
  const socket = request.socket as tls.TLSSocket;
  const { encrypted, authorized, authorizationError, servername, alpnProtocol } = socket as tls.TLSSocket & {
    servername: unknown;
  };
  const { connecting, pending, readyState, destroyed, remoteAddress, remoteFamily, localAddress } = socket;
  const address = socket.address() as net.AddressInfo;
  response.end(
    JSON.stringify({
      types: typesOf(socket, [...NET, ...TLS]),
      tls: encrypted === true && {
        protocol: socket.getProtocol(),
        cipher: socket.getCipher(),
        subject: socket.getPeerCertificate().subject,
        chain: Object.keys(socket.getPeerCertificate(true)).toSorted(),
        x509: socket.getPeerX509Certificate()?.subject,
        own: (socket.getCertificate() as tls.PeerCertificate | null)?.subject,
        isReused: socket.isSessionReused(),
        algorithms: socket.getSharedSigalgs().length > 0,
        keys: socket.exportKeyingMaterial(8, 'EXPERIMENTAL-test', Buffer.alloc(0)).length,
        hasSession: Buffer.isBuffer(socket.getSession()),
        fragment: socket.setMaxSendFragment(1_000),
      },
      values: { encrypted, authorized, authorizationError, servername, alpnProtocol },
      net: { connecting, pending, readyState, destroyed, remoteAddress, remoteFamily, localAddress },
      address: { ...address, port: address.port === socket.localPort },
    }),
  );
};

t.test('a socket over TLS says what one of Node says', needs, async (t) => {
  const asking = { requestCert: true, rejectUnauthorized: false, ca: authority().cert };
  for (const [what, options, client] of [
    ['no certificate was asked for', {}, known],
    ['none was shown', asking, known],
    ['one was shown', asking, withCertificate],
    ['that of a stranger was shown', asking, () => withCertificate(authority('stranger'))],
    ['TLS 1.2', { ...asking, maxVersion: 'TLSv1.2' }, withCertificate],
    ['a protocol', { ALPNProtocols: ['http/1.1'] }, () => ({ ...known(), ALPNProtocols: ['http/1.1'] })],
    ['no name', {}, () => ({ ...known(), servername: '' })],
  ] as const) {
    const ours = await serving(describe, serverTls(options as TlsOptions));
    const theirs = await servingNode(describe, serverTls(options as TlsOptions));
    const [seen, expected] = [await ask(ours.port, client()), await ask(theirs.port, client())];
    t.equal(seen.seen['values'] && Reflect.get(seen.seen['values'], 'encrypted'), true);
    t.strictSame(seen.seen, expected.seen, what);
    await ours.end();
    await theirs.end();
  }
});

t.test('a socket of TCP says what one of Node says, and does not pretend to be encrypted', async (t) => {
  const [ours, theirs] = [await serving(describe), await servingNode(describe)];
  const { seen } = await ask(ours.port);
  t.strictSame(seen, (await ask(theirs.port)).seen);
  t.equal(seen['tls'], false);
  await ours.end();
  await theirs.end();
});

t.test('a client sees its server, and what it agreed on stays when the connection is gone', needs, (t) =>
  run(() =>
    withTlsPair(function* ({ conn, peer }) {
      const stream = peer.toDuplex() as unknown as tls.TLSSocket;
      t.match(stream, { encrypted: true, authorized: true });
      const { raw, subject } = stream.getPeerCertificate(true);
      t.equal(subject.CN, 'localhost');
      t.ok(raw.equals(stream.getPeerX509Certificate()!.raw));
      t.ok(raw.equals(stream.getPeerX509Certificate()!.raw), 'again and again');
      t.ok(stream.getEphemeralKeyInfo());
      const closed = once(stream as never, 'close');
      stream.resume().end();
      yield* conn.end();
      conn.close();
      yield* closed;
      t.match(stream, { encrypted: true, authorized: true, pending: true, readyState: 'closed' });
      t.equal(stream.getPeerCertificate().subject.CN, 'localhost');
    }),
  ),
);

t.test('a stream shows its states, its timeout and both its ends', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const stream = conn.toDuplex() as net.Socket;
      t.match(stream, { readyState: 'open', connecting: false, pending: false, destroyed: false });
      t.same(stream.address(), { address: '127.0.0.1', family: 'IPv4', port: peer.remotePort });
      t.equal(stream.timeout, undefined);
      t.equal(stream.setTimeout(5_000).timeout, 5_000);
      t.equal(stream.setTimeout(0).timeout, 0);
      stream.setKeepAlive(false);
      t.equal(conn.keepAlive, 0);
      stream.setKeepAlive(true);
      t.equal(conn.keepAlive, 15_000);
      stream.setKeepAlive(true, 20_000).setKeepAlive(true);
      t.equal(conn.keepAlive, 20_000);
      stream.end();
      t.equal(stream.readyState, 'readOnly');
      stream.destroy();
      t.match(stream, { readyState: 'closed', pending: true, destroyed: true });
    }),
  ),
);

t.test('resetAndDestroy is a reset, on a Unix socket an end', needs, (t) =>
  run(function* () {
    for (const [address, options] of [
      [0, {}],
      [0, { tls: serverTls() }],
      [`unix:${socketPath()}`, {}],
    ] as const) {
      const acceptor = yield* listen(address, options);
      const accepting = spawn(() => acceptor.accept());
      const client = 'tls' in options ? { tls: clientTls() } : {};
      const conn = yield* dial(acceptor.address, client);
      const stream = (yield* accepting.join()).toDuplex() as net.Socket;
      // What comes just before a reset makes an end of it in libuv, such as the tickets of TLS.
      stream.write('x');
      yield* conn.read();
      if (address !== 0) t.same([stream.address(), stream.remoteAddress], [{}, undefined]);
      t.equal(stream.resetAndDestroy(), stream);
      t.match(stream, { readyState: 'closed', pending: true, destroyed: true });
      yield* once(stream, 'close');
      if (address === 0) t.equal((yield* failure(() => conn.read())).code, 'ECONNRESET');
      else t.equal(yield* conn.read(), null);
      conn.reset();
      acceptor.close();
    }
  }),
);
