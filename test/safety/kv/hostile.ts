// Hostile bytes against samples/kv, while a client that behaves asks again and again: how long is it kept waiting, and
// how much memory does the server hold? Also connections that announce what they never send.
//
//   node --import tsx --conditions=skein-source test/safety/kv/hostile.ts
//   INPUTS=20000   how many inputs, each on a connection of its own
//   SEED=n         repeats them

import { readFileSync } from 'node:fs';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { Chance, mutate, randomBytes } from '../../support/kv/commands.ts';
import { encode, startKv } from '../../support/kv/peers.ts';

const inputs = Number(process.env['INPUTS'] ?? 20_000);
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const AT_ONCE = 50;
const ANNOUNCING = 500;

const chance = new Chance(seed);
const valid = encode(['SET', 'a', 'b']) + encode(['LPUSH', 'list', '1', '2']) + encode(['GET', 'a']);
const kv = await startKv();
const memory = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${kv.child.pid}/status`, 'utf8'))![1]) / 1024;
const before = memory();

// The client that behaves has a thread of its own: what it waits for must not be us.
const asking = new Worker(
  `const { parentPort, workerData } = require('node:worker_threads');
  const socket = require('node:net').connect(workerData, '127.0.0.1');
  let begun;
  const ask = () => {
    begun = performance.now();
    socket.write('PING\\r\\n');
  };
  socket.on('connect', ask);
  socket.on('data', () => {
    parentPort.postMessage(performance.now() - begun);
    setTimeout(ask, 1);
  });`,
  { eval: true, workerData: kv.port },
);
const waits: number[] = [];
asking.on('message', (wait: number) => waits.push(wait));

const send = (text: string): Promise<void> =>
  new Promise((resolve) => {
    const socket = net.connect(kv.port, '127.0.0.1', () => socket.end(Buffer.from(text, 'latin1')));
    socket.on('error', () => {});
    socket.resume();
    socket.once('close', () => resolve());
  });
for (let sent = 0; sent < inputs; sent += AT_ONCE) {
  await Promise.all(
    Array.from({ length: AT_ONCE }, (_, index) =>
      send(index % 11 === 0 ? mutate(chance, valid) : randomBytes(chance)),
    ),
  );
}
const silent = Array.from({ length: ANNOUNCING }, () => {
  const socket = net.connect(kv.port, '127.0.0.1', () =>
    socket.write('*1048576\r\n$3\r\nSET\r\n$60000000\r\nx'),
  );
  socket.on('error', () => {});
  return socket;
});
await new Promise((resolve) => setTimeout(resolve, 1000));
const after = memory();
await asking.terminate();
for (const socket of silent) socket.destroy();
waits.sort((one, other) => one - other);
const at = (part: number): string =>
  waits[Math.min(waits.length - 1, Math.floor(waits.length * part))]!.toFixed(1);
console.log(`SEED=${seed}: ${inputs} inputs, then ${ANNOUNCING} clients that announce 60 MB each`);
console.log(
  `a client that behaves waited ${at(0.5)} ms (median), ${at(0.99)} ms (99 %), ${at(1)} ms (longest)`,
);
console.log(`memory: ${before.toFixed()} MB before, ${after.toFixed()} MB after`);
console.log(kv.output().trim());
await kv.end('SIGTERM');
