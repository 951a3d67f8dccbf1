// The addon under AddressSanitizer and UndefinedBehaviorSanitizer: `npm run test:asan`. The tests that reach it
// run against a build of its own; a report of a sanitizer, in whichever process it was made, is a failure.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSanitized, checkLoaded, sanitizerRuntime, SKIPPED } from './sanitized.ts';
import { hasPassed, runSuite } from './suite.ts';

/** The slow ones come first, so that the others fill the time. */
const files = [
  'test/regress/address/failed-system-calls.test.ts',
  'test/lib/serve/load.long.ts',
  'test/lib/connection/starved.long.ts',
  'test/lib/serve/workers.long.ts',
  'test/contract/epoll.test.ts',
  'test/lib/reactor/addon.test.ts',
  'test/lib/reactor/addon-memory.test.ts',
  'test/lib/event-loop.test.ts',
  'test/lib/connection/input.test.ts',
  'test/lib/serve/servers.test.ts',
  'test/lib/connection/output.test.ts',
  'test/regress/connection/woken-and-cancelled.test.ts',
];

const runtime = sanitizerRuntime();
if (runtime === undefined) {
  console.log(SKIPPED);
} else {
  const work = mkdtempSync(join(tmpdir(), 'skein-asan-'));
  try {
    const env = buildSanitized(runtime, join(work, 'report'));
    checkLoaded(env);
    const results = await runSuite({ files, env, jobs: 2, seconds: 60 });
    const failed = results.filter((result) => !hasPassed(result));
    for (const { file, output, status } of failed) console.log(`\n${file} ended with ${status}\n${output}`);
    const reports = readdirSync(work).map((name) => readFileSync(join(work, name), 'utf8'));
    for (const report of reports) console.log(`\n${report}`);
    const passed = results.reduce((sum, result) => sum + result.passed, 0);
    console.log(`\n${passed} passed, ${failed.length} files failed, ${reports.length} reports of sanitizers`);
    process.exitCode = failed.length + reports.length > 0 ? 1 : 0;
  } finally {
    rmSync(work, { recursive: true });
  }
}
