// Programs in processes of their own, run from the source as the samples are.

import { type ChildProcess, spawn } from 'node:child_process';

/** What makes Node run TypeScript that imports 'skein' from its source. */
const SOURCE = ['--import', 'tsx', '--conditions=skein-source'];

export interface Program {
  readonly child: ChildProcess;
  /** All that it has printed, to stdout and stderr. */
  output(): string;
  /** The lines that are complete. */
  lines(): string[];
  /** Sends a signal and gives the exit status; null if the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  readonly exited: Promise<number | null>;
}

/**
 * Runs `node ...args`; `limits` is a shell command that comes before it, such as `ulimit -n 64`, and `loader` what lets
 * Node run the source.
 */
export function runProgram(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  limits = 'true',
  loader: readonly string[] = SOURCE,
): Program {
  // The test runner puts its coverage into every child's NODE_OPTIONS: it would count the output of
  // another compiler against the same sources.
  const command = [
    '-c',
    `unset NODE_OPTIONS; ${limits} && exec "$@"`,
    'bash',
    process.execPath,
    ...loader,
    ...args,
  ];
  // On a busy machine a program may be told that it held the thread, among the lines that a test counts.
  const child = spawn('bash', command, { env: { ...process.env, NODE_ENV: 'production', ...env } });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (printed += String(data)));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return {
    child,
    output: () => printed,
    lines: () => printed.split('\n').slice(0, -1),
    end(signal) {
      child.kill(signal);
      return exited;
    },
    exited,
  };
}
