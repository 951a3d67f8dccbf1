// Performing a request: the command is found, refused or queued or performed, and what it has changed is written down.

import { log } from './append-only.ts';
import { serveWaiters } from './blocking.ts';
import { type Client, totals } from './clients.ts';
import { type Command, findCommand } from './command.ts';
import { writeOut } from './journal.ts';
import { counts, readyLists } from './keyspace.ts';
import { failure, QUEUED, Refusal } from './reply.ts';
import { LONGEST_REQUEST } from './resp.ts';

/** Performs a request and gives its reply; empty if the client has to wait for that, or is sent away. */
export function execute(client: Client, args: readonly string[]): string {
  const name = args[0]!;
  const command = findCommand(name);
  if (command === undefined) return isHttp(client, name) ? '' : refuse(client, unknown(name, args));
  const { arity } = command;
  if (arity > 0 ? args.length !== arity : args.length < -arity)
    return refuse(client, wrongNumber(command.name));
  if (client.transaction !== null && !command.isImmediate) return enqueue(client, args);
  if (client.isSubscriber && !command.isForSubscribers) return failure(subscribersMay(command.name));
  return perform(client, command, args);
}

/** Performs a command that was found, and has as many arguments as it should. */
export function perform(client: Client, command: Command, args: readonly string[]): string {
  const { changes } = counts;
  const { database } = client;
  totals.commands++;
  client.lastCommand = command.name;
  let reply;
  try {
    reply = command.perform(client, args);
  } catch (error) {
    if (error instanceof Refusal) reply = failure(error.message);
    else if (error instanceof RangeError) reply = failure('ERR the reply, or the value, is too large');
    else throw error;
  }
  const hasChanged = counts.changes !== changes;
  // As it came, unless it was kept for a transaction meanwhile.
  const raw = hasChanged && log.isOn && args === client.parser.args ? client.parser.raw : '';
  writeOut(database.index, args, hasChanged, raw);
  // Within a transaction those who wait are served when all of it was performed.
  if (readyLists.length > 0 && !client.isInTransaction) serveWaiters();
  return reply;
}

export function wrongNumber(name: string): string {
  return `ERR wrong number of arguments for '${name}' command`;
}

function refuse(client: Client, why: string): string {
  if (client.transaction !== null) client.transaction.isBroken = true;
  return failure(why);
}

function enqueue(client: Client, args: readonly string[]): string {
  const transaction = client.transaction!;
  for (const arg of args) transaction.size += arg.length;
  // What waits for EXEC is bounded as a single request is.
  if (transaction.size > LONGEST_REQUEST) return refuse(client, 'ERR the transaction is too large');
  transaction.commands.push([...args]);
  return QUEUED;
}

/** A web page may make its reader's browser send a request here: whatever follows in it must not be performed. */
function isHttp(client: Client, name: string): boolean {
  const isSo = /^(post|host:)$/i.test(name);
  if (isSo) {
    console.error(`client ${client.conn?.remoteAddress} speaks HTTP: the connection was closed`);
    client.refuse();
  }
  return isSo;
}

function unknown(name: string, args: readonly string[]): string {
  let shown = '';
  for (let index = 1; index < args.length && shown.length < 128; index++) {
    shown += `'${args[index]!.slice(0, 128 - shown.length)}' `;
  }
  return `ERR unknown command '${name.slice(0, 128)}', with args beginning with: ${shown}`;
}

function subscribersMay(name: string): string {
  const allowed = '(P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET';
  return `ERR Can't execute '${name}': only ${allowed} are allowed in this context`;
}
