// Programs of a few lines, each in a process of its own, with everything of skein at hand.

import { type Program, runProgram } from './program.ts';

/** A program of lines, with everything of skein at hand; it has one file for a name: [eval1]. */
export function start(lines: string, env: NodeJS.ProcessEnv = {}): Program & { errors(): string } {
  const code = `import * as skein from 'skein'; const { ${NAMES} } = skein;\n${lines}`;
  const program = runProgram(['--input-type=module', '--eval', code], env);
  let errors = '';
  program.child.stderr!.on('data', (data) => (errors += String(data)));
  return { ...program, errors: () => errors };
}

const NAMES = 'Channel, formatDump, listen, never, run, scope, serve, shield, sleep, spawn, suspend, timeout';

export interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end; what it prints to stderr is taken only after `delay` milliseconds. */
export async function outcome(lines: string, delay = 0): Promise<Outcome> {
  const { child, errors, exited } = start(lines);
  const ends = [child.stdout!, child.stderr!].map((stream) => new Promise((end) => stream.once('end', end)));
  let out = '';
  child.stdout!.on('data', (data) => (out += String(data)));
  if (delay > 0) {
    child.stderr!.pause();
    setTimeout(() => child.stderr!.resume(), delay);
  }
  const status = await exited;
  await Promise.all(ends);
  return { status, out, err: errors() };
}
