// Peers that take what is sent to them at a rate of their own, or not at all, met by each kind of connection: accepted and
// dialled, over TCP, TLS and Unix sockets and over streams of Node's, and closed in each way.

import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import {
  type AddressLike,
  type Co,
  type Connection,
  dial,
  fromDuplex,
  run,
  wait,
} from '../../../lib/index.ts';
import { certificate } from './certificates.ts';
import { socketPath } from './peers.ts';
import { serving } from './serving.ts';
import { clientTls, serverTls } from './tls-pair.ts';

export interface Plan {
  /** Bytes that are sent to the peer. */
  readonly total: number;
  /** Bytes that the peer reads per second; 0 for none at all during its `pause`. */
  readonly rate: number;
  /** Milliseconds. */
  readonly pause?: number;
  /** The peer sends all the time, and nobody reads it. */
  readonly isTalking?: boolean;
}

/** What has become of the peer. */
export interface Outcome {
  readonly got: number;
  /** The code of its error; '' for a clean end. */
  readonly error: string;
  readonly ms: number;
}

/** What our side does with its connection, which is closed when it returns. */
export type Use = (conn: Connection, plan: Plan) => Co<void>;

/** Each way in which a connection ends by our doing. */
export const uses = {
  *close(conn, { total }) {
    conn.send(Buffer.alloc(total, 'x'));
  },
  *'idleTimeout while it reads'(conn, { total }) {
    conn.idleTimeout = 2_000;
    conn.send(Buffer.alloc(total, 'x'));
    while ((yield* conn.read()) !== null);
  },
  *'requestTimeout of its next request'(conn, { total }) {
    conn.requestTimeout = 1_000;
    conn.send(Buffer.alloc(total, 'x'));
    yield* conn.readLine();
  },
  *'a stream that ends'(conn, { total }) {
    const stream = conn.toDuplex();
    stream.end(Buffer.alloc(total, 'x'));
    yield* wait(once(stream, 'finish'));
    stream.destroy();
  },
} satisfies Record<string, Use>;

/** What a peer says. By default it is half of a request, in case that our side waits for one. */
interface Talk {
  readonly first?: string | Buffer;
  /** Something follows the first empty line, and counts from there. */
  readonly hasHead?: boolean;
  /** Said once all has come. */
  readonly last?: string | Buffer;
}

/** Reads at the rate of the plan until there is no more. */
export function take(stream: Duplex, plan: Plan, { first = 'half', hasHead = false, last }: Talk = {}) {
  const { total, rate, isTalking = false, pause = 10_000 } = plan;
  const begun = performance.now();
  let got = 0;
  let isInHead = hasHead;
  let error = '';
  stream.write(first);
  const talk = setInterval(() => isTalking && stream.writable && stream.write('x'.repeat(1_000)), 100);
  const onData = (chunk: Buffer): void => {
    const bytes = isInHead ? chunk.subarray(chunk.indexOf('\r\n\r\n') + 4) : chunk;
    isInHead = false;
    got += bytes.byteLength;
    if (got >= total && last !== undefined && stream.writable) stream.write(last);
    if (rate === 0) return;
    // A pace that makes up for timers that are late.
    const due = begun + (got / rate) * 1_000;
    stream.pause();
    setTimeout(() => stream.resume(), Math.max(0, due - performance.now()));
  };
  stream.on('data', onData);
  if (rate === 0) {
    stream.pause();
    setTimeout(() => stream.resume(), pause);
  }
  return new Promise<Outcome>((resolve) => {
    const settle = (): void => {
      clearInterval(talk);
      resolve({ got, error, ms: Math.round(performance.now() - begun) });
    };
    stream.on('error', (cause: NodeJS.ErrnoException) => (error = cause.code ?? String(cause)));
    stream.on('close', settle);
    stream.on('end', () => got < total && settle());
  });
}

/** Serves one client, which comes in by `connect`. */
function accepted(where: () => AddressLike, connect: (port: number, path: string) => Duplex, isTls = false) {
  return async (use: Use, plan: Plan): Promise<Outcome> => {
    const server = await serving((conn) => use(conn, plan), {
      where: [where()],
      onError: () => {},
      ...(isTls ? { tls: serverTls() } : {}),
    });
    const outcome = await take(connect(server.port, server.addresses[0]!.path), plan);
    server.stop();
    await server.ended;
    return outcome;
  };
}

/** Dials a server of Node's whose client we are. */
function dialled(make: (onSocket: (socket: Duplex) => void) => net.Server, where = () => '', isTls = false) {
  return async (use: Use, plan: Plan): Promise<Outcome> => {
    let onOutcome: (outcome: Promise<Outcome>) => void;
    const outcome = new Promise<Outcome>((resolve) => (onOutcome = resolve));
    const path = where();
    const server = make((socket) => onOutcome(take(socket, plan)));
    if (path === '') server.listen(0, '127.0.0.1');
    else server.listen(path);
    await once(server, 'listening');
    const { port } = path === '' ? (server.address() as net.AddressInfo) : { port: 0 };
    const using = run(function* () {
      const to = path === '' ? `127.0.0.1:${port}` : `unix:${path}`;
      const conn = yield* dial(to, isTls ? { tls: clientTls() } : {});
      yield* closing(use, conn, plan);
    });
    await using;
    const result = await outcome;
    server.close();
    return result;
  };
}

function* closing(use: Use, conn: Connection, plan: Plan): Co<void> {
  try {
    yield* use(conn, plan);
  } catch {
    // Its time is up: that is the subject.
  } finally {
    conn.close();
  }
}

/** Over streams of Node's: `stream` makes one of each socket of a server's. */
function adopted(wrap: (socket: net.Socket) => Duplex) {
  return async (use: Use, plan: Plan): Promise<Outcome> => {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      server.close();
      void run(() => closing(use, fromDuplex(wrap(socket)), plan));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return take(net.connect((server.address() as net.AddressInfo).port, '127.0.0.1'), plan);
  };
}

export const ways = {
  'serve TCP': accepted(
    () => '127.0.0.1:0',
    (port) => net.connect(port, '127.0.0.1'),
  ),
  'serve TCP over IPv6': accepted(
    () => '[::1]:0',
    (port) => net.connect(port, '::1'),
  ),
  'serve TCP by an IPv4 client of an IPv6 socket': accepted(
    () => '[::]:0',
    (port) => net.connect(port, '127.0.0.1'),
  ),
  'serve TLS': accepted(
    () => '127.0.0.1:0',
    (port) => tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }),
    true,
  ),
  'serve a Unix socket': accepted(
    () => `unix:${socketPath()}`,
    (_, path) => net.connect(path),
  ),
  'serve TLS on a Unix socket': accepted(
    () => `unix:${socketPath()}`,
    (_, path) => tls.connect({ path, rejectUnauthorized: false }),
    true,
  ),
  'dial TCP': dialled((onSocket) => net.createServer(onSocket)),
  'dial TLS': dialled((onSocket) => tls.createServer(certificate(), onSocket), undefined, true),
  'dial a Unix socket': dialled((onSocket) => net.createServer(onSocket), socketPath),
  'fromDuplex of a net.Socket': adopted((socket) => socket),
} satisfies Record<string, (use: Use, plan: Plan) => Promise<Outcome>>;
