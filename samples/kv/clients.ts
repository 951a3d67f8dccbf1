// A client: what the server knows about a connection, apart from the bytes. Whoever ends a client closes its
// connection; its coroutine, which waits there, hears of it and takes back all that the client has left elsewhere.

import { Buffer } from 'node:buffer';
import type { Co, Connection } from 'skein';
import { type Database, databases, type Watcher } from './keyspace.ts';
import { failure } from './reply.ts';
import { RequestParser } from './resp.ts';
import { settings } from './settings.ts';

/** A transaction that is being put together. */
export interface Transaction {
  readonly commands: string[][];
  /** Characters in them. */
  size: number;
  /** A command was refused: nothing will be performed. */
  isBroken: boolean;
}

let lastId = 0;

export class Client implements Watcher {
  readonly id = ++lastId;
  /** Null for the one who loads the append-only file. */
  readonly conn: Connection | null;
  readonly parser: RequestParser;
  readonly since = Date.now();
  database: Database = databases[0]!;
  name = '';
  libName = '';
  libVersion = '';
  lastCommand = '';
  isNoEvict = false;
  transaction: Transaction | null = null;
  /** The commands of a transaction are being performed. */
  isInTransaction = false;
  readonly watched: { readonly database: Database; readonly key: string }[] = [];
  /** A watched key has changed. */
  isOutdated = false;
  readonly channels = new Set<string>();
  readonly patterns = new Set<string>();
  /** What the last command has left to be waited for; gives its reply. */
  pending: (() => Co<string>) | null = null;
  /** Ends after what was said to it. */
  isEnding = false;
  /** What it sends cannot be understood, or is not meant for us. */
  isRefused = false;
  /** Which replies it does not hear: none of them, the next one or the one that comes now, or all but none. */
  muting: 'none' | 'next' | 'this' | 'all' = 'none';
  /** Ends its waiting for a list with a reply; false if it does not wait. */
  unblock: ((reply: string) => boolean) | null = null;
  /** It has asked for something and was not answered; who is blocked is not meant. */
  isBusy = false;
  /** Bytes that were written to it. */
  handedOver = 0;
  #slowSince = 0;

  constructor(conn: Connection | null, longestRequest?: number) {
    this.conn = conn;
    this.parser = new RequestParser(longestRequest);
  }

  get isSubscriber(): boolean {
    return this.channels.size + this.patterns.size > 0;
  }

  /** Ends the client; one that has asked for something hears the answer first. */
  end(): void {
    if (this.isBusy) this.isEnding = true;
    else this.conn?.close();
  }

  /** Ends the client once it was told why, and soon. */
  refuse(): void {
    this.isRefused = this.isEnding = true;
  }

  /** What it hears of a reply, as CLIENT REPLY has it; whom it listens to it is always told. */
  hears(reply: string): string {
    if (this.muting === 'none' || (reply.startsWith('*') && this.lastCommand.endsWith('subscribe')))
      return reply;
    if (this.muting === 'next') this.muting = 'this';
    else if (this.muting === 'this') this.muting = 'none';
    return '';
  }

  /** Sends what it did not ask for. A client that does not read is dropped when too much of it waits. */
  push(message: Buffer): void {
    const { conn } = this;
    if (conn === null || conn.isClosed) return;
    conn.send(message);
    this.handedOver += message.length;
    const waiting = this.handedOver - conn.bytesWritten;
    if (waiting <= settings.subscriberSoft) {
      this.#slowSince = 0;
      return;
    }
    this.#slowSince ||= Date.now();
    const isSlow = Date.now() - this.#slowSince > settings.subscriberSeconds * 1000;
    if (waiting <= settings.subscriberHard && !isSlow) return;
    console.error(`client ${conn.remoteAddress} was dropped: ${waiting} bytes wait for it`);
    conn.reset();
  }

  /** A line about it, as CLIENT LIST has it. */
  describe(): string {
    const { conn, transaction } = this;
    const seconds = Math.floor((Date.now() - this.since) / 1000);
    const flags =
      (this.isSubscriber ? 'P' : '') + (this.pending === null ? '' : 'b') + (transaction ? 'x' : '');
    return Object.entries({
      id: this.id,
      addr: conn?.remoteAddress,
      laddr: conn?.localAddress,
      name: this.name,
      age: seconds,
      flags: flags || 'N',
      db: this.database.index,
      sub: this.channels.size,
      psub: this.patterns.size,
      multi: transaction?.commands.length ?? -1,
      qbuf: this.parser.waiting,
      cmd: this.lastCommand || 'NULL',
      resp: 2,
      'lib-name': this.libName,
      'lib-ver': this.libVersion,
    })
      .map(([key, value]) => `${key}=${value}`)
      .join(' ');
  }
}

/** Those who are connected, by their id. */
export const clients = new Map<number, Client>();

export const totals = { connections: 0, commands: 0 };

/** The reply to what was no request. */
export function protocolFailure(message: string): string {
  return failure(`ERR Protocol error: ${message}`);
}
