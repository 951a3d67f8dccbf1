// A skein connection and a plain socket at its other end, for tests inside of a coroutine.

import type net from 'node:net';
import {
  type Acceptor,
  type AddressLike,
  type Body,
  type Co,
  type Connection,
  type Coroutine,
  listen,
  pause,
  sleep,
  wait,
} from '../../../lib/index.ts';
import { connect } from './peers.ts';

export interface Pair {
  acceptor: Acceptor;
  conn: Connection;
  peer: net.Socket;
}

export function* pair(address: AddressLike = 0): Co<Pair> {
  const acceptor = yield* listen(address);
  const connecting = connect(acceptor.address);
  const conn = yield* acceptor.accept();
  return { acceptor, conn, peer: yield* wait(connecting) };
}

/** Runs a body with a pair, and leaves nothing open. */
export function* withPair<T>(body: (pair: Pair) => Co<T>, address?: AddressLike): Co<T> {
  const made = yield* pair(address);
  try {
    return yield* body(made);
  } finally {
    made.conn.reset();
    made.acceptor.close();
    made.peer.destroy();
  }
}

/** Until a coroutine that was spawned waits, or has ended: its turn may be over before. */
export function* parked(coroutine: Coroutine<unknown>): Co<void> {
  while (coroutine.state === 'ready') yield* pause();
}

/** The error that a body throws. */
export function* failure(body: Body<unknown>): Co<NodeJS.ErrnoException> {
  try {
    yield* body();
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  throw new Error('expected an error, none came');
}

/** Writes, and notes in `seen` how many bytes a cancelled write had handed over. */
export function* noteAccepted(
  conn: Connection,
  data: Uint8Array,
  seen: { accepted?: number | undefined },
): Co<void> {
  try {
    yield* conn.write(data);
  } catch (error) {
    seen.accepted = (error as { accepted?: number }).accepted;
    throw error;
  }
}

/** Writes until the stream takes nothing for a while; gives the number of bytes that it has accepted. */
export function* fill(write: (chunk: Buffer) => void, taken: () => number): Co<number> {
  for (let quiet = 0, last = -1; quiet < 10;) {
    for (let count = 0; count < 4; count++) write(Buffer.alloc(65_536));
    yield* sleep(5);
    quiet = taken() === last ? quiet + 1 : 0;
    last = taken();
  }
  return taken();
}
