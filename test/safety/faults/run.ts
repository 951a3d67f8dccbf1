// Fails each system call of the addon with each error that it may have, at the Nth call, while clients run:
// `npm run test:faults`. Nothing may crash, hang or leak a descriptor, and each error comes out at the coroutine
// that it belongs to. N (30) says up to which call, ONLY='accept4 sendto:EPIPE' which of them, JOBS (2) how many
// programs at once. The programs are Node processes under strace; each serves one call and one error.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Case, cases } from './cases.ts';
import { hasStrace } from './strace.ts';
import { Traced } from './traced.ts';

const most = Number(process.env['N'] ?? 30);
const only = (process.env['ONLY'] ?? '').split(/[ ,]+/).filter(Boolean);
const jobs = Number(process.env['JOBS'] ?? 2);
const work = mkdtempSync(join(tmpdir(), 'skein-faults-'));

let combinations = 0;
let injections = 0;
let failures = 0;

if (process.platform === 'linux' && hasStrace()) await sweep();
else console.log('skipped: there is no strace, or this is not Linux');

async function sweep(): Promise<void> {
  const began = performance.now();
  const waiting = cases.filter(
    ({ syscall, error }) =>
      only.length === 0 || only.includes(syscall) || only.includes(`${syscall}:${error}`),
  );
  const take = async (): Promise<void> => {
    for (let next; (next = waiting.shift()) !== undefined;) await tryCase(next);
  };
  try {
    await Promise.all(Array.from({ length: jobs }, take));
  } finally {
    rmSync(work, { recursive: true });
  }
  const seconds = Math.round((performance.now() - began) / 1_000);
  console.log(
    `${combinations} combinations, ${injections} of them came to the call, ${failures} failed, in ${seconds} s`,
  );
  process.exitCode = failures === 0 && combinations > 0 ? 0 : 1;
}

/** One call with one error, at the first, the second and so on. */
async function tryCase(tried: Case): Promise<void> {
  const name = `${tried.program}: ${tried.syscall} ${tried.error}`;
  let injected = 0;
  let failed = 0;
  const fail = (when: number, what: string): void => {
    failed++;
    console.log(`not ok ${name} at ${when}: ${what}`);
  };
  let traced: Traced | undefined;
  for (let when = 1; when <= most; when++) {
    combinations++;
    try {
      traced ??= await Traced.start(tried, work);
      const { line, wrong } = await traced.round(when);
      if (line !== undefined) injected++;
      if (wrong.length > 0) fail(when, `${wrong.join('; ')}\n  ${line ?? 'no such call'}`);
    } catch (error) {
      // The next round begins with a new process.
      fail(when, `${(error as Error).message}\n${traced?.program.output() ?? ''}`);
      traced?.kill();
      traced = undefined;
    }
  }
  const status = await traced?.end();
  if (status !== undefined && status !== 0)
    fail(most, `the program ended with ${status}\n${traced!.program.output()}`);
  if (injected === 0) fail(most, 'no such call was made: the sweep does not fit the addon any more');
  injections += injected;
  failures += failed;
  console.log(`${failed === 0 ? 'ok    ' : 'not ok'} ${name}: ${injected} of ${most} came to the call`);
}
