// Clients that wait for a list: BLPOP and its kin. For each key there is a line, first come, first served; a client may
// stand in several. Who has brought a list into being serves the line, when its command has ended and before anybody
// else has a turn: so nobody overtakes those who wait, and no element is there while one of them could have it.
//
// A waiter's turn is handed over through a channel. `trySend` says whether it is taken: a client that has gone, or whose
// time was up a moment ago, receives no more, and the next in line gets what would have been lost with it.

import { after, Channel, type Co, never, select, sleep } from 'skein';
import type { Client } from './clients.ts';
import { writeOut } from './journal.ts';
import { type Database, readyLists } from './keyspace.ts';
import { List } from './list.ts';
import { failure, NIL_ARRAY, Refusal } from './reply.ts';

/** A waiter's turn: who hands it over fills in the reply before the waiter runs. */
interface Turn {
  reply: string;
}

/** What a client waits for. */
export interface Wish {
  readonly database: Database;
  readonly keys: readonly string[];
  /** Milliseconds. */
  readonly timeout: number;
  /** The reply in a transaction, if nothing is there. */
  readonly otherwise: string;
  /** Takes what is wished for from the list under a key, and gives the reply. */
  readonly take: (key: string, list: List) => string;
}

class Waiter {
  readonly turn = new Channel<Turn>(0, { name: 'a turn at a list' });
  readonly wish: Wish;

  constructor(wish: Wish) {
    this.wish = wish;
  }
}

/** The lines, by key, of each database. */
const lines = new Map<Database, Map<string, Set<Waiter>>>();

/** Takes at once what is there; else has the client wait, unless it is in a transaction. */
export function takeOrWait(client: Client, wish: Wish): string {
  for (const key of wish.keys) {
    const list = wish.database.toChange(key, List);
    if (list !== undefined) return wish.take(key, list);
  }
  if (client.isInTransaction || client.conn === null) return wish.otherwise;
  client.pending = () => waitFor(client, wish);
  return '';
}

/** Serves those who wait for lists that have come into being; serving one may bring another into being. */
export function serveWaiters(): void {
  for (let ready; (ready = readyLists.shift()) !== undefined;) {
    const { database, key } = ready;
    const line = lines.get(database)?.get(key);
    for (const waiter of line ?? []) {
      if (!(database.find(key)?.value instanceof List)) break;
      const turn = { reply: '' };
      if (waiter.turn.trySend(turn)) turn.reply = takeFor(waiter.wish, key);
    }
  }
}

function takeFor({ database, take }: Wish, key: string): string {
  try {
    return take(key, database.toChange(key, List)!);
  } catch (error) {
    // The list where the element was to go is none.
    if (error instanceof Refusal) return failure(error.message);
    throw error;
  } finally {
    writeOut(database.index, null, true);
  }
}

/** How many clients wait. */
export const blocked = { count: 0 };

function* waitFor(client: Client, wish: Wish): Co<string> {
  const waiter = new Waiter(wish);
  const limit = wish.timeout === Infinity ? never : after(wish.timeout);
  const conn = client.conn!;
  join(waiter);
  client.unblock = (reply) => waiter.turn.trySend({ reply });
  blocked.count++;
  try {
    for (;;) {
      const next = yield* select({ turn: waiter.turn.receive(), limit, data: conn.read() });
      if (next.key === 'limit') return NIL_ARRAY;
      if (next.key === 'turn') return (next.value as Turn).reply;
      if (next.value === null) {
        // It has gone, and nothing was taken for it.
        client.isEnding = true;
        return '';
      }
      // Its next requests wait behind this one.
      client.parser.add(next.value);
    }
  } finally {
    blocked.count--;
    client.unblock = null;
    leave(waiter);
  }
}

/** DEBUG SLEEP: the client waits, and nobody else. */
export function pauseFor(client: Client, ms: number, reply: string): string {
  client.pending = function* () {
    yield* sleep(ms);
    return reply;
  };
  return '';
}

function join(waiter: Waiter): void {
  const { database, keys } = waiter.wish;
  let byKey = lines.get(database);
  if (byKey === undefined) lines.set(database, (byKey = new Map()));
  for (const key of keys) {
    const line = byKey.get(key);
    if (line === undefined) byKey.set(key, new Set([waiter]));
    else line.add(waiter);
    database.awaited.add(key);
  }
}

function leave(waiter: Waiter): void {
  const { database, keys } = waiter.wish;
  const byKey = lines.get(database)!;
  for (const key of keys) {
    const line = byKey.get(key);
    line?.delete(waiter);
    if (line?.size !== 0) continue;
    byKey.delete(key);
    database.awaited.delete(key);
  }
}
