// Samples that serve, run as a user runs them: on a port that the system chooses, which they print.

import { type ExecFileException, execFile, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { until } from '../connection/peers.ts';
import { type Program, runProgram } from './program.ts';

const samples = join(dirname(fileURLToPath(import.meta.url)), '../../../samples');

export interface SampleServer extends Program {
  readonly port: number;
}

/** Runs a sample until it says where it listens; it does not outlive the test. */
export async function startSample(
  t: Pick<Test, 'teardown'>,
  sample: string,
  env: NodeJS.ProcessEnv = {},
): Promise<SampleServer> {
  const program = runProgram([join(samples, sample)], { HOST: '127.0.0.1', PORT: '0', ...env });
  t.teardown(() => void program.child.kill('SIGKILL'));
  // An error of one that does not listen goes on with a colon.
  const address = /listening on \S+:(\d+)(?![\d:])/;
  // A busy machine takes seconds for the compiler alone.
  await until(
    () => address.test(program.output()) || program.child.exitCode !== null,
    `${sample} to listen`,
    30_000,
  );
  const port = Number(address.exec(program.output())?.[1]);
  if (Number.isNaN(port)) throw new Error(`${sample} did not listen: ${program.output()}`);
  return { ...program, port };
}

/** Why a test is skipped, if a program that it needs is missing; else false. */
export function without(...tools: string[]): string | false {
  const missing = tools.filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
  return missing.length > 0 && `there is no ${missing.join(', no ')} here`;
}

export interface Ended {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a program to its end, of at most a minute. */
export function runTool(tool: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const onEnd = (error: ExecFileException | null, stdout: Buffer, stderr: Buffer): void => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ status: Number(error?.code ?? 0), stdout, stderr: String(stderr) });
    };
    execFile(
      tool,
      args,
      { encoding: 'buffer', maxBuffer: 2 ** 28, timeout: 60_000, env: { ...process.env, ...env } },
      onEnd,
    );
  });
}

/** curl, without proxies of this environment. */
export const curl = (...args: string[]): Promise<Ended> => runTool('curl', ['-sS', '--noproxy', '', ...args]);
