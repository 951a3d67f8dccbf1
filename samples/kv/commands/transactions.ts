// MULTI, EXEC and WATCH. A transaction is performed within one turn, so nobody comes in between; and it is written to
// the append-only file as one.

import { log } from '../append-only.ts';
import type { Client } from '../clients.ts';
import { command, findCommand } from '../command.ts';
import { perform } from '../dispatch.ts';
import { writeDown } from '../journal.ts';
import { array, NIL_ARRAY, OK, Refusal } from '../reply.ts';

export const transactions = [
  command('multi', 1, 'now', multi),
  command('exec', 1, 'now', exec),
  command('discard', 1, 'now', discard),
  command('watch', -2, 'now keys', watch),
  command('unwatch', 1, '', (client) => (unwatch(client), OK)),
];

function multi(client: Client): string {
  if (client.transaction !== null) throw new Refusal('ERR MULTI calls can not be nested');
  client.transaction = { commands: [], size: 0, isBroken: false };
  return OK;
}

function exec(client: Client): string {
  const { transaction } = client;
  if (transaction === null) throw new Refusal('ERR EXEC without MULTI');
  // A watched key that is over has changed: looking at it removes it, and says so.
  for (const { database, key } of client.watched) database.find(key);
  const { isOutdated } = client;
  client.transaction = null;
  unwatch(client);
  if (transaction.isBroken) throw new Refusal('EXECABORT Transaction discarded because of previous errors.');
  if (isOutdated) return NIL_ARRAY;
  client.isInTransaction = true;
  log.beginTransaction();
  const replies: string[] = [];
  try {
    for (const args of transaction.commands) replies.push(perform(client, findCommand(args[0]!)!, args));
  } finally {
    log.endTransaction();
    client.isInTransaction = false;
  }
  // Its commands are written down already.
  writeDown();
  return array(replies);
}

function discard(client: Client): string {
  if (client.transaction === null) throw new Refusal('ERR DISCARD without MULTI');
  client.transaction = null;
  unwatch(client);
  return OK;
}

function watch(client: Client, args: readonly string[]): string {
  if (client.transaction !== null) throw new Refusal('ERR WATCH inside MULTI is not allowed');
  const { database, watched } = client;
  for (const key of args.slice(1)) {
    // One that is over counts as absent from the beginning.
    database.find(key);
    const watchers = database.watchers.get(key);
    if (watchers?.has(client) === true) continue;
    if (watchers === undefined) database.watchers.set(key, new Set([client]));
    else watchers.add(client);
    watched.push({ database, key });
  }
  return OK;
}

export function unwatch(client: Client): void {
  for (const { database, key } of client.watched.splice(0)) {
    const watchers = database.watchers.get(key)!;
    watchers.delete(client);
    if (watchers.size === 0) database.watchers.delete(key);
  }
  client.isOutdated = false;
}
