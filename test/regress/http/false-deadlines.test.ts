// HTTP: each deadline belongs to a state of the client. One that owes nothing is not late, and what came before does not
// take the deadline of what comes next away.

import { once as onceEvent } from 'node:events';
import type net from 'node:net';
import { setTimeout as passed } from 'node:timers/promises';
import t from 'tap';
import {
  drained,
  type HttpHandler,
  type HttpOptions,
  Latch,
  once,
  readBody,
  run,
  serveHttp,
  sleep,
} from '../../../lib/index.ts';
import { echo, serving } from '../../support/connection/http-serving.ts';
import { connect, readAll, until } from '../../support/connection/peers.ts';

// They wait most of their time.
t.jobs = 20;

async function stopped({ stop, ended }: Awaited<ReturnType<typeof serving>>): Promise<void> {
  stop.abort();
  await ended;
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n';
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';

/** Answers without a look at the body. */
const early: HttpHandler = function* (_, response) {
  response.end('early');
};

/** Sends pieces, each after what was sent before has been answered if it is `ANSWER`. */
const ANSWER = Symbol();

async function send(peer: net.Socket, pieces: readonly (string | typeof ANSWER)[]): Promise<void> {
  let seen = '';
  peer.on('data', (data) => (seen += data));
  let answers = 0;
  for (const piece of pieces) {
    if (piece === ANSWER) {
      answers++;
      await until(() => seen.split('early').length > answers, 'an answer');
    } else {
      peer.write(piece);
    }
    await passed(5);
  }
  peer.removeAllListeners('data');
}

/** Ways to come to the end of a request. */
const ways: Record<string, readonly (string | typeof ANSWER)[]> = {
  'no body': [GET, ANSWER],
  'a body that came with the head': [`${POST}12345`, ANSWER],
  'a body that came after the answer': [POST, ANSWER, '12345'],
  'a body that came in pieces': [POST, ANSWER, '12', '345'],
  'a chunked body': [`${CHUNKED}5\r\n12345\r\n0\r\n\r\n`, ANSWER],
  'a chunked body that came after the answer': [CHUNKED, ANSWER, '5\r\n12345\r\n0\r\n\r', '\n'],
  'trailers that came after the answer': [CHUNKED, ANSWER, '0\r\nA: b\r\n', '\r\n'],
  'an empty line behind the body': [`${POST}12345\r\n`, ANSWER],
  'an empty line behind the answer': [`${POST}12345`, ANSWER, '\r\n'],
  'two bodies': [`${POST}12345${POST}`, ANSWER, ANSWER, '12345'],
  'another request behind the body': [POST, ANSWER, `12345${GET}`, ANSWER],
};

t.test('a client that owes nothing hears nothing but the end, after keepAliveTimeout', async (t) => {
  const server = await serving(early, {
    headersTimeout: 2_000,
    requestTimeout: 2_000,
    keepAliveTimeout: 3_500,
  });
  const all = Object.entries(ways).map(async ([name, pieces]) => {
    const begun = performance.now();
    const peer = await connect(server);
    await send(peer, pieces);
    t.equal(String(await readAll(peer)), '', `${name}: nothing that nobody asked for`);
    t.ok(performance.now() - begun > 3_000, `${name}: not before its time`);
    peer.destroy();
  });
  await Promise.all(all);
  await stopped(server);
});

t.test('a head has headersTimeout, whatever came before it', async (t) => {
  const options = { headersTimeout: 400, requestTimeout: 60_000, keepAliveTimeout: 60_000 };
  const server = await serving(early, options);
  const all = Object.entries(ways).map(async ([name, pieces]) => {
    const peer = await connect(server);
    await send(peer, pieces);
    const answer = readAll(peer).then(String, (error: NodeJS.ErrnoException) => error.code);
    peer.write('GET / HTTP/1.1\r\nHost: a\r\nX: ');
    const dripping = setInterval(() => peer.write('a'), 20);
    const text = await Promise.race([answer, passed(10_000, 'nothing')]);
    clearInterval(dripping);
    t.match(text, /^HTTP\/1\.1 408 |^ECONNRESET$/, name);
    peer.destroy();
  });
  await Promise.all(all);
  await stopped(server);
});

t.test('a body has requestTimeout, each its own, and is answered for in its turn', async (t) => {
  const server = await serving(
    function* (request, response) {
      if (request.url === '/early') {
        response.end('early');
        return;
      }
      if (request.url === '/slow') yield* sleep(1_200);
      response.end(`done ${request.url} ${String(yield* readBody(request))}.`);
    },
    { requestTimeout: 1_000 },
  );
  const ask = async (text: string): Promise<string> => {
    const peer = await connect(server);
    peer.write(text);
    const answer = String(await readAll(peer));
    peer.destroy();
    return (answer.match(/HTTP\/1\.1 \d+|done [^.]*|early/g) ?? []).join(' ').replaceAll('HTTP/1.1 ', '');
  };
  const post = (path: string, body: string): string => `${POST.replace('/', path)}${body}`;
  const slow = GET.replace('/', '/slow');
  const answers = await Promise.all([
    ask(post('/late', '12')),
    ask(`${slow}${post('/late', '12')}`),
    ask(`${post('/one', '12345')}${post('/late', '12')}`),
    ask(CHUNKED),
    ask(post('/early', '12')),
    ask(`${slow}${post('/early', '12')}`),
  ]);
  t.same(answers, [
    '408',
    '200 done /slow  408',
    '200 done /one 12345 408',
    '408',
    // It was answered; there is nothing more to say.
    '200 early',
    '200 done /slow  200 early',
  ]);
  const peer = await connect(server);
  const all = readAll(peer);
  for (const piece of [post('/1', ''), `12345${post('/2', '')}`, `12345${post('/3', '')}`, '12345']) {
    peer.write(piece);
    await passed(500);
  }
  peer.end();
  t.same(String(await all).match(/done \/\d 12345/g), ['done /1 12345', 'done /2 12345', 'done /3 12345']);
  peer.destroy();
  await stopped(server);
  t.same(server.errors, []);
});

t.test('nobody is late while a handler does not read', async (t) => {
  const server = await serving(
    function* (request, response) {
      // Longer than the timeout in all, in parts that are shorter.
      for (let part = 0; part < 4; part++) {
        yield* sleep(300);
        request.resume();
        yield* once(request, 'data');
        request.pause();
      }
      yield* sleep(1_500);
      response.end(String((yield* readBody(request, { limit: 10_000_000 })).byteLength));
    },
    { requestTimeout: 1_000 },
  );
  const response = await fetch(server.url, { method: 'POST', body: Buffer.alloc(8_000_000) });
  t.ok(Number(await response.text()) > 7_000_000);
  await stopped(server);
});

t.test('who is cut off is not reset while it takes the answers before', async (t) => {
  const size = 1_500_000;
  const server = await serving(function* (_, response) {
    response.end(Buffer.alloc(size, 'x'));
  });
  const peer = await connect(server);
  let got = 0;
  let last = '';
  peer.on('data', (data) => {
    got += data.byteLength;
    last = String(data.subarray(-120));
    peer.pause();
    setTimeout(() => peer.resume(), data.byteLength / 500);
  });
  peer.write(`${GET}\x01\x02\x03\r\n\r\n`);
  const [error] = await Promise.race([onceEvent(peer, 'end'), onceEvent(peer, 'error')]);
  t.equal(error, undefined);
  t.ok(got > size, `${got} bytes`);
  t.match(last, /HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n$/);
  peer.destroy();
  await stopped(server);
});

t.test('0 and Infinity mean never', async (t) => {
  const never = [0, Infinity];
  const names = ['headersTimeout', 'requestTimeout', 'keepAliveTimeout'] as const;
  const all = names.flatMap((name) =>
    never.map(async (ms) => {
      const server = await serving(echo, { [name]: ms });
      const peer = await connect(server);
      let seen = '';
      peer.on('data', (data) => (seen += data));
      for (const [index, piece] of [
        POST.slice(0, 20),
        POST.slice(20),
        '12',
        '345',
        POST,
        '12345',
      ].entries()) {
        await passed(60);
        if (index === 4) await until(() => seen.includes('12345'), `the first answer with ${name}: ${ms}`);
        peer.write(piece);
      }
      await until(() => seen.split('12345').length === 3, `both answers with ${name}: ${ms}`);
      const isSaid = /^keep-alive: timeout=/im.test(seen);
      t.equal(isSaid, name !== 'keepAliveTimeout', `${name}: ${ms}`);
      peer.destroy();
      await stopped(server);
    }),
  );
  await Promise.all(all);
  for (const name of [...names, 'maxHeaderSize']) {
    for (const wrong of [-1, NaN, '5', null, 5n]) {
      await t.rejects(
        run(() => serveHttp(0, echo, { [name]: wrong } as unknown as HttpOptions)),
        { name: 'TypeError', message: new RegExp(`^the ${name} of serveHttp expects `) },
        `${name}: ${String(wrong)}`,
      );
    }
  }
});

t.test('timeouts that a handler sets on its request or response go on working', async (t) => {
  const heard: string[] = [];
  const server = await serving(
    function* (request, response) {
      if (request.url === '/heard') response.setTimeout(50, () => heard.push('response'));
      else request.setTimeout(50);
      yield* sleep(150);
      response.end('done');
    },
    { keepAliveTimeout: 60_000 },
  );
  t.equal(await (await fetch(`${server.url}/heard`)).text(), 'done');
  t.same(heard, ['response']);
  await t.rejects(fetch(`${server.url}/unheard`), 'nobody listens: the connection is destroyed');
  await stopped(server);
});

t.test('what is sent ahead waits unparsed, in however few packets it came', async (t) => {
  let running = 0;
  let most = 0;
  const gate = new Latch();
  const server = await serving(function* (request, response) {
    most = Math.max(most, ++running);
    const body = yield* readBody(request);
    yield* gate.wait();
    running--;
    response.end(`${request.url}${String(body)}.`);
  });
  const kinds: Record<string, (index: number) => string> = {
    requests: (index) => `GET /${index} HTTP/1.1\r\nHost:\r\n\r\n`,
    bodies: (index) => `POST /${index} HTTP/1.1\r\nHost:\r\nContent-Length: 4\r\n\r\n\r\n\r\n`,
    chunks: (index) =>
      `POST /${index} HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n`,
  };
  const peers: net.Socket[] = [];
  const answers: Promise<Buffer>[] = [];
  for (const [name, request] of Object.entries(kinds)) {
    most = running = 0;
    const peer = await connect(server);
    peer.write(Array.from({ length: 800 }, (_, index) => request(index)).join(''));
    peer.end();
    await until(() => most >= 16);
    await passed(50);
    t.equal(most, 16, name);
    peers.push(peer);
    answers.push(readAll(peer));
  }
  gate.countDown();
  for (const all of answers) {
    const paths = [...String(await all).matchAll(/\r\n\r\n\/(\d+)/g)].map(([, path]) => Number(path));
    t.same(
      paths,
      Array.from({ length: 800 }, (_, index) => index),
    );
  }
  for (const peer of peers) peer.destroy();
  await stopped(server);
});

t.test(
  'when the server ends, all requests in progress are answered, and the last answer says so',
  async (t) => {
    let begun = 0;
    const gate = new Latch();
    const server = await serving(function* (request, response) {
      begun++;
      yield* gate.wait();
      if (request.url === '/2') yield* drained(response);
      response.end(request.url);
    });
    const peer = await connect(server);
    peer.write([1, 2, 3].map((index) => `GET /${index} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    await until(() => begun === 3);
    const all = readAll(peer);
    server.stop.abort();
    await passed(20);
    gate.countDown();
    const text = String(await all);
    t.same(
      [...text.matchAll(/\r\n\r\n(\/\d)/g)].map(([, path]) => path),
      ['/1', '/2', '/3'],
    );
    t.match(text, /^[^]*\/2HTTP[^/]*\/1\.1 200 OK\r\n[^]*Connection: close\r\n[^]*\/3$/i);
    t.equal(text.match(/connection: close/gi)?.length, 1);
    peer.destroy();
    await stopped(server);
  },
);
