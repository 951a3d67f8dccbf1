// Servers and the load generator as processes, each on a processor of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadBinary } from './prepare.ts';
import type { Scenario } from './scenarios.ts';

const SERVER_CORE = 0;
const LOAD_CORE = 1;
/** Milliseconds for a server to say that it listens. */
const START = 20_000;
/** Milliseconds for a server to end after SIGTERM. */
const GRACE = 2000;
/** Milliseconds for the load generator, which watches the time itself, and better. */
const PATIENCE = 240_000;
/** Seconds that a server with idle connections is left alone before its memory is read. */
const SETTLE = 0.5;
/** Characters of what a process printed that are worth repeating. */
const EXCERPT = 600;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** A process on one processor, and what it prints. */
class Pinned {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #closed: Promise<unknown>;

  constructor(core: number, command: readonly string[], environment: NodeJS.ProcessEnv) {
    this.child = spawn('taskset', ['-c', String(core), ...command], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.child);
    this.child.stdout!.on('data', (data) => (this.stdout += String(data)));
    this.child.stderr!.on('data', (data) => (this.stderr += String(data)));
    this.child.once('error', (error) => (this.stderr += error.message));
    this.#closed = new Promise((resolve) => this.child.once('close', resolve));
    void this.#closed.then(() => running.delete(this.child));
  }

  /** Waits for its end, for so many milliseconds; then ends it the hard way. */
  async end(patience: number): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), patience);
    await this.#closed;
    clearTimeout(timer);
  }
}

export interface Server {
  pid: number;
  port: number;
  /** The reactor that skein chose, of a server on skein. */
  reactor: string | undefined;
  /** What it has complained about. */
  complaints(): string;
  stop(): Promise<void>;
}

/** Starts a server and waits until it listens. */
export async function startServer(command: readonly string[], reactor: string | undefined): Promise<Server> {
  const environment = { ...process.env, NODE_ENV: 'production', GOMAXPROCS: '1', SKEIN_REACTOR: reactor };
  const pinned = new Pinned(SERVER_CORE, command, environment);
  const ended = once(pinned.child, 'close');
  const timer = setTimeout(() => pinned.child.kill('SIGKILL'), START);
  const isListening = (): RegExpExecArray | null => /^listening on (\d+)$/m.exec(pinned.stdout);
  while (isListening() === null && pinned.child.exitCode === null && pinned.child.signalCode === null) {
    await Promise.race([once(pinned.child.stdout!, 'data'), ended]);
  }
  clearTimeout(timer);
  const port = isListening()?.[1];
  if (port === undefined) throw new Error(`does not start: ${excerpt(pinned.stderr) || 'no word of why'}`);
  return {
    pid: pinned.child.pid!,
    port: Number(port),
    reactor: /^reactor (.+)$/m.exec(pinned.stdout)?.[1],
    complaints: () => excerpt(pinned.stderr),
    async stop() {
      pinned.child.kill('SIGTERM');
      await pinned.end(GRACE);
    },
  };
}

/** What the load generator prints: of messages, or of idle connections. */
export interface Measured {
  messages: number;
  /** Of wall time. */
  seconds: number;
  /** Seconds of processor time: the server's, and the generator's own. */
  cpu: number;
  loadCpu: number;
  /** The part of the server's that was spent in user mode. */
  userShare: number;
  /** Microseconds. */
  p50: number;
  p99: number;
  p999: number;
}

export interface Held {
  connections: number;
  answered: number;
  /** Seconds that opening them took. */
  opening: number;
  /** Bytes of memory: before, after, and after garbage was collected. */
  before: number;
  after: number;
  collected: number;
}

/** Loads a server; `seconds` are of its processor time. */
export async function loadServer(
  { pid, port }: Server,
  { connections, size, depth, work, isIdle }: Scenario,
  warmUp: number,
  seconds: number,
): Promise<Measured | Held> {
  const form = isIdle
    ? [`--idle=${SETTLE}`, '--collect']
    : [`--warm-up=${warmUp}`, `--seconds=${seconds}`, `--depth=${depth}`];
  const target = [`--port=${port}`, `--pid=${pid}`, `--connections=${connections}`, `--size=${size}`];
  // Replies that come one by one would be followed by messages that come one by one.
  if (work === 'replies') form.push('--burst');
  const generator = new Pinned(LOAD_CORE, [loadBinary, ...target, ...form], process.env);
  await generator.end(PATIENCE);
  if (generator.child.exitCode === 0) return JSON.parse(generator.stdout) as Measured | Held;
  throw new Error(excerpt(generator.stderr) || `the load generator ended with ${generator.child.signalCode}`);
}

function excerpt(printed: string): string {
  return printed.trim().slice(0, EXCERPT);
}
