import { execFile, spawnSync } from 'node:child_process';
import { once as onceEvent } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import {
  type Acceptor,
  type Co,
  CancelledError,
  drained,
  type HttpHandler,
  Latch,
  listen,
  never,
  once,
  pause,
  readBody,
  run,
  serveHttp,
  sleep,
  wait,
} from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { echo, serving, talk } from '../../support/connection/http-serving.ts';
import { connect, readAll, until } from '../../support/connection/peers.ts';

t.test('each request is answered by a coroutine, with requests and responses of Node', async (t) => {
  const server = await serving(echo);
  for (let count = 0; count < 3; count++) {
    const response = await fetch(`${server.url}/${count}`, { method: 'POST', body: 'hello' });
    t.equal(response.headers.get('x-method'), 'POST');
    t.equal(response.headers.get('keep-alive'), 'timeout=5');
    t.equal(await response.text(), `/${count} hello`);
  }
  await server.end();
  t.same(server.errors, []);
});

t.test(
  'curl is served',
  { skip: spawnSync('curl', ['-V']).error !== undefined && 'there is no curl' },
  async (t) => {
    const server = await serving(function* (request, response) {
      const body = yield* readBody(request, { limit: 3_000_000 });
      response.setHeader('X-From', `${request.socket.remoteAddress} ${request.socket.remotePort! > 0}`);
      response.end(`${request.method} ${request.headers.expect ?? 'nothing'} ${body.byteLength}`);
    });
    const ask = async (...args: string[]): Promise<string> => {
      const all = ['-sS', '--max-time', '10', ...args, `${server.url}/`];
      return (await promisify(execFile)('curl', all)).stdout;
    };
    t.match(await ask('-i'), /X-From: 127\.0\.0\.1 true[^]*\r\n\r\nGET nothing 0$/);
    t.match(await ask('-I'), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/, 'HEAD has no body');
    t.equal(await ask('-d', 'x'.repeat(1000)), 'POST nothing 1000');
    t.equal(await ask('-d', 'hello', '-H', 'Expect:100-continue'), 'POST 100-continue 5');
    t.equal(await ask('-T', fileURLToPath(import.meta.url)).then((text) => text.slice(0, 3)), 'PUT');
    t.equal(await ask('-d', 'chunked', '-H', 'Transfer-Encoding:chunked'), 'POST nothing 7');
    t.match(await ask('--http1.0', '-i'), /Connection: close/i);
    await server.end();
  },
);

t.test('requests that were sent ahead are answered in order, and not without bound', async (t) => {
  let running = 0;
  let most = 0;
  const server = await serving(function* (request, response) {
    most = Math.max(most, ++running);
    // The first one takes longest.
    yield* sleep(request.url === '/0' ? 30 : 1);
    running--;
    response.end(request.url);
  });
  const peer = await connect(server);
  const count = 3_000;
  let sent = '';
  for (let index = 0; index < count; index++) sent += `GET /${index} HTTP/1.1\r\nHost: a\r\n\r\n`;
  peer.write(`${sent}GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  const answer = String(await readAll(peer));
  const paths = [...answer.matchAll(/\r\n\r\n(\/\d+|\/last)/g)].map(([, path]) => path);
  t.same(paths, [...Array.from({ length: count }, (_, index) => `/${index}`), '/last']);
  t.ok(most < count, `${most} at once: no more than came in a chunk or two`);
  peer.destroy();
  await server.end();
});

t.test('a body is read in pieces, as it comes, and is bounded', async (t) => {
  const server = await serving(function* (request, response) {
    if (request.url === '/twice') yield* readBody(request);
    response.end(String((yield* readBody(request, { limit: 10 })).byteLength));
  });
  const post = (path: string, body: string): Promise<Response> =>
    fetch(`${server.url}${path}`, { method: 'POST', body });
  t.equal(await (await post('/', '0123456789')).text(), '10');
  const tooLong = await post('/', 'x'.repeat(100_000));
  t.equal(tooLong.status, 413);
  t.equal(await tooLong.text(), 'Payload Too Large\n');
  const begun = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(20)}`;
  t.match(
    await talk(server.port, begun),
    /^HTTP\/1\.1 413 [^]*Connection: close/,
    'the rest is not waited for',
  );
  t.equal(await (await post('/twice', 'x')).text(), '0', 'a body that has ended gives nothing more');
  t.match(server.errors, [
    [{ code: 'ERR_LIMIT' }, '/'],
    [{ code: 'ERR_LIMIT' }, '/'],
  ]);
  t.throws(() => readBody({} as http.IncomingMessage, { limit: -1 }), TypeError);
  await server.end();
});

t.test('a body that breaks off is an error, and a wait for one can be cancelled', async (t) => {
  const seen: unknown[] = [];
  let request: http.IncomingMessage | undefined;
  const server = await serving(function* (incoming) {
    request = incoming;
    try {
      yield* readBody(incoming);
    } catch (error) {
      seen.push(error);
      throw error;
    }
  });
  const peer = await connect(server);
  peer.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
  await until(() => (request?.listenerCount('data') ?? 0) > 0);
  peer.destroy();
  await until(() => seen.length > 0);
  t.ok(seen[0] instanceof CancelledError || (seen[0] as NodeJS.ErrnoException).code === 'ECONNRESET');
  t.equal(request!.listenerCount('data'), 0);
  t.equal(request!.listenerCount('close'), 0);
  await t.rejects(
    run(() => readBody(request!)),
    { code: /ERR_STREAM_PREMATURE_CLOSE|ECONNRESET/ },
  );
  await server.end();
});

t.test('a handler that throws is answered for, and reported', async (t) => {
  const server = await serving(function* (request, response) {
    yield* pause();
    response.setHeader('Content-Length', '5');
    if (request.url === '/begun') response.write('he');
    if (request.url === '/nothing') {
      response.removeHeader('Content-Length');
      return;
    }
    throw request.url === '/teapot'
      ? Object.assign(new Error('tea'), { statusCode: 418 })
      : new Error('boom');
  });
  const failed = await fetch(`${server.url}/failed`);
  t.equal(failed.status, 500);
  t.equal(await failed.text(), 'Internal Server Error\n');
  t.equal((await fetch(`${server.url}/teapot`)).status, 418);
  const nothing = await fetch(`${server.url}/nothing`);
  t.same([nothing.status, await nothing.text()], [200, ''], 'a response that was left open is ended');
  await t.rejects(fetch(`${server.url}/begun`).then((response) => response.text()));
  t.match(server.errors, [
    [{ message: 'boom' }, '/failed'],
    [{ message: 'tea' }, '/teapot'],
    [{ message: 'boom' }, '/begun'],
  ]);
  await server.end();
});

t.test('errors are printed when nobody asked for them', async (t) => {
  const printed: unknown[][] = [];
  const { error: original } = console;
  console.error = (...args: unknown[]) => printed.push(args);
  const server = await serving(
    function* () {
      yield* pause();
      throw new Error('boom');
    },
    { onError: undefined },
  );
  await fetch(`${server.url}/x`);
  await server.end();
  console.error = original;
  t.match(printed, [[/^skein: client 127\.0\.0\.1:\d+, GET \/x:$/, { message: 'boom' }]]);
});

t.test('a client that goes away cancels its handlers, unless their response is out', async (t) => {
  const log: string[] = [];
  const server = await serving(function* (request, response) {
    if (request.url === '/answered') response.end('here');
    try {
      if (request.url === '/answered') yield* sleep(50);
      // That a client has gone altogether, and not only ended its side, shows when something is written to it.
      else if (request.url!.startsWith('/destroy')) for (;;) yield* (response.write('x'), sleep(5));
      else yield* sleep(60_000);
      log.push(`${request.url} finished`);
    } catch (error) {
      log.push(`${request.url} ${(error as Error).name}`);
      throw error;
    }
  });
  const answered = await connect(server);
  answered.write('GET /answered HTTP/1.1\r\nHost: a\r\n\r\n');
  await onceEvent(answered, 'data');
  answered.destroy();
  for (const leave of ['destroy', 'resetAndDestroy'] as const) {
    const peer = await connect(server);
    peer.write(`GET /${leave}1 HTTP/1.1\r\nHost: a\r\n\r\nGET /${leave}2 HTTP/1.1\r\nHost: a\r\n\r\n`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    peer[leave]();
    await until(() => log.filter((line) => line.startsWith(`/${leave}`)).length === 2, leave);
  }
  await until(() => log.length === 5);
  t.same(log.toSorted(), [
    '/answered finished',
    '/destroy1 AbortError',
    '/destroy2 AbortError',
    '/resetAndDestroy1 AbortError',
    '/resetAndDestroy2 AbortError',
  ]);
  await server.end();
  t.same(server.errors, []);
});

t.test('a response waits for a slow reader', async (t) => {
  let written = 0;
  const server = await serving(function* (_, response) {
    for (let count = 0; count < 300; count++) {
      written += 65_536;
      response.write(Buffer.alloc(65_536));
      yield* drained(response);
    }
  });
  const peer = await connect(server);
  peer.pause();
  peer.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  let last = -1;
  while (written !== last) {
    last = written;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.ok(written < 15_000_000, `${written} bytes were written for one who reads nothing`);
  t.ok((await readAll(peer)).byteLength > 300 * 65_536);
  peer.destroy();
  await server.end();
});

t.test('what is no HTTP is answered with 400 and the like, and disturbs nobody', async (t) => {
  const server = await serving(echo, { maxHeaderSize: 2_000 });
  t.match(await talk(server.port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request\r\nConnection: close/);
  const long = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(5_000)}\r\n\r\n`;
  t.match(await talk(server.port, long), /^HTTP\/1\.1 431 /);
  const chunks = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  t.match(await talk(server.port, `${chunks}zz\r\n`), /^HTTP\/1\.1 400 /, 'in the middle of a body');
  t.match(await talk(server.port, `${chunks}5;${'x'.repeat(20_000)}\r\n`), /^HTTP\/1\.1 413 /);
  t.equal((await fetch(server.url)).status, 200);
  await server.end();
  t.same(server.errors, []);
});

t.test('clients that are slow with their headers are cut off, whatever they send', async (t) => {
  const server = await serving(echo, { headersTimeout: 300 });
  const begun = performance.now();
  const peers = await Promise.all(Array.from({ length: 100 }, () => connect(server)));
  const closed = peers.map((peer) => readAll(peer).then(String, () => 'reset'));
  for (const [index, peer] of peers.entries()) if (index % 2 === 0) peer.write('GET / HTTP/1.1\r\n');
  const dripping = setInterval(() => {
    for (const [index, peer] of peers.entries()) if (index % 4 === 0) peer.write('X: y\r\n');
  }, 50);
  t.equal((await fetch(server.url)).status, 200, 'others are served meanwhile');
  const answers = await Promise.all(closed);
  clearInterval(dripping);
  const took = performance.now() - begun;
  t.ok(took >= 290 && took < 10_000, `${took} ms`);
  t.ok(answers.every((answer) => answer === 'reset' || answer.startsWith('HTTP/1.1 408 Request Timeout')));
  // They go on sending, and are reset then.
  await until(() => reactor.open <= 1, 'the end of all');
  for (const peer of peers) peer.destroy();
  await server.end();
});

t.test('a second request, and a body, must not be slow either', async (t) => {
  const server = await serving(echo, { headersTimeout: 100, requestTimeout: 100 });
  const again = await talk(server.port, 'GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP');
  t.match(again, /\/one [^]*/);
  const peer = await connect(server);
  peer.write('GET /one HTTP/1.1\r\nHost: a\r\n\r\n');
  await onceEvent(peer, 'data');
  peer.write('GET /two');
  t.match(String(await readAll(peer)), /^HTTP\/1\.1 408 /);
  peer.destroy();
  const body = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf';
  t.match(await talk(server.port, body), /^HTTP\/1\.1 408 /);
  await server.end();
});

t.test('a handler is not hurried once its request is there', async (t) => {
  const server = await serving(
    function* (request, response) {
      yield* readBody(request);
      yield* sleep(700);
      response.end('late');
    },
    { headersTimeout: 500, requestTimeout: 500 },
  );
  t.equal(await (await fetch(server.url)).text(), 'late');
  t.equal(await (await fetch(server.url, { method: 'POST', body: 'x' })).text(), 'late');
  await server.end();
});

t.test('an idle connection is closed after keepAliveTimeout', async (t) => {
  const server = await serving(echo, { keepAliveTimeout: 50 });
  const peer = await connect(server);
  peer.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  t.match(String(await readAll(peer)), /^HTTP\/1\.1 200 OK/, 'an end, and no reset');
  peer.end();
  await until(() => reactor.open === 0);
  await server.end();
});

t.test('it ends in stages: idle connections, requests in progress, and the rest is cut off', async (t) => {
  const log: string[] = [];
  const gate = new Latch();
  let begun = 0;
  const server = await serving(
    function* (request, response) {
      begun++;
      if (request.url === '/begun') response.write('x');
      try {
        if (request.url === '/never') yield* never;
        if (request.url !== '/idle') yield* gate.wait();
        response.end('done');
      } finally {
        log.push(request.url!);
      }
    },
    { grace: 2_000 },
  );
  const idle = await connect(server);
  idle.write('GET /idle HTTP/1.1\r\nHost: a\r\n\r\n');
  await onceEvent(idle, 'data');
  const ask = async (path: string): Promise<net.Socket> => {
    const peer = await connect(server);
    peer.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return peer;
  };
  const peers = await Promise.all(['/slow', '/begun', '/never'].map(ask));
  await until(() => begun === 4);
  server.stop.abort();
  t.equal(String(await readAll(idle)), '', 'at once');
  idle.destroy();
  t.same(log, ['/idle'], 'the others are at work');
  gate.countDown();
  const [slow, half, unanswered] = peers;
  t.match(String(await readAll(slow!)), /\r\nConnection: close\r\n[^]*done$/i);
  t.match(String(await readAll(half!)), /done\r\n0\r\n\r\n$/, 'its connection is closed as well');
  await t.rejects(readAll(unanswered!), { code: 'ECONNRESET' });
  for (const peer of peers) peer.destroy();
  await server.ended;
  t.same(log.toSorted(), ['/begun', '/idle', '/never', '/slow']);
  t.match(server.errors, [[{ code: 'ERR_TIMEOUT', message: /^cut off after 2000 ms/ }, '/never']]);
  await until(() => reactor.open === 0);
});

t.test('requests that come while it ends are the last of their connections', async (t) => {
  const server = await serving(function* (request, response) {
    if (request.url === '/first') yield* sleep(50);
    response.end(request.url);
  });
  const peer = await connect(server);
  peer.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 10));
  server.stop.abort();
  await new Promise((resolve) => setTimeout(resolve, 5));
  peer.write('GET /second HTTP/1.1\r\nHost: a\r\n\r\n');
  const answer = String(await readAll(peer));
  t.match(answer, /Connection: close[^]*\/first/i);
  peer.destroy();
  await server.ended;
});

t.test('cancelling it cancels the handlers and frees all', async (t) => {
  const stop = new AbortController();
  let acceptor: Acceptor | undefined;
  let state = 'none';
  const ended = run(
    function* (): Co<void> {
      acceptor = yield* listen(0);
      yield* serveHttp(acceptor, function* () {
        state = 'running';
        try {
          yield* sleep(60_000);
        } finally {
          state = 'ended';
        }
      });
    },
    { signal: stop.signal },
  );
  await until(() => acceptor !== undefined);
  const peer = await connect(acceptor!.address);
  peer.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => state === 'running');
  stop.abort();
  await t.rejects(ended, { name: 'AbortError' });
  t.equal(state, 'ended');
  await until(() => reactor.open === 0);
  peer.destroy();
});

t.test('an upgrade is taken over, and its coroutine ends the connection', async (t) => {
  const server = await serving(echo, {
    upgrade: function* (request, stream, head) {
      stream.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n');
      if (request.url === '/fails') throw new Error('boom');
      const [more] = head.byteLength > 0 ? [head] : yield* once<[Buffer]>(stream, 'data');
      stream.write(String(more).toUpperCase());
    },
  });
  const ask = async (path: string, more = ''): Promise<net.Socket> => {
    const peer = await connect(server);
    peer.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n${more}`);
    return peer;
  };
  const early = await ask('/', 'early');
  t.match(String(await readAll(early)), /EARLY$/);
  const late = await ask('/');
  await onceEvent(late, 'data');
  late.write('late');
  t.equal(String(await readAll(late)), 'LATE');
  const fails = await ask('/fails');
  await readAll(fails).catch(() => {});
  for (const peer of [early, late, fails]) peer.destroy();
  t.match(server.errors, [[{ message: 'boom' }, '/fails']]);
  await server.end();
});

t.test('without a handler for it an upgrade is a request, and CONNECT is refused', async (t) => {
  const server = await serving(echo);
  const upgrade = 'GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: x\r\n\r\n';
  t.match(await talk(server.port, upgrade), /\/up /);
  t.equal(await talk(server.port, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n').catch(() => ''), '');
  await server.end();
});

t.test('serveHttp refuses bad arguments', async (t) => {
  const refuses = (handler: unknown, options: object): Promise<unknown> =>
    t.rejects(
      run(() => serveHttp(0, handler as HttpHandler, options)),
      TypeError,
    );
  await refuses(5, {});
  for (const name of ['headersTimeout', 'requestTimeout', 'keepAliveTimeout', 'grace']) {
    await refuses(echo, { [name]: -1 });
  }
  for (const name of ['onError', 'upgrade', 'signal']) await refuses(echo, { [name]: 5 });
  await run(() => serveHttp(0, echo, { signal: AbortSignal.abort() }));
});

t.test('an agent that keeps connections is served, and may end its own', async (t) => {
  const server = await serving(echo);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const get = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = http.get(`${server.url}${path}`, { agent }, (response) => {
        response.setEncoding('utf8');
        let text = '';
        response.on('data', (chunk: string) => (text += chunk)).on('end', () => resolve(text));
      });
      request.on('error', reject);
    });
  const answers = await run(() =>
    wait(Promise.all(Array.from({ length: 40 }, (_, index) => get(`/${index}`)))),
  );
  t.same(
    answers,
    Array.from({ length: 40 }, (_, index) => `/${index} `),
  );
  agent.destroy();
  await until(() => reactor.open === 0);
  await server.end();
});
