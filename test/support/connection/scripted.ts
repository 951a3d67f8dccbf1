// A connection whose peer is the test: what it receives, and when, is said by calls. It costs no descriptor, so there
// may be tens of thousands.

import { Connection } from '../../../lib/connection/connection.ts';
import type { Endpoint, Socket, SocketOwner } from '../../../lib/reactor/contract.ts';
import { currentScheduler } from '../../../scheduler/kernel/scheduler.ts';

const HERE: Endpoint = { host: '127.0.0.1', port: 1, path: '' };
const THERE: Endpoint = { host: '127.0.0.1', port: 2, path: '' };

/** A socket in memory, by the rules of the contract. */
export class ScriptedSocket implements Socket {
  owner: SocketOwner | null = null;
  readonly localAddress = HERE;
  readonly remoteAddress = THERE;
  written = 0;
  sent = 0;
  readonly writeError: Error | undefined = undefined;
  readonly isDirect = false;
  readonly output: Buffer[] = [];
  /** What the system says that the peer has not taken. */
  untaken: number | undefined;
  /** How it ended on this side. */
  ending: 'reset' | 'released' | undefined;
  /** Somebody has asked for input and was not told yet. */
  isWanted = false;
  readonly #chunks: Buffer[] = [];
  #end: null | Error | undefined;

  /** The peer sends. */
  feed(chunk: string | Uint8Array): void {
    const bytes = Buffer.from(chunk as string);
    // Each in memory of its own, of which some is handed out as it is.
    const memory = Buffer.allocUnsafeSlow(bytes.byteLength);
    memory.set(bytes);
    if (memory.byteLength > 0) this.#chunks.push(memory);
    this.#tell();
  }

  /** The peer ends, or resets the connection. */
  finish(error: Error | null = null): void {
    this.#end = error;
    this.#tell();
  }

  get position(): number {
    return this.written;
  }

  get waiting(): number {
    return this.written - this.sent;
  }

  get isReadable(): boolean {
    return this.#chunks.length > 0 || this.#end !== undefined;
  }

  read(): Buffer | null | undefined {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) return chunk;
    if (this.#end instanceof Error) throw this.#end;
    return this.#end;
  }

  readOrWant(): Buffer | null | undefined {
    const data = this.read();
    if (data === undefined) this.wantRead();
    return data;
  }

  readInto(buffer: Uint8Array): number | undefined {
    const chunk = this.read();
    if (!chunk) return chunk === null ? 0 : undefined;
    const size = chunk.copy(buffer);
    if (size < chunk.byteLength) this.#chunks.unshift(chunk.subarray(size));
    return size;
  }

  wantRead(): void {
    this.isWanted = true;
    if (this.isReadable) queueMicrotask(() => this.#tell());
  }

  unwantRead(): void {
    this.isWanted = false;
  }

  write(bytes: Uint8Array): void {
    this.writeCopy(bytes);
  }

  writeCopy(data: string | Uint8Array): number {
    const bytes = Buffer.from(data as string);
    this.output.push(bytes);
    this.written += bytes.byteLength;
    this.sent = this.written;
    return bytes.byteLength;
  }

  wantSent(): void {
    queueMicrotask(() => this.owner?.onSent());
  }

  reset(): void {
    this.owner = null;
    this.isWanted = false;
    this.ending ??= 'reset';
  }

  release(): void {
    this.ending ??= 'released';
    this.reset();
  }

  unacknowledged(): number | undefined {
    return this.untaken;
  }

  detach(): never {
    throw new Error('a scripted socket cannot be detached');
  }

  keep(): void {}
  flush(): void {}
  end(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}

  #tell(): void {
    if (!this.isWanted || !this.isReadable) return;
    this.isWanted = false;
    this.owner?.onReadable();
  }
}

export interface Scripted {
  readonly conn: Connection;
  readonly peer: ScriptedSocket;
}

/** A connection of the running coroutine's scheduler, and the one that it talks to. */
export function scripted(): Scripted {
  const peer = new ScriptedSocket();
  return { conn: new Connection(peer, true, currentScheduler()), peer };
}
