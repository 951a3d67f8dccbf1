// `npm run test:kill`: samples/kv is killed at random moments under load, 200 times, and each time has to come back with
// all that it has acknowledged: with APPENDFSYNC=always all of it, with everysec all but the last 2 s.
//
//   CYCLES=200   how often
//   SEED=n       repeats the moments, as far as that goes

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crash } from '../../support/kv/crash.ts';

const cycles = Number(process.env['CYCLES'] ?? 200);
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
console.log(`SEED=${seed}`);

for (const [fsync, mayLose, times] of [
  ['always', 0, cycles],
  ['everysec', 2000, Math.ceil(cycles / 10)],
] as const) {
  const folder = mkdtempSync(join(tmpdir(), 'skein-kv-'));
  const onCycle = (cycle: number, acknowledged: number): void => {
    if (cycle % 10 === 0) console.log(`${fsync}: ${cycle} of ${times}, ${acknowledged} writes acknowledged`);
  };
  const { lost, acknowledged } = await crash({ folder, fsync, cycles: times, seed, mayLose, onCycle });
  rmSync(folder, { recursive: true, force: true });
  console.log(`${fsync}: killed ${times} times, ${acknowledged} writes acknowledged, ${lost.length} lost`);
  for (const one of lost) console.log(one);
  if (lost.length > 0) process.exitCode = 1;
}
