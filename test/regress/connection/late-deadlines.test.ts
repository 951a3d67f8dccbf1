// A deadline that is found late, since the thread was blocked or the process stopped, does not beat input that came in
// time: libuv runs timers before it polls. Each peer writes, and then the thread is blocked beyond the deadline.

import { createSocket } from 'node:dgram';
import { once as emitted } from 'node:events';
import type { Socket } from 'node:net';
import * as tls from 'node:tls';
import t from 'tap';
import {
  after,
  bindUdp,
  type Co,
  type Connection,
  dial,
  every,
  pause,
  race,
  readBody,
  run,
  select,
  serveHttp,
  sleep,
  timeout,
  wait,
} from '../../../lib/index.ts';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { connect, listenPlain, portOf, readAll, until } from '../../support/connection/peers.ts';
import { serving } from '../../support/connection/serving.ts';
import { clientTls, serverTls } from '../../support/connection/tls-pair.ts';

/** Milliseconds of each deadline, and of the block that begins before it and ends after it. */
const DEADLINE = 300;
const BLOCK = 600;

function block(): void {
  const end = performance.now() + BLOCK;
  while (performance.now() < end);
}

/** The kernel has the data before the thread is blocked. After immediates come the timers, and then the poll. */
function writeAndBlock(socket: Socket, data: string): void {
  setImmediate(() => {
    // Node writes at once if nothing waits.
    socket.write(data);
    block();
  });
}

function* lines(conn: Connection): Co<void> {
  for (let line; (line = yield* conn.readLine()) !== null;) yield* conn.write(`got ${line}\n`);
}

/** Has a client write so, with a block at the end; gives all that it is sent. */
async function talk(port: number, ...pieces: readonly string[]): Promise<string> {
  const client = await connect({ port });
  const received: Buffer[] = [];
  client.on('data', (data) => received.push(data));
  for (const piece of pieces.slice(0, -1)) {
    client.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  writeAndBlock(client, pieces.at(-1)!);
  await new Promise((resolve) => setTimeout(resolve, BLOCK + 100));
  client.end();
  await Promise.race([
    emitted(client, 'close').catch(() => {}),
    new Promise((resolve) => setTimeout(resolve, 1_000)),
  ]);
  client.destroy();
  return String(Buffer.concat(received));
}

/** Waits with a coroutine for input of a peer that comes in time, while the thread is blocked beyond the deadline. */
async function reading(body: (conn: Connection) => Co<unknown>): Promise<unknown> {
  const server = await listenPlain((socket) => {
    setTimeout(() => {
      writeAndBlock(socket, 'in time');
      setTimeout(() => socket.destroy(), BLOCK + 300);
    }, 20);
  });
  return run(function* () {
    const conn = yield* dial(portOf(server));
    try {
      return yield* body(conn);
    } finally {
      conn.reset();
      server.close();
    }
  });
}

const http = async (options: object, ...pieces: readonly string[]): Promise<string> => {
  const stop = new AbortController();
  let port = 0;
  const ended = run(() =>
    serveHttp(
      0,
      function* (request, response) {
        response.end(`body ${yield* readBody(request)}`);
      },
      { signal: stop.signal, grace: 0, onListening: (address) => (port = address.port), ...options },
    ),
  );
  await until(() => port !== 0);
  const answer = await talk(port, ...pieces);
  stop.abort();
  await ended;
  return answer;
};

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n';

interface Row {
  readonly expected: RegExp;
  readonly skip?: string | false;
  readonly act: () => Promise<unknown>;
}

const served = async (options: object, ...pieces: readonly string[]): Promise<string> => {
  const server = await serving(lines, { ...options, onError: () => {} });
  const answer = await talk(server.port, ...pieces);
  server.stop();
  await server.ended;
  return answer;
};

const table: Readonly<Record<string, Row>> = {
  'the idleTimeout of serve': {
    expected: /got one\ngot two\n/,
    act: () => served({ idleTimeout: DEADLINE }, 'one\n', 'two\n'),
  },
  'the requestTimeout of serve': {
    expected: /got one\ngot two\n/,
    act: () => served({ requestTimeout: DEADLINE }, 'one\n', 't', 'wo\n'),
  },
  'timeout around a read': {
    expected: /in time/,
    act: () => reading((conn) => timeout(DEADLINE, () => conn.read())),
  },
  'timeout around readExactly': {
    expected: /in time/,
    act: () => reading((conn) => timeout(DEADLINE, () => conn.readExactly(7))),
  },
  'after beside a read in a select': {
    expected: /^data in time/,
    act: () =>
      reading(function* (conn) {
        const { key, value } = yield* select({ data: conn.read(), late: after(DEADLINE) });
        return `${key} ${value}`;
      }),
  },
  'every beside a read in a select': {
    expected: /^data in time/,
    act: () =>
      reading(function* (conn) {
        const { key, value } = yield* select({ data: conn.read(), tick: every(DEADLINE) });
        return `${key} ${value}`;
      }),
  },
  'sleep beside a read in a race': {
    expected: /in time/,
    act: () => reading((conn) => race([() => sleep(DEADLINE), () => conn.read()])),
  },
  'the idleTimeout of a connection that was dialled': {
    expected: /in time/,
    act: () =>
      reading((conn) => {
        conn.idleTimeout = DEADLINE;
        return conn.read() as unknown as Co<unknown>;
      }),
  },
  'the timeout of dial': {
    expected: /^connected/,
    act: () =>
      run(function* () {
        const server = yield* wait(listenPlain(() => {}));
        setImmediate(block);
        const conn = yield* dial(portOf(server), { timeout: DEADLINE });
        conn.reset();
        server.close();
        return 'connected';
      }),
  },
  'timeout around receiving a datagram': {
    expected: /in time/,
    act: () =>
      run(function* () {
        const socket = yield* bindUdp('127.0.0.1:0');
        const peer = createSocket('udp4');
        // A socket with one peer sends at once.
        peer.connect(socket.address.port, '127.0.0.1', () =>
          setImmediate(() => {
            peer.send('in time');
            block();
          }),
        );
        const { data } = yield* timeout(DEADLINE, () => socket.receive());
        socket.close();
        peer.close();
        return String(data);
      }),
  },
  'the handshakeTimeout of an acceptor': {
    expected: /got hello/,
    skip: noOpenssl,
    act: async () => {
      const server = await serving(lines, {
        tls: serverTls({ handshakeTimeout: DEADLINE }),
        onError: () => {},
      } as never);
      const client = tls.connect({
        port: server.port,
        host: '127.0.0.1',
        ...clientTls(),
      } as tls.ConnectionOptions);
      client.on('error', () => {});
      // Its last message goes out when this event is over.
      client.once('secureConnect', () =>
        setImmediate(() => {
          block();
          client.end('hello\n');
        }),
      );
      const answer = await readAll(client).catch(String);
      server.stop();
      await server.ended;
      return String(answer);
    },
  },
  'the headersTimeout of serveHttp': {
    expected: /200 OK[^]*200 OK/,
    act: () => http({ headersTimeout: DEADLINE }, GET, GET.slice(0, 10), GET.slice(10)),
  },
  'the requestTimeout of serveHttp': {
    expected: /200 OK[^]*body abcd/,
    act: () => http({ requestTimeout: DEADLINE }, POST, 'abcd'),
  },
  'the keepAliveTimeout of serveHttp': {
    expected: /200 OK[^]*200 OK/,
    act: () => http({ keepAliveTimeout: DEADLINE }, GET, GET),
  },
  'the idleTimeout of serveHttp': {
    expected: /200 OK[^]*200 OK/,
    act: () => http({ idleTimeout: DEADLINE }, GET, GET),
  },
};

for (const [deadline, { expected, skip, act }] of Object.entries(table)) {
  t.test(`T1 ${deadline} does not beat what came in time`, { skip: skip ?? false }, async (t) => {
    t.match(String(await act().catch((error: unknown) => error)), expected);
  });
}

t.test('a deadline that was missed is one all the same when nothing came', async (t) => {
  const result = await reading(function* (conn) {
    yield* conn.read();
    try {
      return yield* timeout(20, function* () {
        yield* pause();
        block();
        return yield* conn.read();
      });
    } catch (error) {
      return error;
    }
  });
  t.ok(result === null || (result as Error).name === 'TimeoutError', String(result));
});
