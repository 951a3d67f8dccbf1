// Two threads, each with its own reactor on one port (SO_REUSEPORT), are started and terminated in the middle of
// their work, again and again, while coroutines of this thread talk to them.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Co, type Connection, dial, run, scope, sleep, wait } from 'skein';
import { Random } from '../../../scheduler/kernel/random.ts';
import { openDescriptors } from './descriptors.ts';
import { until } from '../connection/peers.ts';

const CLIENTS = 8;
/** Messages of a cycle after which the threads are terminated, soon. */
const MESSAGES = 100;
/** One cycle of so many terminates the threads before they listen. */
const EARLY = 8;

export interface Cycles {
  readonly cycles: number;
  readonly seed: number;
  /** Run skein in the threads from its source, not from dist/. */
  readonly isSource: boolean;
  readonly onCycle?: (cycle: number) => void;
}

export interface Outcome {
  /** Messages that came back. */
  messages: number;
  /** Threads that have served somebody. */
  threads: number;
  /** Connections that broke when their thread was terminated. */
  broken: number;
  descriptors: { before: number; after: number };
}

/** @throws Error if a message came back changed, a thread failed, or descriptors stayed open */
export async function cycleWorkers({ cycles, seed, isSource, onCycle }: Cycles): Promise<Outcome> {
  const random = new Random(seed);
  const outcome = { messages: 0, threads: 0, broken: 0, descriptors: { before: 0, after: 0 } };
  // What Node opens once for the first thread stays open.
  await cycle(false);
  const before = openDescriptors();
  for (let done = 1; done <= cycles; done++) {
    await cycle(done % EARLY === 0);
    onCycle?.(done);
  }
  await until(() => openDescriptors() <= before, `${before} descriptors`).catch(() => {});
  outcome.descriptors = { before, after: openDescriptors() };
  return outcome;

  async function cycle(isEarly: boolean): Promise<void> {
    const first = start(0, isSource);
    if (isEarly) {
      const second = start(0, isSource);
      await new Promise((resolve) => setTimeout(resolve, random.below(150)));
      await Promise.all([first.end(), second.end()]);
      return;
    }
    const port = await first.listening;
    const second = start(port, isSource);
    await second.listening;
    await run(() => talkUntilTheyEnd(port, [first, second]));
  }

  function* talkUntilTheyEnd(port: number, threads: readonly Thread[]): Co<void> {
    const enough = outcome.messages + MESSAGES;
    const served = new Set<string>();
    const load = { isOver: false };
    yield* scope(function* (clients) {
      for (let client = 0; client < CLIENTS; client++) {
        clients.spawn(function* () {
          while (!load.isOver) {
            try {
              yield* talk(port, client, served);
            } catch (error) {
              if (!isOfAnEnd(error)) throw error;
              outcome.broken++;
              yield* sleep(1);
            }
          }
        });
      }
      while (outcome.messages < enough) yield* sleep(1);
      yield* sleep(random.below(4));
      yield* wait(Promise.all(threads.map(({ end }) => end())));
      load.isOver = true;
    });
    outcome.threads += served.size;
  }

  /** Sends messages of many sizes until the connection breaks. */
  function* talk(port: number, client: number, served: Set<string>): Co<never> {
    const conn = yield* dial(port, { timeout: 10_000 });
    try {
      served.add(yield* greeting(conn));
      for (;;) {
        const message = Buffer.alloc(1 + random.below(random.below(8) === 0 ? 60_000 : 200), 65 + client);
        yield* conn.write(message);
        const answer = yield* exactly(conn, message.byteLength);
        if (!answer.equals(message)) throw new Error(`client ${client} got what it had not sent`);
        outcome.messages++;
      }
    } finally {
      conn.reset();
    }
  }
}

/** What each connection begins with. */
function* greeting(conn: Connection): Co<string> {
  let line = '';
  while (!line.endsWith('\n')) line += String(yield* exactly(conn, 1));
  return line;
}

function* exactly(conn: Connection, size: number): Co<Buffer> {
  const chunk = Buffer.alloc(size);
  for (let filled = 0; filled < size;) {
    const count = yield* conn.readInto(chunk.subarray(filled));
    if (count === 0) throw Object.assign(new Error('the thread has ended'), { code: 'EOF' });
    filled += count;
  }
  return chunk;
}

interface Thread {
  readonly listening: Promise<number>;
  readonly end: () => Promise<unknown>;
}

function start(port: number, isSource: boolean): Thread {
  const worker = new Worker(new URL('serving-worker.mjs', import.meta.url), {
    workerData: { port, isSource },
    execArgv: isSource ? ['--conditions=skein-source'] : [],
    // Without the loaders of a test runner.
    env: { ...process.env, SKEIN_REACTOR: 'epoll', NODE_OPTIONS: '' },
  });
  const listening = once(worker, 'message').then(([message]) => message as number);
  // Whoever ends it before that does not wait for it.
  listening.catch(() => {});
  return { listening, end: () => worker.terminate() };
}

/** A peer that was terminated: an end within a message, a reset, or nobody there any more. */
function isOfAnEnd(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return ['ECONNRESET', 'EPIPE', 'ECONNREFUSED', 'EOF'].includes(code ?? '');
}
