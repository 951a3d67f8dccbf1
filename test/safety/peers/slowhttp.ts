// `npm run test:slowhttp`: slowhttptest opens a thousand connections that send their headers a line in ten seconds.
// Meanwhile a plain curl must be answered within 100 ms each time, and each slow connection must have been closed
// after 10 s. Half a minute; skipped where there is no slowhttptest or no curl.

import { execFile, spawnSync } from 'node:child_process';
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { reactorName, run, serveHttp } from 'skein';

const LONGEST_LIFE = 10_000;
const LONGEST_ANSWER = 100;

const missing = ['slowhttptest', 'curl'].filter((tool) => spawnSync(tool, ['-h']).error !== undefined);
if (missing.length > 0) {
  console.log(`skipped: there is no ${missing.join(', no ')}`);
  process.exit();
}

const lives: number[] = [];
let open = 0;
// Each connection is injected into a server of Node's.
const { emit } = http.Server.prototype;
http.Server.prototype.emit = function (this: http.Server, name: string, ...args: unknown[]): boolean {
  if (name === 'connection') watch(args[0] as Duplex);
  return Reflect.apply(emit, this, [name, ...args]) as boolean;
} as typeof emit;

function watch(stream: Duplex): void {
  const begun = performance.now();
  open++;
  stream.once('close', () => {
    open--;
    lives.push(performance.now() - begun);
  });
}

const stop = new AbortController();
let onPort: (port: number) => void = () => {};
const listening = new Promise<number>((resolve) => (onPort = resolve));
const ended = run(() =>
  serveHttp(
    0,
    function* (_, response) {
      response.end('hello');
    },
    { signal: stop.signal, onListening: ({ port }) => onPort(port) },
  ),
);
const url = `http://127.0.0.1:${await listening}/`;

const over = new AbortController();
let most = 0;
const answers: number[] = [];
const attack = promisify(execFile)('slowhttptest', [
  ...['-c', '1000', '-H', '-i', '10', '-r', '200', '-l', '30', '-u', url],
]).finally(() => over.abort());
while (!over.signal.aborted) {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '-w', ' %{time_total}', '-m', '10', url]);
  const [text, seconds] = stdout.split(' ');
  if (text !== 'hello') throw new Error(`curl got ${stdout}`);
  answers.push(Number(seconds) * 1000);
  most = Math.max(most, open);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await attack.catch(() => {});
const slow = lives.filter((life) => life > 1_000);
stop.abort();
await ended;

const worst = { life: Math.max(...slow), answer: Math.max(...answers) };
console.log(
  `${reactorName()}: ${slow.length} slow connections, ${most} at once, closed after ${worst.life.toFixed()} ms at most`,
);
console.log(`curl was answered ${answers.length} times, after ${worst.answer.toFixed(1)} ms at most`);
if (slow.length < 1_000 || worst.life > LONGEST_LIFE || worst.answer > LONGEST_ANSWER) {
  console.error(`expected 1000 connections, at most ${LONGEST_LIFE} ms, at most ${LONGEST_ANSWER} ms`);
  process.exitCode = 1;
}
