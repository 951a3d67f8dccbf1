// From one connection to another. Invariants: a reader waits for a slow writer, so that at most 128 KiB wait in
// between; the end of one stream is passed on and nothing else is; a copy that was cut off never looks whole.

import { all } from '../../scheduler/combinators/all.ts';
import { inWords } from '../../scheduler/kernel/errors.ts';
import type { Co } from '../../scheduler/kernel/operation.ts';
import { Connection } from './connection.ts';
import { Loan } from './relay-buffer.ts';

/** Bytes of a read from which on more of the kind is to be expected. */
const LARGE = 32_768;

/**
 * Writes to `to` what comes from `from`, until its end, and then ends `to`. Gives the number of bytes. It closes
 * neither, also not when it fails or is cancelled: that is for the caller.
 *
 * @throws TypeError for what is no connection; the errors of `read`, `write` and `end`
 *
 * @example
 * ```ts
 * import { dial, listen, pipe, run, spawn } from 'skein';
 *
 * await run(function* () {
 *   const acceptor = yield* listen(0);
 *   spawn(function* echo() {
 *     const conn = yield* acceptor.accept();
 *     console.log(yield* pipe(conn, conn)); // 5
 *     conn.close();
 *     acceptor.close();
 *   });
 *   const conn = yield* dial(acceptor.address);
 *   yield* conn.write('hello');
 *   yield* conn.end();
 *   console.log(String(yield* conn.read())); // hello
 *   conn.close();
 * });
 * ```
 */
export function* pipe(from: Connection, to: Connection): Co<number> {
  checkConnections('pipe', from, to);
  let size = 0;
  for (let data; (data = yield* from.read()) !== null;) {
    size += data.byteLength;
    // A chunk is the reader's own, and `send` takes it as it is, where `write` would have to copy it.
    to.send(data);
    // Waits for nothing but room.
    yield* to.write('');
    if (data.byteLength >= LARGE && from.isDirect && to.isDirect) size += yield* pipeLarge(from, to);
  }
  yield* to.end();
  return size;
}

/** The same through a borrowed buffer, as long as there is much: saves making one for each chunk. */
function* pipeLarge(from: Connection, to: Connection): Co<number> {
  const loan = new Loan();
  let size = 0;
  let count: number;
  do {
    count = yield* from.readOnLoan(loan);
    size += count;
    to.send(loan.take().subarray(0, count));
    // Whoever is cut off here does not give the buffer back, which is still being written.
    yield* to.flush();
    loan.give();
  } while (count >= LARGE);
  return size;
}

/**
 * Copies in both directions at once, each until its end, which is passed on as half-close. Returns when both have
 * ended, with the bytes from `a` to `b` and from `b` to `a`; the connections are then for the caller to close. If a
 * direction fails, or it is cancelled, the other is ended as well and both connections are reset: what was cut off
 * must not look like a clean end.
 *
 * @throws as `pipe`
 *
 * @example
 * ```ts
 * import { copyBoth, dial, serve, run, wait } from 'skein';
 *
 * const stop = new AbortController();
 * await run(() =>
 *   serve(
 *     0,
 *     function* (client) {
 *       const upstream = yield* dial('127.0.0.1:8080', { timeout: 5_000 });
 *       yield* copyBoth(client, upstream);
 *       upstream.close();
 *     },
 *     { signal: stop.signal, onListening: () => stop.abort() },
 *   ),
 * );
 * ```
 */
export function* copyBoth(a: Connection, b: Connection): Co<[aToB: number, bToA: number]> {
  checkConnections('copyBoth', a, b);
  try {
    return yield* all([() => pipe(a, b), () => pipe(b, a)]);
  } catch (error) {
    a.reset();
    b.reset();
    throw error;
  }
}

function checkConnections(what: string, ...conns: unknown[]): void {
  for (const conn of conns) {
    if (!(conn instanceof Connection)) {
      throw new TypeError(`${what} expects connections, got ${inWords(conn)}`);
    }
  }
}
