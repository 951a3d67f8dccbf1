// Two threads with a reactor each on one port are started and terminated under load, CYCLES (1,000) times, from
// SEED: `npm run test:workers`, which has built dist/ before. ASAN=1 does it with the addon that sanitizers watch.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cycleWorkers } from '../../support/network/worker-cycles.ts';
import { buildSanitized, checkLoaded, sanitizerRuntime, SKIPPED } from './sanitized.ts';

if (process.env['ASAN'] === '1') runSanitized();
else await runCycles();

async function runCycles(): Promise<void> {
  const cycles = Number(process.env['CYCLES'] ?? 1_000);
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  console.log(`SEED=${seed} CYCLES=${cycles}`);
  const began = performance.now();
  const onCycle = (cycle: number): void => {
    if (cycle % 100 !== 0) return;
    const megabytes = Math.round(process.memoryUsage.rss() / 2 ** 20);
    console.log(`${cycle} cycles, ${seconds(began)} s, ${megabytes} MiB resident`);
  };
  const { messages, threads, broken, descriptors } = await cycleWorkers({
    cycles,
    seed,
    isSource: false,
    onCycle,
  });
  console.log(`${messages} messages, ${threads} threads served, ${broken} connections broken by their end`);
  console.log(`descriptors: ${descriptors.before} before, ${descriptors.after} after`);
  if (descriptors.before === descriptors.after) console.log(`${cycles} cycles passed in ${seconds(began)} s`);
  else {
    console.log('descriptors are left open');
    process.exitCode = 1;
  }
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 1_000);
}

/** The same in a process of its own, since the sanitizer must be loaded before Node. */
function runSanitized(): void {
  const runtime = sanitizerRuntime();
  if (runtime === undefined) {
    console.log(SKIPPED);
    return;
  }
  const work = mkdtempSync(join(tmpdir(), 'skein-asan-'));
  try {
    const env = buildSanitized(runtime, join(work, 'report'));
    checkLoaded(env);
    const { status } = spawnSync(process.execPath, [...process.execArgv, import.meta.filename], {
      env: { ...process.env, ...env, ASAN: '' },
      stdio: 'inherit',
    });
    const reports = readdirSync(work).map((name) => readFileSync(join(work, name), 'utf8'));
    for (const report of reports) console.log(`\n${report}`);
    console.log(`${reports.length} reports of sanitizers`);
    process.exitCode = status === 0 && reports.length === 0 ? 0 : 1;
  } finally {
    rmSync(work, { recursive: true });
  }
}
