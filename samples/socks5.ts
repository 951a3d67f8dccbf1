// A SOCKS5 proxy (RFC 1928), with or without user and password (RFC 1929).
//
//   npx tsx --conditions=skein-source samples/socks5.ts     then:   curl --socks5-hostname 127.0.0.1:9981 http://…
//   SOCKS_USER and SOCKS_PASSWORD, where they are set, are asked for; one of them alone is refused.
//
// Notice that the handshake reads like the chapters of the RFC, one `readExactly` for each field, and needs no state
// between them. How long a client may take, and that it may go away at any byte, is said once, around all of it. No
// field is longer than 255 bytes, so nobody can make it keep more.

import { createHash, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';
import {
  type Address,
  type Co,
  type Connection,
  copyBoth,
  dial,
  ProtocolError,
  run,
  serve,
  timeout,
} from 'skein';
import { refuseToStart, whereToListen, whole } from './environment.ts';

const { SOCKS_USER: USER, SOCKS_PASSWORD: PASSWORD } = process.env;
const HANDSHAKE = whole('HANDSHAKE', 10_000, { least: 1 }); // milliseconds in all
const DEADLINE = whole('DEADLINE', 10_000, { least: 1 }); // milliseconds for a connection to what was asked for

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const USER_AND_PASSWORD = 2;
const NO_ACCEPTABLE_METHOD = 0xff;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** The replies to a request, RFC 1928, chapter 6. */
const OK = 0;
const FAILURE = 1;
const NO_SUCH_COMMAND = 7;
const NO_SUCH_ADDRESS_TYPE = 8;
const REPLIES: Record<string, number> = {
  EACCES: 2,
  EPERM: 2,
  ENETUNREACH: 3,
  EHOSTUNREACH: 4,
  ENOTFOUND: 4,
  EAI_AGAIN: 4,
  ECONNREFUSED: 5,
  // "TTL expired" is what there is for time that has run out.
  ERR_TIMEOUT: 6,
  ETIMEDOUT: 6,
};

function* proxy(client: Connection) {
  const target = yield* timeout(HANDSHAKE, function* () {
    yield* agreeOnMethod(client);
    return yield* readRequest(client);
  });
  const upstream = yield* connect(client, target);
  try {
    yield* client.write(reply(OK, upstream.localAddress));
    yield* copyBoth(client, upstream);
  } finally {
    upstream.close();
  }
}

/** Chapter 3: the client says what it can do, and we what it shall. */
function* agreeOnMethod(client: Connection): Co<void> {
  yield* expectByte(client, VERSION, 'version');
  const methods = yield* readField(client);
  const method = USER === undefined ? NO_AUTHENTICATION : USER_AND_PASSWORD;
  const isOffered = methods.includes(method);
  yield* client.write(Buffer.of(VERSION, isOffered ? method : NO_ACCEPTABLE_METHOD));
  if (!isOffered)
    throw new ProtocolError(`expected method ${method}, got the methods ${[...methods].join()}`);
  if (method === USER_AND_PASSWORD) yield* authenticate(client);
}

/** RFC 1929. */
function* authenticate(client: Connection): Co<void> {
  yield* expectByte(client, 1, 'version of the authentication');
  const user = yield* readField(client);
  const password = yield* readField(client);
  // Both are looked at in any case, each in a time that does not tell how much of it is right.
  const isRight = [isSame(user, USER!), isSame(password, PASSWORD!)].every(Boolean);
  yield* client.write(Buffer.of(1, isRight ? 0 : 1));
  if (!isRight) throw new ProtocolError('expected another user or password');
}

/** Chapters 4 and 5: where to. */
function* readRequest(client: Connection): Co<{ host: string; port: number }> {
  yield* expectByte(client, VERSION, 'version');
  const [command, , type] = yield* client.readExactly(3);
  let host: string;
  if (type === IPV4) host = (yield* client.readExactly(4)).join('.');
  else if (type === NAME) host = (yield* readField(client)).toString('latin1');
  else if (type === IPV6) host = textOf(yield* client.readExactly(16));
  else
    return yield* refuse(client, NO_SUCH_ADDRESS_TYPE, `expected an address of type 1, 3 or 4, got ${type}`);
  const port = (yield* client.readExactly(2)).readUInt16BE();
  if (command !== CONNECT) {
    return yield* refuse(client, NO_SUCH_COMMAND, `expected CONNECT, got command ${command}`);
  }
  if (!/^[\w.:-]+$/.test(host) || port === 0) {
    return yield* refuse(
      client,
      FAILURE,
      `expected a host and a port, got ${JSON.stringify({ host, port })}`,
    );
  }
  return { host, port };
}

/** Why it cannot be reached the client hears first, and `onError` after it. */
function* connect(client: Connection, target: { host: string; port: number }): Co<Connection> {
  try {
    return yield* dial(target, { timeout: DEADLINE });
  } catch (error) {
    yield* client.write(reply(REPLIES[(error as NodeJS.ErrnoException).code ?? ''] ?? FAILURE));
    throw error;
  }
}

function* expectByte(client: Connection, expected: number, what: string): Co<void> {
  const byte = (yield* client.readExactly(1))[0];
  if (byte !== expected) throw new ProtocolError(`expected ${what} ${expected}, got ${byte}`);
}

/** Bytes behind their number. */
function* readField(client: Connection): Co<Buffer> {
  return yield* client.readExactly((yield* client.readExactly(1))[0]!);
}

function* refuse(client: Connection, code: number, why: string): Co<never> {
  yield* client.write(reply(code));
  throw new ProtocolError(why);
}

/** Chapter 6; `bound` is our end of the connection to what was asked for. */
function reply(code: number, bound?: Address): Buffer {
  const address = bytesOf(bound?.host ?? '0.0.0.0');
  const { port = 0 } = bound ?? {};
  const type = address.length === 4 ? IPV4 : IPV6;
  return Buffer.of(VERSION, code, 0, type, ...address, port >> 8, port & 0xff);
}

/** An IPv6 address from its bytes; not in its shortest form, which nobody needs. */
function textOf(bytes: Buffer): string {
  return bytes.toString('hex').match(/..../g)!.join(':');
}

function bytesOf(host: string): number[] {
  if (isIPv4(host)) return host.split('.').map(Number);
  // `::` stands for as many zeros as are missing; what is behind % names an interface.
  const [head, tail] = host
    .replace(/%.*/, '')
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array<string>(tail === undefined ? 0 : 8 - head!.length - tail.length).fill('0');
  const groups = [...head!, ...zeros, ...(tail ?? [])].map((group) => parseInt(group, 16));
  return groups.flatMap((group) => [group >> 8, group & 0xff]);
}

/** Digests are of one length, so the comparison tells nothing of the lengths either. */
function isSame(given: Buffer, expected: string): boolean {
  const [one, other] = [given, expected].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(one!, other!);
}

// A proxy that is open to everybody by a slip is worse than none.
if ((USER !== undefined || PASSWORD !== undefined) && !(USER && PASSWORD)) {
  refuseToStart('SOCKS_USER and SOCKS_PASSWORD are set both, and not empty, or neither is');
}

await run(() =>
  serve(whereToListen(), proxy, {
    signals: true,
    onListening: (address) =>
      console.log(`socks5 listening on ${address}; try: curl --socks5-hostname ${address} URL`),
    onError: (error, conn) => console.error(`${conn?.remoteAddress ?? 'accepting'}: ${String(error)}`),
  }),
);
