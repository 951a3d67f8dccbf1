// Two skein connections over TLS, one the peer of the other, for tests inside of a coroutine.

import {
  type Acceptor,
  type AddressLike,
  type Co,
  type Connection,
  dial,
  listen,
  spawn,
  type TlsOptions,
} from '../../../lib/index.ts';
import { authority, certificate } from './certificates.ts';

export interface TlsPair {
  readonly acceptor: Acceptor;
  /** The one that was accepted. */
  readonly conn: Connection;
  /** The one that has dialled. */
  readonly peer: Connection;
}

export interface TlsPairOptions {
  readonly server?: TlsOptions;
  readonly client?: TlsOptions;
  readonly address?: AddressLike;
}

/** What a server shows that its clients know as localhost. */
export function serverTls(options: TlsOptions = {}): TlsOptions {
  const { key, cert } = certificate();
  return { key, cert, ...options };
}

/** What a client knows. */
export function clientTls(options: TlsOptions = {}): TlsOptions {
  return { ca: authority().cert, servername: 'localhost', ...options };
}

/** Runs a body with a pair, and leaves nothing open. */
export function* withTlsPair<T>(
  body: (pair: TlsPair) => Co<T>,
  { server, client, address = 0 }: TlsPairOptions = {},
): Co<T> {
  const acceptor = yield* listen(address, { tls: serverTls(server) });
  const accepting = spawn(() => acceptor.accept());
  const peer = yield* dial(acceptor.address, { tls: clientTls(client) });
  const conn = yield* accepting.join();
  try {
    return yield* body({ acceptor, conn, peer });
  } finally {
    conn.reset();
    peer.reset();
    acceptor.close();
  }
}

/** All that a connection gives until its end. */
export function* readToEnd(conn: Connection): Co<Buffer> {
  const chunks: Buffer[] = [];
  for (let data; (data = yield* conn.read()) !== null;) chunks.push(data);
  return Buffer.concat(chunks);
}
