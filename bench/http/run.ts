// `npm run bench:http`: what serveHttp costs beside node:http, by `wrk -t1 -c64`, in turn, round after round. Prints
// medians of requests a second, and of the server's processor time for each. Skipped where there is no wrk.
//
//   ROUNDS=5      how many rounds
//   SECONDS=5     seconds of each

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build, outputOf } from '../shared/build.ts';
import { medians } from '../shared/median.ts';
import { processorTime } from '../shared/processor-time.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const rounds = Number(process.env['ROUNDS'] ?? 5);
const seconds = Number(process.env['SECONDS'] ?? 5);

const contestants = [
  { title: 'node:http', server: 'node', reactor: 'node' },
  { title: 'skein on node', server: 'skein', reactor: 'node' },
  { title: 'skein on epoll', server: 'skein', reactor: 'epoll' },
];

if (process.platform !== 'linux' || outputOf('sh', ['-c', 'command -v wrk']) === null) {
  console.log('skipped: it needs Linux and wrk');
  process.exit();
}
build(here);
const samples: Record<string, Record<string, number>[]> = {};
for (let round = 1; round <= rounds; round++) {
  for (const contestant of contestants) {
    (samples[contestant.title] ??= []).push(await measure(contestant));
  }
}
const base = medians(samples['node:http']!);
for (const { title } of contestants) {
  const { rate, cost } = medians(samples[title]!);
  const ratio = (rate! / base['rate']!).toFixed(2);
  console.log(
    `${title.padEnd(16)} ${rate} requests/s, ${ratio} of node:http; ${cost} µs of processor time each`,
  );
}

async function measure({ server, reactor }: (typeof contestants)[number]): Promise<Record<string, number>> {
  const env = { ...process.env, NODE_ENV: 'production', SKEIN_REACTOR: reactor };
  const file = `${here}dist/http/servers/${server}.js`;
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const url = `http://127.0.0.1:${await portOf(child)}/`;
    wrk(url, 2);
    const before = processorTime(child.pid!);
    const text = wrk(url, seconds);
    const cpu = processorTime(child.pid!) - before;
    const count = Number(/(\d+) requests in/.exec(text)?.[1]);
    const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
    if (!(rate > 0) || text.includes('Non-2xx')) throw new Error(text);
    return { rate, cost: (cpu / count) * 1e6 };
  } finally {
    child.kill();
  }
}

function wrk(url: string, duration: number): string {
  return execFileSync('wrk', ['-t1', '-c64', `-d${duration}s`, url], { encoding: 'utf8' });
}

async function portOf(child: ChildProcess): Promise<number> {
  for await (const chunk of child.stdout!) {
    const port = /listening on (\d+)/.exec(String(chunk))?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error('the server did not start');
}
