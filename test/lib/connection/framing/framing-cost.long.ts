// What framing may cost, whatever the peer does: memory within its bounds, and time in proportion to the bytes.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { type Co, type Connection, LimitError, run, sleep, spawn, pause } from '../../../../lib/index.ts';
import { parked, withPair } from '../../../support/connection/pair.ts';
import { scripted } from '../../../support/connection/scripted.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** The memory of buffers goes back in the background: the second waits for what the first has begun. */
function collect(): void {
  gc();
  gc();
}

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

t.test('N9 a peer that sends 100 MB without an end of line is held at the limit and a chunk', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const SIZE = 100e6;
      const limit = 65_536;
      const piece = Buffer.alloc(65_536, 'x');
      let offered = 0;
      const fill = (): void => {
        while (offered < SIZE) {
          offered += piece.length;
          if (!peer.write(piece)) return;
        }
        peer.end();
      };
      peer.on('drain', fill);
      fill();
      let held = 0;
      let largest = 0;
      let rounds = 0;
      collect();
      const before = memory();
      while (conn.bytesRead < SIZE) {
        const error = yield* errorOf(conn);
        // The end may come within the last of them.
        if (!(error instanceof LimitError) && conn.bytesRead < SIZE - limit) throw error as Error;
        if (held === 0) {
          // Nobody reads on: it stays where it is.
          yield* sleep(50);
          t.equal(conn.bytesRead, 0);
          t.ok(offered < 32e6, `the peer could send ${offered} bytes`);
        }
        const data = (yield* conn.read())!;
        held = Math.max(held, data.byteLength);
        if (rounds++ % 64 > 0) continue;
        collect();
        largest = Math.max(largest, memory() - before);
      }
      t.ok(held > limit && held <= limit + 65_536 + 1, `${held} bytes were held`);
      t.ok(largest < 16e6, `memory grew by ${largest}`);
    }),
  ),
);

function* errorOf(conn: Connection): Co<unknown> {
  try {
    return yield* conn.readLine();
  } catch (error) {
    return error;
  }
}

t.test('few bytes, held or handed out, do not keep the chunk that they came in', (t) =>
  run(function* () {
    const COUNT = 500;
    const chunk = Buffer.concat([Buffer.alloc(10, 'x'), Buffer.alloc(50_000, 'y'), Buffer.from('\nhalf')]);
    const kept: unknown[] = [];
    collect();
    const before = process.memoryUsage().arrayBuffers;
    for (let left = COUNT; left > 0; left--) {
      const { conn, peer } = scripted();
      peer.feed(chunk);
      const waiting = spawn(
        function* () {
          kept.push(yield* conn.readExactly(10), yield* conn.peek(10));
          yield* conn.readUntil('\n');
          kept.push(conn);
          yield* conn.readLine();
        },
        { daemon: true },
      );
      yield* parked(waiting);
    }
    collect();
    const grown = process.memoryUsage().arrayBuffers - before;
    t.ok(grown < COUNT * 1_000, `${grown / COUNT} bytes each`);
    t.equal(kept.length, COUNT * 3);
  }),
);

t.test('a line that comes byte by byte costs time in proportion to its length', (t) =>
  run(function* () {
    const byte = Buffer.from('x');
    function* timeOf(length: number): Co<number> {
      const { conn, peer } = scripted();
      const reading = spawn(() => conn.readLine({ limit: length }));
      yield* parked(reading);
      const { user } = process.cpuUsage();
      for (let left = length; left > 0; left--) {
        peer.feed(byte);
        yield* pause();
      }
      peer.feed('\n');
      t.equal((yield* reading.join())?.length, length);
      return process.cpuUsage().user - user;
    }
    const short: number[] = [];
    const long: number[] = [];
    for (let round = 0; round < 5; round++) {
      short.push(yield* timeOf(16_384));
      long.push(yield* timeOf(65_536));
    }
    const ratio = Math.min(...long) / Math.min(...short);
    t.ok(ratio < 8, `four times the length takes ${ratio.toFixed(1)} times as long`);
    t.comment(`${Math.min(...short)} µs and ${Math.min(...long)} µs`);
  }),
);
