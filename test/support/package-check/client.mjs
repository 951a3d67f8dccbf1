// Starts the server named on the command line, which prints where it listens; sends it `hello`, expects
// it back and then the end, stops it with SIGTERM, and expects it to end with status 0.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';

const server = spawn(process.execPath, process.argv.slice(2), { stdio: ['ignore', 'pipe', 'inherit'] });
const deadline = setTimeout(() => server.kill('SIGKILL'), 20_000);
const exit = once(server, 'exit');
try {
  const started = await Promise.race([once(server.stdout.setEncoding('utf8'), 'data'), exit]);
  assert.match(String(started[0]), /^127\.0\.0\.1:\d+\n$/, 'the server prints its address');
  const socket = net.connect(Number(started[0].split(':')[1]), '127.0.0.1');
  socket.setEncoding('utf8').end('hello');
  let answer = '';
  for await (const text of socket) answer += text;
  assert.equal(answer, 'hello');
  server.kill('SIGTERM');
  assert.deepEqual(await exit, [0, null], 'the server ends by itself when told to');
} finally {
  clearTimeout(deadline);
  server.kill('SIGKILL');
}
