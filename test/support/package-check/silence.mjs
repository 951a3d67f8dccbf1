// A user's test of a server, in Node's own runner, on the network in memory of the packed package.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dial, listen, Scheduler, serve, spawn, VirtualClock } from 'skein';
import { memoryNetwork } from 'skein/testing';

const HOUR = 3_600_000;

function* echo(conn) {
  for (let line; (line = yield* conn.readLine()) !== null;) yield* conn.write(`${line}\n`);
}

/** A client says one line, and nothing after it. Gives the milliseconds that pass on the clock of the system. */
async function silence() {
  const clock = new VirtualClock();
  const network = memoryNetwork();
  const errors = [];
  const begun = performance.now();
  await new Scheduler({ clock, network }).run(function* () {
    const acceptor = yield* listen(9981);
    const server = serve(acceptor, echo, { idleTimeout: HOUR, onError: ({ name }) => errors.push(name) });
    spawn(() => server, { daemon: true });
    const conn = yield* dial(9981);
    yield* conn.write('hello\n');
    assert.equal(yield* conn.readLine(), 'hello');
    assert.equal(yield* conn.readLine(), null);
    conn.close();
  });
  const took = performance.now() - begun;
  assert.equal(clock.now(), HOUR);
  assert.equal(network.open, 0);
  assert.deepEqual(errors, ['TimeoutError']);
  return took;
}

test('a client that is silent for an hour is shown out', async () => {
  const times = [];
  for (let at = 0; at < 5; at++) times.push(await silence());
  // The quickest: on a busy machine the others may have waited for the processor.
  assert.ok(Math.min(...times) < 50, `it took ${times}`);
});
