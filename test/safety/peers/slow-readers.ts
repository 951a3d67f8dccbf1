// `npm run test:slowreaders`: readers at 100 kB/s get all of 1.5 MB after each kind of connection was closed in each way, over
// HTTP and WebSockets too, and on Unix sockets and over TLS; peers that take nothing, or too little, are given up within
// the bounds that the handbook states. All at once, so it takes a minute. Skipped without openssl.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { type Address, dial, reactorName, run, serveHttp, sleep } from 'skein';
import { dialWebSocket, serveWebSocket } from 'skein/ws';
import { reactor } from '../../support/connection/reactor.ts';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { socketPath } from '../../support/connection/peers.ts';
import { type Outcome, type Plan, take, uses, ways } from '../../support/connection/slow-peers.ts';
import { serverTls } from '../../support/connection/tls-pair.ts';

const TOTAL = 1_500_000;
const plan: Plan = { total: TOTAL, rate: 100_000 };

if (noOpenssl !== false) {
  console.log(`skipped: ${noOpenssl}`);
  process.exit();
}

let faults = 0;
function report(what: string, isRight: boolean, outcome: object): void {
  if (!isRight) faults++;
  console.log(`${reactorName()} ${isRight ? 'ok   ' : 'FAULT'} ${what} ${JSON.stringify(outcome)}`);
}

/** Where a server of ours is, and how its client connects. */
const places = {
  TCP: { where: '127.0.0.1:0', secure: {}, connect: ({ port }: Address) => net.connect(port, '127.0.0.1') },
  TLS: {
    where: '127.0.0.1:0',
    secure: { tls: serverTls() },
    connect: ({ port }: Address) => tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }),
  },
  Unix: { where: `unix:${socketPath()}`, secure: {}, connect: ({ path }: Address) => net.connect(path) },
};
type Place = (typeof places)[keyof typeof places];

async function overHttp({ where, secure, connect }: Place, headers: string): Promise<Outcome> {
  const stop = new AbortController();
  let outcome: Promise<Outcome> | undefined;
  const path = where.startsWith('unix:') ? `unix:${socketPath()}` : where;
  await run(() =>
    serveHttp(
      path,
      function* (_, response) {
        response.setHeader('Content-Length', TOTAL);
        response.end(Buffer.alloc(TOTAL, 'x'));
      },
      {
        ...secure,
        signal: stop.signal,
        onError: () => {},
        onListening(address) {
          const first = `GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
          outcome = take(connect(address), plan, { first, hasHead: true });
          void outcome.then(() => stop.abort());
        },
      },
    ),
  );
  return outcome!;
}

/** The header of the one frame, and the frame that closes. */
const SERVER_FRAMES = 10 + 4;
const CLIENT_FRAMES = 14 + 8;
/** Closing, with the code 1000. */
const CLOSE = Buffer.from([0x88, 0x02, 0x03, 0xe8]);
const MASKED_CLOSE = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

async function fromWebSocket({ where, secure, connect }: Place): Promise<Outcome> {
  const stop = new AbortController();
  let outcome: Promise<Outcome> | undefined;
  const path = where.startsWith('unix:') ? `unix:${socketPath()}` : where;
  await run(() =>
    serveWebSocket(
      path,
      function* (socket) {
        yield* socket.send(Buffer.alloc(TOTAL, 'x'));
      },
      {
        ...secure,
        signal: stop.signal,
        onError: () => {},
        onListening(address) {
          const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13';
          const first = `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n\r\n`;
          const all = { ...plan, total: TOTAL + SERVER_FRAMES };
          outcome = take(connect(address), all, { first, hasHead: true, last: MASKED_CLOSE });
          void outcome.then(() => stop.abort());
        },
      },
    ),
  );
  const { got, ...rest } = await outcome!;
  return { got: got - SERVER_FRAMES, ...rest };
}

async function fromWebSocketClient(): Promise<Outcome> {
  let onOutcome: (outcome: Promise<Outcome>) => void;
  const outcome = new Promise<Outcome>((resolve) => (onOutcome = resolve));
  const server = net.createServer((socket) => {
    socket.once('data', (head: Buffer) => {
      const [, key] = /Sec-WebSocket-Key: (.*)\r\n/i.exec(String(head))!;
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      const first = `HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
      onOutcome(take(socket, { ...plan, total: TOTAL + CLIENT_FRAMES }, { first, last: CLOSE }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await run(function* () {
    const socket = yield* dialWebSocket(`ws://127.0.0.1:${port}`);
    yield* socket.send(Buffer.alloc(TOTAL, 'x'));
    socket.close();
    while ((yield* socket.receive()) !== null);
  }).catch(() => {});
  const { got, ...rest } = await outcome;
  server.close();
  return { got: got - CLIENT_FRAMES, ...rest };
}

async function steady(what: string, outcome: Promise<Outcome>): Promise<void> {
  const result = await outcome.catch((error) => ({ got: 0, error: String(error), ms: 0 }));
  report(`100 kB/s: ${what}`, result.got === TOTAL && result.error === '', result);
}

const all: Promise<void>[] = [];
for (const [way, meet] of Object.entries(ways)) {
  for (const [end, use] of Object.entries(uses)) all.push(steady(`${way}, ${end}`, meet(use, plan)));
  all.push(steady(`${way}, while it sends`, meet(uses.close, { ...plan, isTalking: true })));
}
for (const [name, place] of Object.entries(places)) {
  all.push(steady(`HTTP, ${name}, Connection: close`, overHttp(place, 'Connection: close\r\n')));
  all.push(steady(`HTTP, ${name}, keep-alive`, overHttp(place, '')));
  all.push(steady(`WebSocket, ${name}, closed by the server`, fromWebSocket(place)));
}
all.push(steady('WebSocket, closed by the client', fromWebSocketClient()));
await Promise.all(all);

/** Seconds that a connection stays open after it was closed, whose peer does nothing but what `behave` does. */
async function lifeOf(path: string, behave: (peer: Duplex) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.pause();
    behave(socket);
  });
  if (path === '') server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  const to = path === '' ? (server.address() as net.AddressInfo).port : `unix:${path}`;
  const seconds = await run(function* () {
    while (reactor.open > 0) yield* sleep(100);
    const conn = yield* dial(to);
    // More than any kernel holds.
    conn.send(Buffer.alloc(32 * TOTAL, 'x'));
    conn.close();
    const begun = performance.now();
    while (reactor.open > 0) yield* sleep(100);
    return (performance.now() - begun) / 1_000;
  });
  server.close();
  return seconds;
}

async function hopeless(
  what: string,
  path: string,
  most: number,
  behave: (peer: Duplex) => void,
): Promise<void> {
  const seconds = await lifeOf(path, behave);
  report(what, seconds >= 4.5 && seconds <= most, { seconds: Math.round(seconds * 10) / 10 });
}

// One after another, since what is open is counted.
await hopeless('TCP, reads nothing', '', 8, () => {});
await hopeless('TCP, reads nothing and sends', '', 35, (peer) => {
  setInterval(() => peer.writable && peer.write('x'.repeat(10_000)), 500).unref();
});
await hopeless('TCP, reads 500 bytes a second', '', 35, (peer) => {
  setInterval(() => peer.read(500), 1_000).unref();
});
const isTold = reactorName() === 'epoll';
await hopeless('Unix socket, reads nothing', socketPath(), isTold ? 8 : 35, () => {});

console.log(faults === 0 ? 'all is well' : `${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
