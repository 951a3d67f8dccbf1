// Makes everything ready to run: the peers, skein and the servers as compiled JavaScript, and the programs in
// C and Go.

import { availableParallelism } from 'node:os';
import { arch, platform } from 'node:process';
import { fileURLToPath } from 'node:url';
import { build, buildGo, outputOf, run } from '../shared/build.ts';

export const here = fileURLToPath(new URL('.', import.meta.url));
const dist = `${here}dist/`;
export const loadBinary = `${dist}load`;
export const cServer = `${dist}c-server`;
export const goBinary = `${dist}go-server`;

const CFLAGS = ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];

/** Where a server is, once it is compiled. */
export function serverFile(name: string): string {
  return `${dist}echo/servers/${name}.js`;
}

/** The npm package that carries a runtime for this processor, and its program. */
export function peerBinary(runtime: 'bun' | 'deno'): { name: string; path: string } {
  const processor = arch === 'arm64' && runtime === 'bun' ? 'aarch64' : arch;
  const name = runtime === 'bun' ? `@oven/bun-linux-${processor}` : `@deno/linux-${processor}-glibc`;
  return { name, path: `${here}node_modules/${name}/${runtime === 'bun' ? 'bin/bun' : 'deno'}` };
}

/** Compiles and installs; says which Go there is, if any. */
export function prepare(): { go: string | null } {
  checkMachine();
  build(here);
  buildC(loadBinary, 'load.c', 'traffic.c');
  buildC(cServer, 'server.c');
  return { go: buildGo(`${here}go`, goBinary) };
}

function checkMachine(): void {
  const missing = ['cc', 'taskset'].filter((command) => outputOf(command, ['--version']) === null);
  if (platform === 'linux' && availableParallelism() >= 2 && missing.length === 0) return;
  const found = `${platform}, ${availableParallelism()} processors`;
  const without = missing.length === 0 ? '' : `, without ${missing.join(' and ')}`;
  throw new Error(`bench/echo needs Linux, two processors, cc and taskset; this is ${found}${without}`);
}

function buildC(binary: string, ...sources: string[]): void {
  run('cc', [...CFLAGS, '-o', binary, ...sources], `${here}c`);
}
