// An addon built with sanitizers, in a folder of its own beside the usual one, and the environment in which
// programs load it. node-gyp-build looks in SKEIN_PREBUILD because native/package.json bears the name; that
// file is in the repository only, so nothing that is installed knows of this.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const native = join(root, 'native');
const folder = join(native, 'sanitized');

/** Exit status of a program that a sanitizer has stopped. */
export const STOPPED = 99;

export const SKIPPED = 'skipped: the addon was not built, or this compiler brings no AddressSanitizer';

/** Where the runtime is that must be loaded before Node; undefined if there is none, or no addon could be built. */
export function sanitizerRuntime(): string | undefined {
  if (process.platform !== 'linux' || !existsSync(join(native, 'build/Release/skein.node'))) return undefined;
  const asked = spawnSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const path = asked.stdout?.trim() ?? '';
  // A compiler that has none repeats the name.
  return isAbsolute(path) && existsSync(path) ? path : undefined;
}

/**
 * Builds it; gives the environment for programs. Sanitizers write their reports to files that begin with `log`.
 *
 * @throws Error if it cannot be built
 */
export function buildSanitized(runtime: string, log: string): NodeJS.ProcessEnv {
  mkdirSync(folder, { recursive: true });
  for (const file of ['skein.c', 'binding.gyp']) copyFileSync(join(native, file), join(folder, file));
  const built = spawnSync('node-gyp', ['rebuild', '--sanitize=address,undefined'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(`${built.error?.message ?? ''}\n${built.stdout}\n${built.stderr}`);
  // What Node itself leaks as it exits is not our concern.
  const options = `halt_on_error=1:exitcode=${STOPPED}:log_path=${log}`;
  return {
    SKEIN_PREBUILD: folder,
    SKEIN_REACTOR: 'epoll',
    LD_PRELOAD: runtime,
    ASAN_OPTIONS: `detect_leaks=0:detect_stack_use_after_return=1:strict_string_checks=1:${options}`,
    UBSAN_OPTIONS: `print_stacktrace=1:${options}`,
  };
}

/** Fails unless a program with this environment has the sanitized addon in its memory. */
export function checkLoaded(env: NodeJS.ProcessEnv): void {
  const program = `import { reactorName } from 'skein';
    const has = (part) => process.report.getReport().sharedObjects.some((path) => path.includes(part));
    process.exitCode = reactorName() === 'epoll' && has('native/sanitized/') && has('asan') ? 0 : 1;`;
  const args = ['--import', 'tsx', '--conditions=skein-source', '--input-type=module', '-e', program];
  const { status, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the sanitized addon is not what is loaded\n${stderr}`);
}
