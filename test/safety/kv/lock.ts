// Two or three servers of samples/kv are started in the same moment on one folder, again and again, with the lock of one
// that was killed, or of none, lying there. Each time one of them must have the file, and the others must end.
//
//   node --import tsx --conditions=skein-source test/safety/kv/lock.ts
//   TRIES=200   how often

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKv } from '../../support/kv/peers.ts';

const tries = Number(process.env['TRIES'] ?? 200);
const folder = mkdtempSync(join(tmpdir(), 'skein-kv-'));
const STALE = [undefined, '', `${process.pid} 77`, 'process 1 of nowhere'];

let failures = 0;
for (let at = 1; at <= tries; at++) {
  const stale = STALE[at % STALE.length];
  if (stale !== undefined) writeFileSync(join(folder, 'appendonly.aof.lock'), stale);
  const env = { DIR: folder, APPENDONLY: 'yes' };
  const servers = await Promise.all(Array.from({ length: 2 + (at % 2) }, () => startKv(env)));
  const owners = servers.filter(({ port }) => port !== 0);
  const refused = servers.filter(({ output }) => /^kv: \S+ is in use by /.test(output()));
  if (owners.length !== 1 || refused.length !== servers.length - 1) {
    failures++;
    console.log(
      `try ${at}:`,
      servers.map(({ output }) => output()),
    );
  }
  await Promise.all(owners.map((one) => one.end('SIGKILL')));
  await Promise.all(servers.map(({ exited }) => exited));
  if (at % 20 === 0) console.log(`${at} of ${tries}, ${failures} went wrong`);
}
rmSync(folder, { recursive: true });
if (failures > 0) process.exitCode = 1;
