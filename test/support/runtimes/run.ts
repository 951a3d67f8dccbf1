// The package, as packed, on Bun and Deno: the programs of docs/guide.md print there what the guide says, and
// beyond.mjs what it prints on Node. npm carries both runtimes; their versions are those of bench/echo. It packs what
// `npm run build` has made.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../programs/compiled.ts';
import { Blocks } from '../programs/documents.ts';

interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
}

/** What skein needs there, as README.md says, and to read keys. */
const DENO_MAY = ['--allow-net', '--allow-env', '--allow-sys', '--allow-read'];

/** Milliseconds for one program. */
const LONGEST = 20_000;
const AT_ONCE = 2;

const { platform, arch } = process;
const isMusl = platform === 'linux' && !('glibcVersionRuntime' in reportHeader());

function reportHeader(): object {
  return (process.report.getReport() as { header: object }).header;
}

const bun = `@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : arch}${isMusl ? '-musl' : ''}`;
// There is none for musl.
const deno = isMusl ? null : `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`;

const project = mkdtempSync(join(tmpdir(), 'skein-runtimes-'));
process.once('exit', () => rmSync(project, { recursive: true, force: true }));

function npm(args: readonly string[], cwd: string): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function versionOf(scope: string): string {
  const { optionalDependencies } = JSON.parse(
    readFileSync(join(root, 'bench/echo/package.json'), 'utf8'),
  ) as {
    optionalDependencies: Record<string, string>;
  };
  return Object.entries(optionalDependencies).find(([name]) => name.startsWith(scope))![1];
}

/** Installs the package and the runtimes in an empty project. */
function install(): Runtime[] {
  if (!existsSync(join(root, 'dist'))) npm(['run', '--silent', 'build'], root);
  npm(['pack', '--ignore-scripts', '--silent', '--pack-destination', project], root);
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const packages = [`./skein-${version}.tgz`, `${bun}@${versionOf('@oven/bun-')}`];
  if (deno !== null) packages.push(`${deno}@${versionOf('@deno/')}`);
  npm(['install', '--ignore-scripts', '--no-audit', '--no-fund', ...packages], project);
  const bin = (name: string, file: string): string => join(project, 'node_modules', name, file);
  const runtimes = [{ name: 'Bun', command: [bin(bun, 'bin/bun')] }];
  if (deno !== null) {
    runtimes.push({
      name: 'Deno',
      command: [bin(deno, 'deno'), 'run', '--quiet', '--no-check', ...DENO_MAY],
    });
  }
  return runtimes;
}

interface Result {
  /** Null if it had to be ended. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runOn(command: readonly string[], file: string): Promise<Result> {
  const [program = '', ...args] = command;
  const child = spawn(program, [...args, file], { cwd: project, env: { ...process.env, NODE_OPTIONS: '' } });
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += String(data)));
  child.stderr.on('data', (data) => (stderr += String(data)));
  return new Promise((resolve) => {
    child.once('close', (status) => {
      clearTimeout(timer);
      resolve({ status, stdout, stderr });
    });
  });
}

const blocks = new Blocks();
blocks.read({ same: assert.deepEqual as never }, 'guide.md');
const runtimes = install();
for (const [name, code] of blocks.sources) writeFileSync(join(project, `${name}.ts`), code);
for (const command of blocks.commands) execFileSync('sh', ['-c', command], { cwd: project, stdio: 'ignore' });
copyFileSync(join(root, 'test/support/runtimes/beyond.mjs'), join(project, 'beyond.mjs'));

const onNode = await runOn([process.execPath], 'beyond.mjs');
assert.doesNotMatch(onNode.stdout, /failed/);
const beyond = { ...onNode, stdout: onNode.stdout.replace('reactor epoll', 'reactor node') };
let failed = 0;
const jobs = runtimes.flatMap((runtime) => [
  ...blocks.names.map((name) => ({
    runtime,
    file: `${name}.ts`,
    want: { status: 0, stdout: blocks.whatPrints(name) },
  })),
  { runtime, file: 'beyond.mjs', want: beyond },
]);
const next = jobs.values();
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (const { runtime, file, want } of next) {
      const got = await runOn(runtime.command, file);
      const isRight = got.status === want.status && (want.stdout ?? got.stdout) === got.stdout;
      if (isRight) continue;
      failed++;
      console.log(`${runtime.name} ${file}: ended with ${got.status}, expected ${want.status}`);
      console.log(`--- expected\n${want.stdout}--- got\n${got.stdout}--- its errors\n${got.stderr}`);
    }
  }),
);
for (const { name } of runtimes)
  console.log(`${name}: ${blocks.names.length} programs of the guide, and beyond.mjs`);
console.log(failed === 0 ? 'all as on Node' : `${failed} were not as on Node`);
process.exitCode = failed === 0 ? 0 : 1;
