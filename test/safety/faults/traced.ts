// One program of the fault sweep, and the clients that it serves.

import { readdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { listenPlain, portOf } from '../../support/connection/peers.ts';
import { type Program, runProgram } from '../../support/programs/program.ts';
import { type Case, type Client, judge } from './cases.ts';
import type { Met } from './program.ts';
import { inject } from './strace.ts';

/** Milliseconds after which something counts as stuck. */
const STUCK = 10_000;
const CLIENTS = 32;
/** Bytes of a client's messages: gathered, gathered with others, and too large for that. */
const MESSAGES = [10, 200, 3, 40_000, 50, 1_000, 70_000, 20];

/** A program that is told what to do, and whose calls fail meanwhile. */
export class Traced {
  readonly program: Program;
  readonly #case: Case;
  /** The folder for strace's output. */
  readonly #work: string;
  /** Where it listens, or where it dials to. */
  #port = 0;
  #echo: net.Server | null = null;
  /** Lines that it has said so far. */
  #heard = 0;
  #descriptors = 0;

  private constructor(tried: Case, work: string) {
    this.#case = tried;
    this.#work = work;
    this.program = runProgram(['test/safety/faults/program.ts', tried.program], { SKEIN_REACTOR: 'epoll' });
  }

  static async start(tried: Case, work: string): Promise<Traced> {
    const traced = new Traced(tried, work);
    try {
      await traced.#begin();
    } catch (error) {
      traced.kill();
      throw error;
    }
    return traced;
  }

  async #begin(): Promise<void> {
    this.#port = Number(await this.#hear());
    if (this.#case.program === 'dial') {
      this.#echo = await listenPlain((socket) => socket.pipe(socket));
      this.#port = portOf(this.#echo);
    }
    // What is opened once is open from here on.
    const { met } = await this.#play();
    if (met.length > 0) throw new Error(`errors without a fault: ${JSON.stringify(met)}`);
    this.#descriptors = this.#openDescriptors();
  }

  async round(when: number): Promise<{ line: string | undefined; wrong: string[] }> {
    const { syscall, error, program } = this.#case;
    const log = join(this.#work, `${program}-${syscall}-${error}-${when}`);
    const tracing = await inject(this.program.child.pid!, { syscall, error, when }, log);
    let played: { met: Met[]; clients: Client[] };
    let line: string | undefined;
    try {
      played = await this.#play();
    } finally {
      line = await tracing.end();
    }
    const wrong = judge(this.#case, line, played.met, played.clients);
    if (wrong.length > 0) wrong.push(JSON.stringify(played.met));
    const after = await this.#play();
    if (after.met.length > 0 || after.clients.some(({ fate }) => fate !== 'served')) {
      wrong.push(`it does not work afterwards: ${JSON.stringify(after)}`);
    }
    const hasClosed = await soon(() => this.#openDescriptors() <= this.#descriptors);
    if (!hasClosed)
      throw new Error(`${this.#openDescriptors()} descriptors, ${this.#descriptors} before\n${line}`);
    return { line, wrong };
  }

  /** Ends it; its exit status, or null if it did not end. */
  async end(): Promise<number | null> {
    this.program.child.stdin!.end();
    const timer = setTimeout(() => this.program.child.kill('SIGKILL'), STUCK);
    const status = await this.program.exited;
    clearTimeout(timer);
    this.#echo?.close();
    return status;
  }

  /** Ends it at once. */
  kill(): void {
    this.program.child.kill('SIGKILL');
    this.#echo?.close();
  }

  /** All clients at once, or all dials; and what the program has met. */
  async #play(): Promise<{ met: Met[]; clients: Client[] }> {
    let clients: Client[] = [];
    if (this.#case.program === 'serve') {
      clients = await Promise.all(Array.from({ length: CLIENTS }, (_, id) => talk(this.#port, id)));
    }
    this.program.child.stdin!.write(this.#case.program === 'serve' ? 'report\n' : `${this.#port}\n`);
    return { met: JSON.parse(await this.#hear()) as Met[], clients };
  }

  async #hear(): Promise<string> {
    const { program } = this;
    let isOver = false;
    void program.exited.then(() => (isOver = true));
    await soon(() => isOver || program.lines().length > this.#heard);
    const line = program.lines()[this.#heard++];
    if (line === undefined) throw new Error(isOver ? 'the program has ended' : 'the program is stuck');
    return line;
  }

  #openDescriptors(): number {
    return readdirSync(`/proc/${this.program.child.pid!}/fd`).length;
  }
}

/** Sends messages one after the other and compares what comes back. */
function talk(port: number, id: number): Promise<Client> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let own = 0;
    let fate: Client['fate'] = 'cut off';
    let waiting = Buffer.alloc(0);
    const messages = MESSAGES.map((size, index) => Buffer.alloc(size, 65 + ((id * 7 + index) % 26)));
    const timer = setTimeout(() => {
      fate = 'stuck';
      socket.destroy();
    }, STUCK);
    const next = (): void => {
      const message = messages.shift();
      if (message === undefined) {
        fate = 'served';
        socket.end();
      } else {
        waiting = message;
        socket.write(message);
      }
    };
    socket.once('connect', () => {
      own = socket.localPort!;
      next();
    });
    socket.on('data', (data: Buffer) => {
      if (!data.equals(waiting.subarray(0, data.byteLength))) {
        fate = 'wrong bytes';
        socket.destroy();
        return;
      }
      waiting = waiting.subarray(data.byteLength);
      if (waiting.byteLength === 0) next();
    });
    // What became of it is told by how far it came.
    socket.on('error', () => {});
    socket.once('close', () => {
      clearTimeout(timer);
      resolve({ port: own, fate });
    });
  });
}

/** Waits until a condition holds; false if it does not in time. */
async function soon(condition: () => boolean): Promise<boolean> {
  const deadline = Date.now() + STUCK;
  while (!condition()) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return true;
}
