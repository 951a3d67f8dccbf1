// What the tests of samples/kv share: the server as a program, a client that speaks RESP2 over plain node:net and
// gives replies as they come over the wire, and redis-server, where there is one, to compare with.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../connection/peers.ts';
import { type Program, runProgram } from '../programs/program.ts';

const sample = join(dirname(fileURLToPath(import.meta.url)), '../../../samples/kv/server.ts');

export const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0;
export const hasRedisCli = spawnSync('redis-cli', ['--version']).status === 0;
export const hasRedisBenchmark = spawnSync('redis-benchmark', ['--version']).status === 0;

export interface KvServer extends Program {
  readonly port: number;
}

/** Runs the sample until it says where it listens, or has ended. */
export async function startKv(env: NodeJS.ProcessEnv = {}, limits = 'true'): Promise<KvServer> {
  const program = runProgram([sample], { HOST: '127.0.0.1', PORT: '0', ...env }, limits);
  // That of a server that has started; the error of one that has not names its address as well.
  const address = /^kv listening on 127\.0\.0\.1:(\d+)$/m;
  const isOver = (): boolean => program.child.exitCode !== null || program.child.signalCode !== null;
  await until(() => address.test(program.output()) || isOver(), 'kv to listen', 30_000);
  return { ...program, port: Number(address.exec(program.output())?.[1] ?? 0) };
}

/** A folder of its own for an append-only file, gone when the test has ended. */
export function makeFolder(t: { teardown(fn: () => void): unknown }): string {
  const folder = mkdtempSync(join(tmpdir(), 'skein-kv-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A redis-server that keeps nothing, on a port of its own. */
export async function startRedis(): Promise<{ child: ChildProcess; port: number; stop(): Promise<void> }> {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, 'close');
  const args = ['--port', String(port), '--save', '', '--appendonly', 'no', '--enable-debug-command', 'yes'];
  const child = spawn('redis-server', args, { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (data) => (printed += String(data)));
  await until(() => printed.includes('Ready to accept connections'), 'redis-server');
  return {
    child,
    port,
    async stop() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

export type Reply = string | number | null | Reply[] | { readonly error: string };

/** Takes replies out of bytes as they come; text is latin1, a character for each byte. */
export class ReplyReader {
  #text = '';
  #at = 0;

  add(chunk: Buffer): void {
    this.#text = this.#text.slice(this.#at) + chunk.toString('latin1');
    this.#at = 0;
  }

  /** The next reply; undefined while it is not complete. */
  next(): Reply | undefined {
    const from = this.#at;
    const reply = this.#read();
    if (reply === undefined) this.#at = from;
    return reply;
  }

  get rest(): string {
    return this.#text.slice(this.#at);
  }

  #read(): Reply | undefined {
    const end = this.#text.indexOf('\r\n', this.#at);
    if (end < 0) return undefined;
    const line = this.#text.slice(this.#at + 1, end);
    const kind = this.#text[this.#at];
    this.#at = end + 2;
    if (kind === '+') return line;
    if (kind === '-') return { error: line };
    if (kind === ':') return Number.isSafeInteger(Number(line)) ? Number(line) : line;
    const length = Number(line);
    if (length < 0) return null;
    if (kind === '$') {
      if (this.#text.length < this.#at + length + 2) return undefined;
      const bulk = this.#text.slice(this.#at, this.#at + length);
      this.#at += length + 2;
      return bulk;
    }
    if (kind !== '*') throw new Error(`no reply begins with ${kind}`);
    const replies: Reply[] = [];
    for (let index = 0; index < length; index++) {
      const reply = this.#read();
      if (reply === undefined) return undefined;
      replies.push(reply);
    }
    return replies;
  }
}

export class KvClient {
  readonly socket: net.Socket;
  /** What came that nobody has asked for, as to a subscriber. */
  readonly replies: Reply[] = [];
  isEnded = false;
  readonly #reader = new ReplyReader();
  readonly #waiting: ((reply: Reply) => void)[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#reader.add(chunk);
      for (let reply; (reply = this.#reader.next()) !== undefined;) {
        const resolve = this.#waiting.shift();
        if (resolve === undefined) this.replies.push(reply);
        else resolve(reply);
      }
    });
    const end = (): void => {
      this.isEnded = true;
      for (const resolve of this.#waiting.splice(0)) resolve({ error: 'the connection has ended' });
    };
    socket.on('error', () => {});
    socket.on('end', end);
    socket.on('close', end);
  }

  static async connect(port: number): Promise<KvClient> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    const client = new KvClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** Sends a command and gives its reply. */
  ask(...words: (string | number)[]): Promise<Reply> {
    return this.askAll([words]).then(([reply]) => reply!);
  }

  /** Sends commands at once and gives their replies. */
  askAll(commands: readonly (readonly (string | number)[])[]): Promise<Reply[]> {
    if (this.isEnded) return Promise.resolve(commands.map(() => ({ error: 'the connection has ended' })));
    const replies = commands.map(() => new Promise<Reply>((resolve) => this.#waiting.push(resolve)));
    this.socket.write(Buffer.from(commands.map(encode).join(''), 'latin1'));
    return Promise.all(replies);
  }

  close(): void {
    this.socket.destroy();
  }
}

export function encode(words: readonly (string | number)[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${String(word).length}\r\n${word}\r\n`).join('')}`;
}
