// Makes a benchmark ready to run: its peers, skein and its programs as compiled JavaScript, Go binaries.
// Compiled, because what runs TypeScript directly keeps names in a way that costs several times the code
// itself.

import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The native addon, where it was built or came with the package; skein looks for it at the same places. */
const ADDON = ['native/build/Release/skein.node', 'native/prebuilds'];

/** Installs the peers of a benchmark, if it has any, once, and compiles it with skein into its `dist`, anew. */
export function build(folder: string): void {
  if (existsSync(`${folder}package-lock.json`) && !existsSync(`${folder}node_modules`)) {
    run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], folder);
  }
  rmSync(`${folder}dist`, { recursive: true, force: true });
  // Where an installed package would stand, so that the programs import skein by its name.
  const skein = `${folder}dist/node_modules/skein`;
  mkdirSync(skein, { recursive: true });
  copyFileSync(`${root}package.json`, `${skein}/package.json`);
  run(process.execPath, [`${root}build.mjs`, `${skein}/dist`], root);
  for (const path of ADDON) {
    if (existsSync(`${root}${path}`)) cpSync(`${root}${path}`, `${skein}/${path}`, { recursive: true });
  }
  run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', folder], folder);
}

/** Builds the Go programs of a folder if there is a Go; gives its version. */
export function buildGo(folder: string, binary: string): string | null {
  const version = outputOf('go', ['env', 'GOVERSION']);
  if (version === null) return null;
  run('go', ['build', '-o', binary, '.'], folder);
  return version.replace('go', '');
}

export function run(command: string, args: readonly string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: 'inherit' });
}

/** What a command prints; null if it cannot be run. */
export function outputOf(command: string, args: readonly string[]): string | null {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

/** The installed version of a peer. */
export function versionOf(folder: string, name: string): string {
  const text = readFileSync(`${folder}node_modules/${name}/package.json`, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
