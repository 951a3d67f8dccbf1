// Commands for keys, whatever they hold.

import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { encodingOf } from '../encoding.ts';
import { globMatches } from '../glob.ts';
import { type Database, databases, Field, Hash, Members, typeOf, type Value } from '../keyspace.ts';
import { List } from '../list.ts';
import { wholeOf } from '../numbers.ts';
import {
  array,
  bulk,
  bulkOrNil,
  bulks,
  integer,
  NIL,
  NO_SUCH_KEY,
  NOT_AN_INTEGER,
  OK,
  ONE,
  Refusal,
  simple,
  SYNTAX,
  ZERO,
} from '../reply.ts';
import { Member } from '../table.ts';
import { scanOptions } from '../scan.ts';

export const keys = [
  command('del', -2, 'write keys', deleteAll),
  command('unlink', -2, 'write keys', deleteAll),
  command('exists', -2, 'read keys', countExisting),
  command('touch', -2, 'read keys', countExisting),
  command('type', 2, 'read key', type),
  command('keys', 2, 'read', matching),
  command('scan', -2, 'read', scan),
  command('rename', 3, 'write two', rename),
  command('renamenx', 3, 'write two', renameIfNew),
  command('copy', -3, 'write two', copy),
  command('randomkey', 1, 'read', (client) => bulkOrNil(client.database.randomKey())),
  command('dbsize', 1, 'read', (client) => integer(client.database.size)),
  command('object', -2, 'read', object),
];

function deleteAll({ database }: Client, args: readonly string[]): string {
  let count = 0;
  for (let at = 1; at < args.length; at++) if (database.delete(args[at]!)) count++;
  return integer(count);
}

function countExisting({ database }: Client, args: readonly string[]): string {
  let count = 0;
  for (let at = 1; at < args.length; at++) if (database.find(args[at]!) !== undefined) count++;
  return integer(count);
}

function type({ database }: Client, args: readonly string[]): string {
  const entry = database.find(args[1]!);
  return simple(entry === undefined ? 'none' : typeOf(entry.value));
}

function matching({ database }: Client, args: readonly string[]): string {
  const names = database.entries.map(({ key }) => key).filter((key) => globMatches(args[1]!, key));
  return bulks(names.filter((key) => database.find(key) !== undefined));
}

function scan({ database }: Client, args: readonly string[]): string {
  const { cursor, count, matches, type: wanted } = scanOptions(args, 1);
  const found: string[] = [];
  const next = database.scan(cursor, count, ({ key, value }) => {
    if (matches(key) && (wanted === undefined || typeOf(value) === wanted)) found.push(key);
  });
  // Looked at only now: one that is over is removed by that.
  return array([bulk(String(next)), bulks(found.filter((key) => database.find(key) !== undefined))]);
}

function rename({ database }: Client, args: readonly string[]): string {
  move(database, args[1]!, args[2]!);
  return OK;
}

function renameIfNew({ database }: Client, args: readonly string[]): string {
  const [, from, to] = args as [string, string, string];
  if (database.find(from) === undefined) throw new Refusal(NO_SUCH_KEY);
  if (database.find(to) !== undefined) return ZERO;
  move(database, from, to);
  return ONE;
}

function move(database: Database, from: string, to: string): void {
  const entry = database.find(from);
  if (entry === undefined) throw new Refusal(NO_SUCH_KEY);
  if (from === to) return;
  const { value, expiry } = entry;
  database.delete(from);
  database.set(to, value);
  if (expiry !== 0) database.setExpiry(to, expiry);
}

function copy(client: Client, args: readonly string[]): string {
  const [, from, to] = args as [string, string, string];
  let target = client.database;
  let replaces = false;
  for (let at = 3; at < args.length; at++) {
    const word = args[at]!.toUpperCase();
    if (word === 'REPLACE') {
      replaces = true;
    } else if (word === 'DB' && at + 1 < args.length) {
      const index = wholeOf(args[++at]!);
      if (index === undefined) throw new Refusal(NOT_AN_INTEGER);
      const found = databases[Number(index)];
      if (found === undefined) throw new Refusal('ERR DB index is out of range');
      target = found;
    } else {
      throw new Refusal(SYNTAX);
    }
  }
  if (target === client.database && from === to)
    throw new Refusal('ERR source and destination objects are the same');
  const entry = client.database.find(from);
  if (entry === undefined) return ZERO;
  if (!replaces && target.find(to) !== undefined) return ZERO;
  target.set(to, copyOf(entry.value));
  if (entry.expiry !== 0) target.setExpiry(to, entry.expiry);
  return ONE;
}

function copyOf(value: Value): Value {
  if (typeof value === 'string') return value;
  if (value instanceof List) return List.of(value.range(0, value.length - 1));
  if (value instanceof Hash) {
    const hash = new Hash();
    for (const { key, value: text } of value.members) hash.add(new Field(key, text));
    return hash;
  }
  const members = new Members();
  for (const { key } of value.members) members.add(new Member(key));
  return members;
}

function object({ database }: Client, args: readonly string[]): string {
  const what = args[1]!.toUpperCase();
  if (!['ENCODING', 'REFCOUNT', 'IDLETIME'].includes(what) || args.length !== 3) {
    throw new Refusal(
      `ERR unknown subcommand or wrong number of arguments for '${args[1]!.slice(0, 128)}'. Try OBJECT HELP.`,
    );
  }
  const entry = database.find(args[2]!);
  if (entry === undefined) return NIL;
  if (what === 'ENCODING') return bulk(encodingOf(entry.value));
  return what === 'REFCOUNT' ? ONE : ZERO;
}
