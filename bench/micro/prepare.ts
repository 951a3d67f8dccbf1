// Makes everything ready to run: the peers, skein and the programs as compiled JavaScript, and the Go
// binary. Compiled, because what runs TypeScript directly keeps names in a way that costs several times
// the code itself.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const here = fileURLToPath(new URL('.', import.meta.url));
export const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = `${here}dist`;
export const goBinary = `${dist}/go-bench`;

/** Compiles and installs; says which Go there is, if any. */
export function prepare(): { go: string | null } {
  if (!existsSync(`${here}node_modules`)) sh('npm', ['ci', '--no-audit', '--no-fund'], here);
  rmSync(dist, { recursive: true, force: true });
  // Where an installed package would stand, so that the programs import skein by its name.
  const skein = `${dist}/node_modules/skein`;
  mkdirSync(skein, { recursive: true });
  copyFileSync(`${root}package.json`, `${skein}/package.json`);
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  sh(process.execPath, [tsc, '-p', `${root}tsconfig.build.json`, '--outDir', `${skein}/dist`], root);
  sh(process.execPath, [tsc, '-p', here], here);
  return { go: buildGo() };
}

function buildGo(): string | null {
  let version: string;
  try {
    version = execFileSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' }).trim();
  } catch {
    console.log('There is no Go here: its column stays empty.');
    return null;
  }
  sh('go', ['build', '-o', goBinary, '.'], `${here}go`);
  return version.replace('go', '');
}

function sh(command: string, args: string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: 'inherit' });
}

/** The installed version of a peer. */
export function versionOf(name: string): string {
  const text = readFileSync(`${here}node_modules/${name}/package.json`, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
