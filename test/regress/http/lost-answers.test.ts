// HTTP: what stands behind a request does not take its answer away, what waits for nothing is not late, and what is
// sent ahead is not parsed ahead. Each table is one fault with what is of its kind.

import { once as onceEvent } from 'node:events';
import type net from 'node:net';
import { setTimeout as passed } from 'node:timers/promises';
import tls from 'node:tls';
import t from 'tap';
import { type HttpHandler, Latch, readBody, select, sleep } from '../../../lib/index.ts';
import { authority, noOpenssl } from '../../support/connection/certificates.ts';
import { serving } from '../../support/connection/http-serving.ts';
import { connect, readAll } from '../../support/connection/peers.ts';
import { serverTls } from '../../support/connection/tls-pair.ts';

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const post = (path: string, body: string, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const chunked = (path: string, body: string, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\n${CHUNKED}${more}\r\n${body}`;

const CLOSE = 'Connection: close\r\n';
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: shout\r\n';

/** Answers with its path and body; after a while if it is `/slow`, and without a look at the body if it is `/early`. */
const answer: HttpHandler = function* (request, response) {
  if (request.url!.startsWith('/slow')) yield* sleep(60);
  const body = request.url!.startsWith('/early') ? '' : yield* readBody(request);
  const text = `done ${request.url} ${String(body)}.`;
  if (request.url!.endsWith('/sized')) response.setHeader('Content-Length', text.length);
  response.end(text);
};

/** What a client was answered, in short: statuses, and what the handlers have said. */
const inShort = (all: string): string =>
  (all.match(/HTTP\/1\.1 \d+|done [^.]*/g) ?? []).join(', ').replaceAll('HTTP/1.1 ', '');

const ok = (...paths: string[]): string => paths.map((path) => `200, done ${path}`).join(', ');

/** Sends text, whole or cut, and gives what comes until the end; a reset is a failure. */
async function exchange(peer: net.Socket, pieces: string[], isEnded = false): Promise<string> {
  peer.setNoDelay(true);
  const all = readAll(peer);
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) await passed(2);
    peer.write(piece);
  }
  if (isEnded) peer.end();
  const text = inShort(String(await all));
  peer.destroy();
  return text;
}

t.test('a request is answered whatever comes behind it', async (t) => {
  const seen: string[] = [];
  const server = await serving(
    function* (request, response) {
      seen.push(request.url!);
      yield* answer(request, response);
    },
    {
      maxHeaderSize: 2_000,
      *upgrade(request, stream) {
        stream.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n');
        stream.write(`done ${request.url} .`);
      },
    },
  );
  const garbage = '\x01\x02\x03\r\n\r\n';
  const long = get('/long', `X: ${'x'.repeat(5_000)}\r\n`);
  const unended = long.slice(0, -4);
  const cases: Record<string, [request: string, answer: string, handled?: string]> = {
    garbage: [`${get('/a')}${garbage}`, `${ok('/a ')}, 400`],
    'garbage that does not end': [`${get('/slow')}\x01\x02`, `${ok('/slow ')}, 400`],
    'garbage, while it is handled': [`${get('/slow')}${garbage}`, `${ok('/slow ')}, 400`],
    'garbage behind a body': [`${post('/slow', 'body')}${garbage}`, `${ok('/slow body')}, 400`],
    'garbage behind a chunked body': [
      `${chunked('/slow', '4\r\nbody\r\n0\r\n\r\n')}${garbage}`,
      `${ok('/slow body')}, 400`,
    ],
    'garbage behind trailers': [
      `${chunked('/slow', '1\r\nx\r\n0\r\nA: b\r\n\r\n')}${garbage}`,
      `${ok('/slow x')}, 400`,
    ],
    'garbage behind several': [
      `${get('/1')}${get('/slow')}${get('/3')}${garbage}`,
      `${ok('/1 ', '/slow ', '/3 ')}, 400`,
    ],
    'a head that is too long': [`${get('/slow')}${long}`, `${ok('/slow ')}, 431`],
    'a head that is too long and does not end': [`${get('/slow')}${unended}`, `${ok('/slow ')}, 431`],
    'a chunk of no size': [`${get('/slow')}${chunked('/b', 'zz\r\n')}`, `${ok('/slow ')}, 400`, '/slow /b'],
    'a chunk that breaks off its own request': [chunked('/slow', 'zz\r\n'), '400'],
    'lengths of two kinds': [`${get('/slow')}${post('/b', 'x', CHUNKED)}`, `${ok('/slow ')}, 400`, '/slow'],
    'two hosts': [`${get('/slow')}${get('/b', 'Host: b\r\n')}${get('/c')}`, `${ok('/slow ')}, 400`, '/slow'],
    'no host': [`${get('/slow')}GET /b HTTP/1.1\r\n\r\n${get('/c')}`, `${ok('/slow ')}, 400`, '/slow'],
    'an expectation that nobody has': [
      `${get('/slow')}${get('/b', 'Expect: tea\r\n')}`,
      `${ok('/slow ')}, 417`,
      '/slow',
    ],
    'an upgrade': [
      `${get('/slow')}${get('/1')}${get('/up', UPGRADE)}`,
      `${ok('/slow ', '/1 ')}, 101, done /up `,
      '/slow /1',
    ],
    'an upgrade with two hosts': [
      `${get('/slow')}${get('/up', `${UPGRADE}host: b\r\n`)}`,
      `${ok('/slow ')}, 400`,
      '/slow',
    ],
    CONNECT: [`${get('/slow')}CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n`, ok('/slow '), '/slow'],
    'HTTP/2': [`${get('/slow')}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, `${ok('/slow ')}, 400`],
    'anything behind the last request': [`${get('/a', CLOSE)}${get('/b')}${garbage}`, ok('/a '), '/a'],
    'anything behind the last body': [`${post('/slow', 'ab', CLOSE)}\r\n \x01`, ok('/slow ab'), '/slow'],
    'anything behind the last of several': [
      `${get('/slow')}${get('/b', 'connection: x, Close\r\n')}${get('/c')}`,
      ok('/slow ', '/b '),
      '/slow /b',
    ],
    'anything behind HTTP/1.0': [`GET /slow HTTP/1.0\r\n\r\n${get('/b')}${garbage}`, ok('/slow '), '/slow'],
    'another one behind HTTP/1.0 that is kept alive': [
      `GET /slow/sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${get('/b', CLOSE)}`,
      ok('/slow/sized ', '/b '),
      '/slow/sized /b',
    ],
    'another one behind HTTP/1.0 whose answer has no length': [
      `GET /slow HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${get('/b', CLOSE)}`,
      ok('/slow '),
      '/slow',
    ],
  };
  for (const [name, [text, expected, handled]] of Object.entries(cases)) {
    seen.length = 0;
    t.equal(await exchange(await connect(server), [text]), expected, name);
    if (handled !== undefined) t.equal(seen.join(' '), handled, `${name}: what was handled`);
    // Where the bytes are cut changes nothing.
    const cut = [2, 3, 7].map(async (parts) => {
      const size = Math.ceil(text.length / parts);
      const pieces = Array.from({ length: parts }, (_, at) => text.slice(at * size, (at + 1) * size));
      t.equal(await exchange(await connect(server), pieces), expected, `${name}, in ${parts} pieces`);
    });
    await Promise.all(cut);
  }
  await server.end();
  t.same(server.errors, []);
});

t.test('a client that ends its side is answered all that it has asked', async (t) => {
  const secure = noOpenssl ? null : await serving(answer, { tls: serverTls() });
  const server = await serving(answer);
  const cases: Record<string, [requests: string, answer: string]> = {
    'at once': [get('/1') + get('/2') + get('/3'), ok('/1 ', '/2 ', '/3 ')],
    'after a while': [get('/slow1') + get('/2') + get('/slow3'), ok('/slow1 ', '/2 ', '/slow3 ')],
    'with bodies': [post('/slow1', 'x').repeat(5), ok(...Array.from({ length: 5 }, () => '/slow1 x'))],
    'with more than are handled at once': [
      get('/slow').repeat(40),
      ok(...Array.from({ length: 40 }, () => '/slow ')),
    ],
    'with a large body': [
      post('/slow1', 'x'.repeat(300_000)) + get('/2'),
      ok(`/slow1 ${'x'.repeat(300_000)}`, '/2 '),
    ],
    'with chunks': [chunked('/slow1', '2\r\nab\r\n0\r\n\r\n') + get('/2'), ok('/slow1 ab', '/2 ')],
    'with the last one marked': [get('/slow1') + get('/slow2', CLOSE), ok('/slow1 ', '/slow2 ')],
    'by HTTP/1.0': ['GET /slow1 HTTP/1.0\r\n\r\n', ok('/slow1 ')],
    'by HTTP/1.0 that is kept alive': [
      'GET /slow1/sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'.repeat(2),
      ok('/slow1/sized ', '/slow1/sized '),
    ],
    'inside of a head': [`${get('/slow1')}GET /2`, `${ok('/slow1 ')}, 400`],
    'inside of a body': [`${get('/slow1')}${post('/2', 'half').slice(0, -2)}`, `${ok('/slow1 ')}, 400`],
    'inside of a chunk': [`${get('/slow1')}${chunked('/2', '9\r\nhalf')}`, `${ok('/slow1 ')}, 400`],
    'inside of a body whose answer is out': [
      `${get('/slow1')}${post('/early', 'half').slice(0, -2)}`,
      ok('/slow1 ', '/early '),
    ],
    'without a request': ['', ''],
    'behind an empty line': [`${get('/slow1')}\r\n\r\n`, ok('/slow1 ')],
  };
  const all = Object.entries(cases).map(async ([name, [requests, expected]]) => {
    t.equal(await exchange(await connect(server), [requests], true), expected, name);
    const middle = Math.floor(requests.length / 2);
    const pieces = [requests.slice(0, middle), requests.slice(middle)];
    t.equal(await exchange(await connect(server), pieces, true), expected, `${name}, in two pieces`);
    if (secure === null) return;
    const peer = tls.connect({
      port: secure.port,
      host: '127.0.0.1',
      ca: authority().cert,
      servername: 'localhost',
    });
    peer.allowHalfOpen = true;
    await onceEvent(peer, 'secureConnect');
    t.equal(await exchange(peer, [requests], true), expected, `${name}, over TLS`);
  });
  await Promise.all(all);
  await server.end();
  t.same(server.errors, []);
  await secure?.end();
});

t.test('what comes of a body after a wait for it was cancelled is there for the next', async (t) => {
  const gate = new Latch();
  const server = await serving(function* (request, response) {
    const first = yield* select({ body: readBody(request), gate: gate.wait() });
    response.end(`done ${first.key} ${String(yield* readBody(request))}.`);
  });
  const peer = await connect(server);
  const [head, body] = post('/', 'later', CLOSE).split('later');
  t.equal(body, '');
  peer.write(head!);
  await passed(20);
  gate.countDown();
  await passed(20);
  t.equal(await exchange(peer, ['later']), '200, done gate later');
  await server.end();
});
