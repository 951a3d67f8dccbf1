// What a peer takes is what counts, and not what the kernel accepts (N6).

import t from 'tap';
import { type Co, sleep, spawn, TimeoutError } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { failure } from '../../support/connection/pair.ts';
import { scripted, type ScriptedSocket } from '../../support/connection/scripted.ts';
import { connect, until } from '../../support/connection/peers.ts';
import { serving } from '../../support/connection/serving.ts';
import { take } from '../../support/connection/slow-peers.ts';
import { virtually } from '../../support/scheduler/virtual.ts';

// More than the kernel shows progress of in 5 s, and little enough to be read in 8 s.

t.test('what a slow reader has not taken by the end of the grace is cut off, and reported', async (t) => {
  const errors: unknown[] = [];
  const server = await serving(
    function* (conn) {
      // More than the kernel takes.
      conn.send(Buffer.alloc(50_000_000));
    },
    { grace: 300, onError: (error) => errors.push(error) },
  );
  const reading = take(await connect(server), { total: 50_000_000, rate: 1_000_000 });
  await until(() => reactor.open > 0, 'the connection');
  server.stop();
  await server.ended;
  await until(() => reactor.open === 0, 'its end');
  t.match(errors, [{ message: 'cut off after 300 ms of grace, while suspended in deliver' }]);
  t.equal(errors.length, 1);
  t.ok((await reading).got < 50_000_000);
});

/** Closes a connection whose peer has so much to take; then once a second `step` says what it does. */
function* lingering(
  untaken: number | undefined,
  step: (peer: ScriptedSocket, second: number) => void,
): Co<{ ending: string | undefined; seconds: number }> {
  const { conn, peer } = scripted();
  yield* conn.write(Buffer.alloc(100_000));
  peer.untaken = untaken;
  conn.close();
  // Just before each look.
  yield* sleep(900);
  let second = 1;
  for (; second < 500 && peer.ending === undefined; second++) {
    step(peer, second);
    yield* sleep(1_000);
  }
  return { ending: peer.ending, seconds: second - 1 };
}

/** The peer takes so much. */
function takes(peer: ScriptedSocket, size: number): void {
  peer.untaken = Math.max(0, peer.untaken! - size);
}

t.test('N6 a peer that takes nothing is reset after 5 s', (t) =>
  virtually(function* () {
    t.same(yield* lingering(50_000, () => {}), { ending: 'reset', seconds: 5 });
  }),
);

t.test('N6 one that stops taking has 5 s from then on', (t) =>
  virtually(function* () {
    const step = (peer: ScriptedSocket, second: number): void => {
      if (second <= 20) takes(peer, 2_000);
    };
    t.same(yield* lingering(100_000, step), { ending: 'reset', seconds: 25 });
  }),
);

t.test('N6 one that takes a little more than 1 KiB/s gets everything, however long it takes', (t) =>
  virtually(function* () {
    const { ending, seconds } = yield* lingering(400_000, (peer, second) => {
      // In steps, as a peer with a small window does.
      if (second % 4 === 0) takes(peer, 4 * 1_100);
    });
    t.equal(ending, 'released', 'the kernel does the rest');
    t.ok(seconds > 300 && seconds < 400, `after ${seconds} s`);
  }),
);

t.test('N6 one that takes a little less than 1 KiB/s is reset after 30 s', (t) =>
  virtually(function* () {
    const { ending, seconds } = yield* lingering(400_000, (peer) => takes(peer, 1_000));
    t.equal(ending, 'reset');
    t.ok(seconds >= 30 && seconds <= 32, `after ${seconds} s`);
  }),
);

t.test('N6 one that took much at first and then trickles is reset 30 s later', (t) =>
  virtually(function* () {
    const { ending, seconds } = yield* lingering(10 ** 9, (peer, second) =>
      takes(peer, second <= 100 ? 10 ** 6 : 10),
    );
    t.equal(ending, 'reset');
    t.ok(seconds >= 129 && seconds <= 132, `after ${seconds} s`);
  }),
);

t.test('N6 one that has taken everything and does not end is left to the kernel after 5 s', (t) =>
  virtually(function* () {
    t.same(yield* lingering(0, () => {}), { ending: 'released', seconds: 5 });
  }),
);

t.test('N6 one that only sends is progress for 30 s, whether it has something to take or not', (t) =>
  virtually(function* () {
    for (const untaken of [0, 50_000]) {
      const { ending, seconds } = yield* lingering(untaken, (peer) => peer.feed('x'.repeat(10_000)));
      t.equal(ending, untaken === 0 ? 'released' : 'reset');
      t.ok(seconds >= 30 && seconds <= 32, `after ${seconds} s`);
    }
  }),
);

t.test(
  'N6 where the system does not tell, a peer has 30 s from when the kernel has taken the last byte',
  () =>
    virtually(function* () {
      t.same(yield* lingering(undefined, () => {}), { ending: 'released', seconds: 30 });
    }),
);

/** Seconds after which an idle timeout of 10 s is over, of a connection whose peer has so much to take. */
function* idleFor(untaken: number, step: (peer: ScriptedSocket, second: number) => void): Co<number> {
  const { conn, peer } = scripted();
  conn.idleTimeout = 10_000;
  yield* conn.write(Buffer.alloc(100_000));
  peer.untaken = untaken;
  const reading = spawn(() => failure(() => conn.read()));
  yield* sleep(500);
  let second = 0;
  for (; second < 500 && !conn.isClosed; second++) {
    step(peer, second);
    yield* sleep(1_000);
  }
  if (!((yield* reading.join()) instanceof TimeoutError)) throw new Error('it ended otherwise');
  return second;
}

t.test('idleTimeout: a peer that has taken everything is idle', (t) =>
  virtually(function* () {
    t.equal(yield* idleFor(0, () => {}), 10);
  }),
);

t.test('idleTimeout: one that takes nothing has the time twice', (t) =>
  virtually(function* () {
    t.equal(yield* idleFor(50_000, () => {}), 20);
  }),
);

t.test(
  'idleTimeout: one that takes a little is not idle, and has the time once more when it has taken all',
  () =>
    virtually(function* () {
      const seconds = yield* idleFor(50_000, (peer, second) => {
        if (second % 9 === 0) takes(peer, 10_000);
      });
      // The last byte is taken in second 36.
      t.ok(seconds >= 46 && seconds <= 56, `after ${seconds} s`);
    }),
);

t.test('idleTimeout: one that stops taking is given up', (t) =>
  virtually(function* () {
    const seconds = yield* idleFor(50_000, (peer, second) => {
      if (second <= 15) takes(peer, 1_000);
    });
    t.ok(seconds >= 25 && seconds <= 35, `after ${seconds} s`);
  }),
);

t.test('idleTimeout: a peer that took all of an earlier answer in its time has no more time for that', (t) =>
  virtually(function* () {
    const { conn, peer } = scripted();
    conn.idleTimeout = 10_000;
    const reading = spawn(() => failure(() => conn.read()));
    peer.untaken = 0;
    yield* sleep(9_000);
    yield* conn.write(Buffer.alloc(100_000));
    yield* sleep(9_000);
    t.notOk(conn.isClosed, 'a write is no silence');
    yield* sleep(1_500);
    t.ok(conn.isClosed);
    t.ok((yield* reading.join()) instanceof TimeoutError);
  }),
);
