// Subjects of the suite for byte streams in which a stream is closed or reset while both directions are busy.
// Whoever waits must hear of it: a writer by an error, a reader by an error or the end.

import { type Co, type Connection, sleep, spawn, type Coroutine } from '../../lib/index.ts';
import { acceptedOf, type StreamPair, type Subject } from '../support/connection/streams.ts';

/** What became of those who used one end. */
interface Use {
  /** Bytes that were read. */
  received: number;
  /** Bytes that were handed over. */
  accepted: number;
  /** How reading ended: 'end', or the code of an error. */
  read: string;
  /** How writing ended. */
  written: string;
  readonly users: readonly Coroutine<void>[];
}

/** Reads and writes as fast as may be. Whoever meets the end of its input closes. */
function use(conn: Connection): Use {
  const used = { received: 0, accepted: 0, read: '', written: '' };
  const reader = spawn(function* () {
    try {
      for (let chunk; (chunk = yield* conn.read()) !== null;) used.received += chunk.byteLength;
      used.read = 'end';
    } catch (error) {
      used.read = codeOf(error);
    }
    conn.close();
  });
  const writer = spawn(function* () {
    const piece = Buffer.alloc(100_000);
    try {
      for (;;) {
        yield* conn.write(piece);
        used.accepted += piece.byteLength;
      }
    } catch (error) {
      used.accepted += acceptedOf(error);
      used.written = codeOf(error);
    }
  });
  return Object.assign(used, { users: [reader, writer] });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/** Lets both ends be busy, ends that by `end`, and waits until all have heard of it. */
function* busyUntil({ a, b }: StreamPair, end: () => void): Co<{ a: Use; b: Use }> {
  const uses = { a: use(a), b: use(b) };
  while ([uses.a, uses.b].some(({ received, accepted }) => received === 0 || accepted === 0)) yield* sleep(1);
  yield* sleep(10);
  end();
  for (const user of [...uses.a.users, ...uses.b.users]) yield* user.join();
  return uses;
}

/** One side closes: it hears so at once, and the other reads all that was written, and then the end. */
function closing(side: 'a' | 'b'): Subject {
  const other = side === 'a' ? 'b' : 'a';
  return function* (t, pair) {
    const uses = yield* busyUntil(pair, () => pair[side].close());
    t.equal(uses[side].read, 'ERR_CLOSED');
    t.equal(uses[side].written, 'ERR_CLOSED');
    t.equal(uses[other].read, 'end');
    t.equal(uses[other].received, uses[side].accepted, 'close delivers what was written');
    t.equal(uses[other].written, 'ERR_CLOSED');
  };
}

/** One side resets: it hears so at once, and the other as the transport tells. */
function resetting(side: 'a' | 'b'): Subject {
  const other = side === 'a' ? 'b' : 'a';
  return function* (t, pair, _random, { afterReset }) {
    const uses = yield* busyUntil(pair, () => pair[side].reset());
    t.equal(uses[side].read, 'ERR_CLOSED');
    t.equal(uses[side].written, 'ERR_CLOSED');
    const { read, written } = uses[other];
    t.ok(afterReset.includes(read), `the reader meets ${read}`);
    t.ok([...afterReset, 'EPIPE', 'ERR_CLOSED'].includes(written), `the writer meets ${written}`);
  };
}

/** Both at once: each hears of its own. */
function both(end: (conn: Connection) => void): Subject {
  return function* (t, pair) {
    const uses = yield* busyUntil(pair, () => {
      end(pair.a);
      end(pair.b);
    });
    for (const { read, written } of [uses.a, uses.b]) t.same([read, written], ['ERR_CLOSED', 'ERR_CLOSED']);
  };
}

export const closings: Readonly<Record<string, Subject>> = {
  'CloseTimeout: the one side closes': closing('a'),
  'CloseTimeout: the other side closes': closing('b'),
  'CloseTimeout: both sides close': both((conn) => conn.close()),
  'CloseTimeout: the one side resets': resetting('a'),
  'CloseTimeout: the other side resets': resetting('b'),
  'CloseTimeout: both sides reset': both((conn) => conn.reset()),
};
