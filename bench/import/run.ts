// What importing skein costs, beside a Node that does nothing: the package as packed, in an empty project, in
// processes of their own, in turn. Files are counted by strace, where there is one. NODES='a/node b/node' measures
// with these instead of the running Node; ROUNDS and ENTRY change what their names say.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../shared/median.ts';
import { outputOf, root, run } from '../shared/build.ts';

const { NODES = process.execPath, ROUNDS = '20', ENTRY = 'skein' } = process.env;
const NOTHING = '0';
const IMPORT = `import('${ENTRY}')`;
const AT_EXIT = 'process.once("exit", () => console.log(process.memoryUsage.rss()));';

/** As few descriptors as a process may have that is to import skein, and how often that is tried. */
const FEW = 48;
const TRIES = 50;

const project = mkdtempSync(join(tmpdir(), 'skein-import-'));
process.once('exit', () => rmSync(project, { recursive: true, force: true }));

function install(): void {
  run('npm', ['run', '--silent', 'build'], root);
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', project], root);
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  run('npm', ['install', '--silent', '--ignore-scripts', '--no-audit', `./skein-${version}.tgz`], project);
}

interface Cost {
  readonly milliseconds: number;
  readonly megabytes: number;
}

function costOf(node: string, code: string): Cost {
  const begun = performance.now();
  const rss = execFileSync(node, ['-e', AT_EXIT + code], { cwd: project, encoding: 'utf8' });
  return { milliseconds: performance.now() - begun, megabytes: Number(rss) / 2 ** 20 };
}

/** How many files a process opens; null without strace. */
function filesOf(node: string, code: string): number | null {
  const file = join(project, 'trace');
  const command = ['-f', '-qq', '-e', 'trace=open,openat', '-o', file, node, '-e', code];
  if (outputOf('strace', ['-V']) === null) return null;
  run('strace', command, project);
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => / = \d+$/.test(line)).length;
}

function withFewDescriptors(node: string): number {
  let succeeded = 0;
  for (let at = 0; at < TRIES; at++) {
    const command = `ulimit -n ${FEW}; exec "$0" -e "${IMPORT}"`;
    const { status } = spawnSync('bash', ['-c', command, node], { cwd: project });
    if (status === 0) succeeded++;
  }
  return succeeded;
}

install();
for (const node of NODES.split(' ')) {
  const costs: Record<'nothing' | 'skein', Cost[]> = { nothing: [], skein: [] };
  costOf(node, IMPORT);
  for (let round = 0; round < Number(ROUNDS); round++) {
    costs.nothing.push(costOf(node, NOTHING));
    costs.skein.push(costOf(node, IMPORT));
  }
  const more = (what: keyof Cost): string => {
    const [without = 0, with_ = 0] = [costs.nothing, costs.skein].map((list) =>
      median(list.map((cost) => cost[what])),
    );
    return `${(with_ - without).toFixed(1)} (${with_.toFixed(1)} beside ${without.toFixed(1)})`;
  };
  const [before, after] = [filesOf(node, NOTHING), filesOf(node, IMPORT)];
  console.log(`importing '${ENTRY}' on Node ${outputOf(node, ['--version'])}, above node -e 0:`);
  console.log(`  milliseconds  ${more('milliseconds')}`);
  console.log(`  megabytes     ${more('megabytes')}`);
  console.log(`  files opened  ${before === null || after === null ? 'no strace' : after - before}`);
  console.log(`  with ${FEW} descriptors: ${withFewDescriptors(node)} of ${TRIES}`);
}
