// `npm run bench:micro`: runs every program of every contestant in a process of its own, in turn, round
// after round, and writes the medians as JSON, Markdown and SVG.
//
//   ROUNDS=5      how many rounds
//   ONLY=regexp   only the programs that match; nothing is written

import { spawnSync } from 'node:child_process';
import { versionOf } from '../shared/build.ts';
import { medians } from '../shared/median.ts';
import { thisRun, writeResults } from '../shared/results.ts';
import { benchmarks, type Contestant, contestants } from './benchmarks.ts';
import { chart } from './chart.ts';
import type { Figures } from './programs/meter.ts';
import { goBinary, here, main, prepare } from './prepare.ts';
import { misses, type Results, table } from './report.ts';

const rounds = Number(process.env['ROUNDS'] ?? 5);
const only = new RegExp(process.env['ONLY'] ?? '');
/** Rounds of a program with a million coroutines or a hundred thousand waiters: these take seconds. */
const CROWDED = 3;
/** Milliseconds for one program. */
const PATIENCE = 180_000;
const FLAGS = ['--expose-gc', '--max-old-space-size=8192'];
const environment = { ...process.env, NODE_ENV: 'production', GOMAXPROCS: '1' };

const { go } = prepare();
const present = contestants.filter(({ id }) => id !== 'go' || go !== null);
const programs = [...new Set(benchmarks.map(({ program }) => program))].filter((name) => only.test(name));

const samples: Record<string, Record<string, Figures[]>> = {};
/** Programs that a contestant does not have, or that failed. */
const absent = new Set<string>();
for (let round = 1; round <= rounds; round++) {
  for (const program of programs) {
    if (round > CROWDED && isCrowded(program)) continue;
    process.stderr.write(`\rround ${round} of ${rounds}: ${program.padEnd(20)}`);
    for (const { id } of present) {
      if (absent.has(`${program} ${id}`)) continue;
      const figures = measure(id, program);
      if (figures === null) absent.add(`${program} ${id}`);
      else ((samples[program] ??= {})[id] ??= []).push(figures);
    }
  }
}
process.stderr.write('\r'.padEnd(40) + '\r');

function isCrowded(program: string): boolean {
  return program === 'parked' || program === 'waiters';
}

function measure(contestant: string, program: string): Figures | null {
  const isMixed = contestant === 'skein-mixed';
  const [command, args] =
    contestant === 'go'
      ? [goBinary, [program]]
      : [process.execPath, [...FLAGS, main, isMixed ? 'skein' : contestant, program, isMixed ? 'mixed' : '']];
  const { stdout, stderr, status } = spawnSync(command, args, {
    encoding: 'utf8',
    env: environment,
    timeout: PATIENCE,
  });
  if (status === 0) return JSON.parse(stdout) as Figures | null;
  console.error(`\n${contestant} ${program} failed (${status}): ${stderr}`);
  return null;
}

function versionIn(contestant: Contestant): string {
  if (contestant.id === 'go') return go ?? 'absent';
  return contestant.package === undefined ? '' : versionOf(here, contestant.package);
}

const results: Results = {
  ...thisRun(go, rounds),
  versions: Object.fromEntries(contestants.map((one) => [one.id, versionIn(one)])),
  figures: Object.fromEntries(
    Object.entries(samples).map(([program, by]) => [
      program,
      Object.fromEntries(Object.entries(by).map(([id, all]) => [id, medians(all)])),
    ]),
  ),
};

const markdown = table(results);
console.log(markdown);
console.log(misses(results));
if (process.env['ONLY'] === undefined) {
  await writeResults(`${here}results`, {
    'micro.json': JSON.stringify(results),
    'micro.md': markdown,
    'micro.svg': chart(results),
  });
}
