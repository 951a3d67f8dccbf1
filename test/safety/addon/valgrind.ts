// The tests of the addon once under valgrind's memcheck: `npm run test:valgrind`, some two minutes. Node runs
// without its compilers, whose code valgrind cannot follow; of what it reports only that counts in which the
// addon takes part, errors and memory that is lost for good.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAddon } from '../../../lib/reactor/epoll/addon.ts';
import { hasPassed, runSuite } from './suite.ts';

const files = [
  'test/contract/epoll.test.ts',
  'test/lib/reactor/addon.test.ts',
  'test/lib/reactor/addon-memory.test.ts',
];

if (!hasAddon() || spawnSync('valgrind', ['--version']).status !== 0) {
  console.log('skipped: there is no valgrind, or no addon');
} else {
  const work = mkdtempSync(join(tmpdir(), 'skein-valgrind-'));
  try {
    const command = [
      'valgrind',
      '--error-limit=no',
      '--num-callers=30',
      '--leak-check=full',
      '--show-leak-kinds=definite',
      `--log-file=${join(work, '%p')}`,
      process.execPath,
      '--jitless',
    ];
    const env = { SKEIN_REACTOR: 'epoll', TAP_TIMEOUT: '240' };
    const results = await runSuite({ files, env, jobs: 2, seconds: 240, command });
    const failed = results.filter((result) => !hasPassed(result));
    for (const { file, output, status } of failed) console.log(`\n${file} ended with ${status}\n${output}`);
    const logs = readdirSync(work).map((name) => readFileSync(join(work, name), 'utf8'));
    const reports = logs.flatMap((log) => blocks(log)).filter((block) => /skein\.node|skein\.c:/.test(block));
    for (const report of reports) console.log(`\n${report}`);
    const passed = results.reduce((sum, result) => sum + result.passed, 0);
    console.log(
      `\n${passed} passed, ${failed.length} files failed, ${reports.length} reports about the addon`,
    );
    const hasSummaries = logs.filter((log) => log.includes('ERROR SUMMARY')).length >= files.length;
    if (!hasSummaries) console.log('valgrind did not come to its end');
    process.exitCode = failed.length + reports.length > 0 || !hasSummaries ? 1 : 0;
  } finally {
    rmSync(work, { recursive: true });
  }
}

function hasAddon(): boolean {
  try {
    loadAddon();
    return true;
  } catch {
    return false;
  }
}

/** What valgrind says, report by report. */
function blocks(log: string): string[] {
  return log
    .split('\n')
    .map((line) => line.replace(/^==\d+== ?/, ''))
    .join('\n')
    .split(/\n\s*\n/);
}
