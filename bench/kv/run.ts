// `npm run bench:kv`: redis-benchmark against samples/kv and against redis-server, in turn, round after round: the server
// on one processor, the load on the other. Writes the medians.
//
//   ROUNDS=3         how many rounds
//   COMMANDS=200000  of each kind, each time
//   ONLY=regexp      only what matches, of `load server`, such as `pipelined kv`; nothing is written

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build, outputOf } from '../shared/build.ts';
import { medians } from '../shared/median.ts';
import { processorTime } from '../shared/processor-time.ts';
import {
  inShort,
  markdownTable,
  missedGoals,
  provenance,
  ratio,
  thisRun,
  writeResults,
} from '../shared/results.ts';
import { type Contestant, contestants, goals, loads, TESTS } from './loads.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const rounds = Number(process.env['ROUNDS'] ?? 3);
const commands = Number(process.env['COMMANDS'] ?? 200_000);
const only = new RegExp(process.env['ONLY'] ?? '');
/** Milliseconds for a server to say that it listens. */
const START = 20_000;

const missing = ['redis-server', 'redis-benchmark', 'taskset'].filter(
  (one) => outputOf(one, ['--version']) === null,
);
if (missing.length > 0 || availableParallelism() < 2) {
  console.log(`skipped: it needs two processors, and ${missing.join(', ') || 'nothing else'}`);
  process.exit();
}
build(here);

/** By load and command, then by contestant. */
const samples: Record<string, Record<string, Record<string, number>[]>> = {};
for (let round = 1; round <= rounds; round++) {
  for (const load of loads) {
    for (const contestant of contestants) {
      if (!only.test(`${load.id} ${contestant.id}`)) continue;
      process.stderr.write(`\rround ${round} of ${rounds}: ${load.id}, ${contestant.title}`.padEnd(78));
      await measure(contestant, load.id, load.flags);
    }
  }
}
process.stderr.write('\r'.padEnd(80) + '\r');

/** Puts one server under one load, command by command. */
async function measure(contestant: Contestant, load: string, flags: readonly string[]): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/skein-bench-kv-`);
  const port = await freePort();
  const server = await start(contestant, port, folder);
  try {
    // For the compiler to find out what is hot.
    for (const test of TESTS) benchmark(port, test, flags, commands);
    for (const test of TESTS) {
      const before = processorTime(server.pid!);
      const { rate, p50 } = benchmark(port, test, flags, commands);
      const cpu = ((processorTime(server.pid!) - before) * 1e6) / commands;
      ((samples[`${load} ${test}`] ??= {})[contestant.id] ??= []).push({ rate, cpu, p50 });
    }
  } finally {
    server.kill('SIGKILL');
    await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

async function start({ command, env }: Contestant, port: number, folder: string): Promise<ChildProcess> {
  const words = command.map((word) => word.replace('{port}', String(port)).replace('{here}', here));
  const server = spawn('taskset', ['-c', '0', ...words], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production', SKEIN_REACTOR: undefined, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  server.stdout.on('data', (data) => (printed += String(data)));
  for (const deadline = Date.now() + START; !/listening on|Ready to accept/.test(printed);) {
    if (server.exitCode !== null || Date.now() > deadline) throw new Error(`does not start: ${printed}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return server;
}

function benchmark(
  port: number,
  test: string,
  flags: readonly string[],
  n: number,
): { rate: number; p50: number } {
  const words = [
    '-c',
    '1',
    'redis-benchmark',
    '-p',
    String(port),
    '-t',
    test,
    '-n',
    String(n),
    '-c',
    '50',
    '--csv',
  ];
  const printed = execFileSync('taskset', [...words, ...flags], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const cells = printed.trim().split('\n').at(-1)!.replaceAll('"', '').split(',');
  return { rate: Number(cells[1]), p50: Number(cells[4]) * 1000 };
}

const figures = Object.fromEntries(
  Object.entries(samples).map(([load, by]) => [
    load,
    Object.fromEntries(Object.entries(by).map(([id, all]) => [id, medians(all)])),
  ]),
);
const rows = Object.entries(figures).flatMap(([load, by]) =>
  contestants
    .filter(({ id }) => id in by)
    .map(({ id, title }) => {
      const [own, redis] = [by[id]!, by['redis']];
      return [
        `${load}: ${title}`,
        inShort(own['rate']),
        ratio(own['rate'], redis?.['rate']),
        own['cpu']!.toFixed(2),
        ratio(own['cpu'], redis?.['cpu']),
        inShort(own['p50']),
      ];
    }),
);
const head = ['', 'commands per second', '× Redis', 'CPU per command, µs', '× Redis', 'p50, µs'];
const run = { ...thisRun(null, rounds), commands, redis: outputOf('redis-server', ['--version']), figures };
const redisVersion = /v=([\d.]+)/.exec(run.redis ?? '')?.[1] ?? '';
const where = provenance(
  `${commands} commands of each kind from 50 connections, beside Redis ${redisVersion}`,
  run,
);
const markdown = `# What a command costs\n\n${markdownTable(head, rows)}\n${where.replace(', without Go', '')}\n`;
const misses = goals.flatMap(({ load, figure, atLeast = -Infinity, atMost = Infinity }) =>
  Object.entries(figures).flatMap(([name, by]) => {
    if (!name.startsWith(`${load} `) || by['kv'] === undefined || by['redis'] === undefined) return [];
    const times = by['kv'][figure]! / by['redis'][figure]!;
    if (times >= atLeast && times <= atMost) return [];
    return [
      `${name}: ${figure} is ${times.toFixed(2)} × Redis’s, and should be ${atLeast > 0 ? `${atLeast} or more` : `${atMost} or less`}`,
    ];
  }),
);
console.log(markdown);
console.log(missedGoals(misses));
if (process.env['ONLY'] === undefined) {
  await writeResults(`${here}results`, { 'kv.json': JSON.stringify(run), 'kv.md': markdown });
}
