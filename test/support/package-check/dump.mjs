// A dump, by the packed package, has the lines of this file only, whatever of skein lies between them.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import {
  Channel,
  dump,
  forEach,
  retry,
  run,
  scope,
  select,
  serve,
  shield,
  sleep,
  spawn,
  timeout,
} from 'skein';

const channel = new Channel();
const stop = new AbortController();

/** Its name, and the functions whose lines its stack has. */
const programs = {
  sleeping: ['level', 'sleeping'],
  receiving: ['receiving'],
  selecting: ['selecting'],
  around: ['inside', 'around'],
  each: ['item'],
  reading: ['part', 'reading'],
};

function* level() {
  yield* sleep(10_000);
}
function* sleeping() {
  yield* level();
}
function* receiving() {
  yield* channel.receive();
}
function* selecting() {
  yield* select({ value: channel.receive(), late: sleep(10_000) });
}
function* inside() {
  yield* sleep(10_000);
}
function* around() {
  yield* scope(() => timeout(10_000, () => shield(() => retry({}, () => inside()))));
}
function* item() {
  yield* sleep(10_000);
}
function* part(conn) {
  yield* conn.readExactly(10);
}
function* reading(conn) {
  yield* part(conn);
}

function check() {
  const all = dump();
  for (const [name, functions] of Object.entries(programs)) {
    const info = all.find((one) => (one.stack[0] ?? '').startsWith(`at ${functions[0]} `));
    assert.ok(info, `${name} is in the dump`);
    assert.deepEqual(
      info.stack.map((frame) => /^at (\S+) \(.*dump\.mjs:\d+:\d+\)$/.exec(frame)?.[1]),
      functions,
      info.stack.join('\n'),
    );
  }
}

await run(function* () {
  for (const body of [sleeping, receiving, selecting, around]) spawn(body, { daemon: true });
  spawn(() => forEach([1], { concurrency: 1 }, item), { daemon: true });
  let socket;
  const onListening = ({ port }) => (socket = connect(port, '127.0.0.1').on('error', () => {}));
  const server = () =>
    serve({ host: '127.0.0.1', port: 0 }, reading, { signal: stop.signal, grace: 1, onListening });
  spawn(server, { daemon: true });
  for (let tries = 0; !dump().some(({ stack }) => stack.some((line) => line.includes('at part'))); tries++) {
    assert.ok(tries < 1_000);
    yield* sleep(5);
  }
  check();
  socket.destroy();
});
console.log('only lines of the user');
