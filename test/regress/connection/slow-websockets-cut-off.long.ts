// The closing handshake of a WebSocket cut off a peer that was still reading: a server's after 5 s, a client's after 30 s.

import { createHash } from 'node:crypto';
import { once as onceEvent } from 'node:events';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { run, serveHttp } from '../../../lib/index.ts';
import { Patience } from '../../../lib/connection/linger.ts';
import type { Uptake } from '../../../lib/connection/linger.ts';
import { dialWebSocket, webSockets } from '../../../lib/ws/index.ts';
import { Scheduler, sleep, VirtualClock } from '../../../scheduler/index.ts';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { portOf, until } from '../../support/connection/peers.ts';
import { clientTls, serverTls } from '../../support/connection/tls-pair.ts';

// They wait for different things.
t.jobs = 3;

const TOTAL = 1_200_000;
const RATE = 100_000;
/** Milliseconds after which a peer that takes nothing must be gone, on a busy machine. */
const GONE_AFTER = 12_000;

interface Peer {
  got: number;
  /** A code, or how it has ended. */
  end: string;
}

/** Reads at the rate until the end, or until it has so much; nothing at all for 0. Bytes, whatever they mean. */
function readSlowly(stream: Duplex, rate: number, enough = Infinity): Peer {
  const peer: Peer = { got: 0, end: '' };
  if (rate === 0) stream.pause();
  else {
    stream.on('data', (data: Buffer) => {
      peer.got += data.byteLength;
      if (peer.got > enough) stream.end();
      stream.pause();
      setTimeout(() => stream.resume(), (data.byteLength / rate) * 1_000);
    });
  }
  stream.on('error', (error: NodeJS.ErrnoException) => (peer.end ||= error.code ?? error.message));
  stream.on('end', () => {
    peer.end ||= 'end';
    stream.end();
  });
  stream.on('close', () => (peer.end ||= 'close'));
  return peer;
}

/** The same for one that knows WebSockets, and answers the close. */
function receiveSlowly(ws: WebSocket, rate: number): Peer {
  const peer: Peer = { got: 0, end: '' };
  const begun = Date.now();
  let timer: NodeJS.Timeout | undefined;
  ws.on('message', (data: Buffer) => {
    peer.got += data.byteLength;
    // Messages that it has read already still come.
    ws.pause();
    clearTimeout(timer);
    timer = setTimeout(() => ws.resume(), begun + (peer.got / rate) * 1_000 - Date.now());
  });
  ws.on('error', (error: NodeJS.ErrnoException) => (peer.end ||= error.code ?? error.message));
  ws.on('close', (code) => (peer.end ||= String(code)));
  return peer;
}

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const REQUEST = `GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;

function answerTo(request: string): string {
  const key = /Sec-WebSocket-Key: (\S+)/i.exec(request)![1]!;
  const accepted = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade';
  return `${head}\r\nSec-WebSocket-Accept: ${accepted}\r\n\r\n`;
}

/** A server whose handlers send so much, and return; `seen` counts those that have begun and ended, the close included. */
async function serving({ isSecure, total = TOTAL }: { isSecure: boolean; total?: number }) {
  const stop = new AbortController();
  let port = 0;
  const errors: unknown[] = [];
  const seen = { begun: 0, ended: 0 };
  const upgrade = webSockets(function* (socket) {
    for (let left = total; left > 0; left -= 20_000) yield* socket.send(Buffer.alloc(20_000));
  });
  const ended = run(() =>
    serveHttp('127.0.0.1:0', function* () {}, {
      ...(isSecure && { tls: serverTls() }),
      signal: stop.signal,
      onListening: (address) => (port = address.port),
      onError: (error) => errors.push(error),
      *upgrade(...all) {
        seen.begun++;
        try {
          yield* upgrade(...all);
        } finally {
          seen.ended++;
        }
      },
    }),
  );
  await until(() => port !== 0);
  return {
    port,
    errors,
    seen,
    async end() {
      stop.abort();
      await ended;
    },
  };
}

const small = { readableHighWaterMark: 16_384 } as object;

function connect(port: number, isSecure: boolean): net.Socket {
  const plain = net.connect({ port, host: '127.0.0.1', ...small });
  return isSecure ? tls.connect({ socket: plain, ...(clientTls() as object) }) : plain;
}

t.test(
  'a slow reader gets all that was sent before the close',
  { skip: noOpenssl, buffered: true },
  async (t) => {
    const peers: Record<string, Peer> = {};
    const servers = [];
    const dialled: Promise<void>[] = [];
    const others: { close(): void }[] = [];
    for (const isSecure of [false, true]) {
      const how = isSecure ? 'over TLS' : 'in the clear';
      const server = await serving({ isSecure });
      servers.push(server);
      const raw = connect(server.port, isSecure);
      raw.write(REQUEST);
      peers[`bytes of a server, ${how}`] = readSlowly(raw, RATE);
      const url = `${isSecure ? 'wss' : 'ws'}://localhost:${server.port}`;
      const options = { ...(clientTls() as object), family: 4 };
      peers[`messages of a server, ${how}`] = receiveSlowly(new WebSocket(url, options), RATE);

      const http = isSecure ? https.createServer(serverTls() as object) : undefined;
      const known = new WebSocketServer(
        http === undefined ? { port: 0, host: '127.0.0.1' } : { server: http },
      );
      if (http !== undefined) http.listen(0, '127.0.0.1');
      await onceEvent(http ?? known, 'listening');
      others.push(known, ...(http === undefined ? [] : [http]));
      known.on('connection', (ws) => (peers[`messages of a client, ${how}`] = receiveSlowly(ws, RATE)));
      dialled.push(send(url.replace(/\d+$/, String(portOf((http ?? known) as net.Server))), options));
    }
    const plain = net.createServer(small, (socket) => {
      socket.once('data', (data: Buffer) => {
        socket.write(answerTo(String(data)));
        // It does not answer the close: it ends.
        peers['bytes of a client'] = readSlowly(socket, RATE, TOTAL);
      });
    });
    plain.listen(0, '127.0.0.1');
    await onceEvent(plain, 'listening');
    others.push(plain);
    dialled.push(send(`ws://127.0.0.1:${portOf(plain)}`, {}));

    await until(() => Object.values(peers).every(({ end }) => end !== ''), 'the ends', 60_000);
    for (const [name, { got, end }] of Object.entries(peers)) {
      t.ok(got >= TOTAL, `${name}: got ${got}`);
      t.equal(end, name.startsWith('messages') ? '1000' : 'end', name);
    }
    t.equal(Object.keys(peers).length, 7);
    await Promise.all(dialled);
    for (const other of others) other.close();
    for (const server of servers) {
      await server.end();
      t.same(server.errors, []);
    }
  },
);

/** Dials, sends all and closes. */
function send(url: string, options: object, total = TOTAL): Promise<void> {
  return run(function* () {
    const socket = yield* dialWebSocket(url, options);
    for (let left = total; left > 0; left -= 20_000) yield* socket.send(Buffer.alloc(20_000));
    socket.close();
    try {
      while ((yield* socket.receive()) !== null);
    } catch (error) {
      // A peer of bytes does not answer.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    }
  });
}

t.test(
  'a peer that takes nothing is given up, one that does not answer is closed',
  { buffered: true },
  async (t) => {
    // So little that it is sent before anybody waits.
    const server = await serving({ isSecure: false, total: 500_000 });
    const begun = Date.now();
    const silent = connect(server.port, false);
    silent.write(REQUEST);
    const peer = readSlowly(silent, 0);
    const mute = connect(server.port, false);
    mute.write(REQUEST);
    const listener = readSlowly(mute, 10_000_000);
    const plain = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (data: Buffer) => {
        socket.write(answerTo(String(data)));
        socket.pause();
      });
    });
    plain.listen(0, '127.0.0.1');
    await onceEvent(plain, 'listening');
    await Promise.all([
      until(() => server.seen.ended === 2, 'the end of the clients', GONE_AFTER),
      send(`ws://127.0.0.1:${portOf(plain)}`, {}, 500_000),
    ]);
    t.ok(Date.now() - begun < GONE_AFTER);
    silent.resume();
    await until(() => peer.end !== '' && listener.end !== '');
    t.ok(listener.got > 500_000);
    t.equal(listener.end, 'end');
    silent.destroy();
    plain.close();
    await server.end();
  },
);

// The rule itself, in which half a minute takes no time.

interface MadeUp {
  /** What it takes in each second. */
  taken?: (second: number) => number;
  /** What has come from it by then. */
  received?: (second: number) => number;
  left?: number;
  isTold?: boolean;
  isHeldUp?: boolean;
}

/** When a peer is given up, in seconds; undefined if it is not within five minutes. */
async function givenUpAfter({
  taken = () => 0,
  received = () => 0,
  left = 1,
  isTold = true,
  isHeldUp = false,
}: MadeUp): Promise<{ seconds: number; hasAll: boolean } | undefined> {
  const scheduler = new Scheduler({ clock: new VirtualClock() });
  let result: { seconds: number; hasAll: boolean } | undefined;
  await scheduler.run(function* () {
    const begun = scheduler.clock.now();
    const seconds = (): number => Math.round((scheduler.clock.now() - begun) / 1_000);
    const uptake = { look: () => taken(seconds()), left, isTold } as unknown as Uptake;
    const patience = new Patience(
      {
        uptake,
        received: () => received(seconds()),
        isHeldUp: () => isHeldUp,
        giveUp: (hasAll) => (result = { seconds: seconds(), hasAll }),
      },
      scheduler.timers,
    );
    yield* sleep(300_000);
    patience.stop();
  });
  return result;
}

t.test('a peer is given up when it makes no progress, or too little', async (t) => {
  const steadily = (bytes: number) => (): number => bytes;
  t.same(await givenUpAfter({}), { seconds: 5, hasAll: false }, 'nothing');
  t.same(await givenUpAfter({ left: 0 }), { seconds: 5, hasAll: true }, 'everything, and no answer');
  t.same(await givenUpAfter({ isTold: false }), { seconds: 30, hasAll: false }, 'nobody knows');
  t.same(await givenUpAfter({ isHeldUp: true }), { seconds: 30, hasAll: false }, 'it waits for this side');
  t.equal(await givenUpAfter({ taken: steadily(1_100) }), undefined, 'slow, but fast enough');
  t.match(await givenUpAfter({ taken: steadily(1_000) }), { seconds: 31 }, 'too slow');
  const bursts = (second: number): number => (second % 4 === 0 ? 10_000 : 0);
  t.equal(await givenUpAfter({ taken: bursts }), undefined, 'in bursts');
  const tail = (second: number): number => (second < 60 ? 50_000 : 0);
  t.match(await givenUpAfter({ taken: tail }), { seconds: 64 }, 'and then nothing');
  t.match(
    await givenUpAfter({ received: (second: number) => second }),
    { seconds: 31 },
    'it sends, and takes nothing',
  );
  t.match(
    await givenUpAfter({ received: (second: number) => Math.min(second, 10) }),
    { seconds: 15 },
    'it sends for a while',
  );
});
