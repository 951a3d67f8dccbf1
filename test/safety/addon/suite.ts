// Runs test files by themselves, without the runner and its coverage, a few at a time.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export interface Result {
  readonly file: string;
  /** Assertions that have passed; none if the file did not come so far as to count them. */
  readonly passed: number;
  readonly status: number | null;
  readonly seconds: number;
  readonly output: string;
}

export interface Suite {
  readonly files: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Files at once. */
  readonly jobs: number;
  /** Seconds after which a file is stopped. */
  readonly seconds: number;
  /** What comes before Node's own arguments: a program that runs it, or its flags. */
  readonly command?: readonly string[];
}

/** Runs them all, and prints a line for each as it ends. */
export async function runSuite(suite: Suite): Promise<Result[]> {
  const waiting = [...suite.files];
  const results: Result[] = [];
  const work = async (): Promise<void> => {
    for (let file; (file = waiting.shift()) !== undefined;) {
      const result = await runFile(file, suite);
      const word = hasPassed(result) ? 'ok    ' : 'not ok';
      console.log(`${word} ${file}: ${result.passed} passed, ${result.seconds.toFixed(1)} s`);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: suite.jobs }, work));
  return results;
}

export function hasPassed({ status, passed }: Result): boolean {
  return status === 0 && passed > 0;
}

function runFile(file: string, { env, seconds, command = [process.execPath] }: Suite): Promise<Result> {
  const [program, ...args] = [...command, '--import', 'tsx', '--conditions=skein-source', file];
  const began = performance.now();
  const child = spawn(program!, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)));
  const timer = setTimeout(() => {
    output += `\nstopped after ${seconds} s\n`;
    child.kill('SIGKILL');
  }, seconds * 1_000);
  return new Promise((resolve) => {
    child.once('close', (status) => {
      clearTimeout(timer);
      const passed = Number(/^# \{ total: .*pass: (?<pass>\d+)/m.exec(output)?.groups?.['pass'] ?? 0);
      resolve({ file, passed, status, seconds: (performance.now() - began) / 1_000, output });
    });
  });
}
