// Commands for keys that hold text: any bytes, a character each.

import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { wrongNumber } from '../dispatch.ts';
import { expiryOf, UNITS } from '../expire-time.ts';
import { clock } from '../keyspace.ts';
import { writeDown } from '../journal.ts';
import { expectWhole } from '../numbers.ts';
import { array, bulk, bulkOrNil, integer, NIL, OK, ONE, Refusal, SYNTAX, ZERO } from '../reply.ts';
import { own } from '../table.ts';

/** A text that is longer could not be sent in one reply. */
const LONGEST = 268_435_456;

export const strings = [
  command('get', 2, 'read key', (client, args) => bulkOrNil(client.database.text(args[1]!))),
  command('set', -3, 'write key', set),
  command('setnx', 3, 'write key', setNew),
  command('setex', 4, 'write key', (client, args) => setExpiring(client, args, 'EX')),
  command('psetex', 4, 'write key', (client, args) => setExpiring(client, args, 'PX')),
  command('getset', 3, 'write key', getSet),
  command('getdel', 2, 'write key', getDelete),
  command('getex', -2, 'write key', getExpiring),
  command('mget', -2, 'read keys', multiGet),
  command('mset', -3, 'write pairs', multiSet),
  command('msetnx', -3, 'write pairs', multiSetNew),
  command('append', 3, 'write key', append),
  command('strlen', 2, 'read key', (client, args) => integer(client.database.text(args[1]!)?.length ?? 0)),
  command('getrange', 4, 'read key', getRange),
  command('substr', 4, 'read key', getRange),
  command('setrange', 4, 'write key', setRange),
];

/** What the words behind the value, or behind the key of GETEX, ask for. */
interface SetOptions {
  condition: '' | 'NX' | 'XX';
  isGet: boolean;
  isKeeping: boolean;
  isPersisting: boolean;
  expiry: number;
}

const PLAIN: SetOptions = { condition: '', isGet: false, isKeeping: false, isPersisting: false, expiry: 0 };

function optionsIn(args: readonly string[], from: number, isSet: boolean): SetOptions {
  if (args.length === from) return PLAIN;
  const options = { ...PLAIN };
  let unit = '';
  let time = '';
  for (let at = from; at < args.length; at++) {
    const word = args[at]!.toUpperCase();
    const hasExpiry = unit !== '' || options.isKeeping || options.isPersisting;
    if (
      isSet &&
      (word === 'NX' || word === 'XX') &&
      (options.condition === '' || options.condition === word)
    ) {
      options.condition = word;
    } else if (isSet && word === 'GET') {
      options.isGet = true;
    } else if (isSet && word === 'KEEPTTL' && unit === '') {
      options.isKeeping = true;
    } else if (!isSet && word === 'PERSIST' && unit === '') {
      options.isPersisting = true;
    } else if (word in UNITS && !hasExpiry && at + 1 < args.length) {
      unit = word;
      time = args[++at]!;
    } else {
      throw new Refusal(SYNTAX);
    }
  }
  if (unit !== '') options.expiry = expiryOf(time, unit, args[0]!);
  return options;
}

function set(client: Client, args: readonly string[]): string {
  const { database } = client;
  const key = args[1]!;
  const { condition, isGet, isKeeping, expiry } = optionsIn(args, 3, true);
  const old = isGet ? bulkOrNil(database.text(key)) : NIL;
  if (condition !== '' && (database.find(key) !== undefined) !== (condition === 'XX')) return old;
  database.set(key, own(args[2]!), isKeeping);
  if (expiry !== 0) {
    database.setExpiry(key, expiry);
    writeDown(['SET', key, args[2]!, 'PXAT', String(expiry)]);
  }
  return isGet ? old : OK;
}

function setNew(client: Client, args: readonly string[]): string {
  if (client.database.find(args[1]!) !== undefined) return ZERO;
  client.database.set(args[1]!, own(args[2]!));
  return ONE;
}

function setExpiring({ database }: Client, args: readonly string[], unit: 'EX' | 'PX'): string {
  const [name, key, time, value] = args as [string, string, string, string];
  const expiry = expiryOf(time, unit, name);
  database.set(key, own(value));
  database.setExpiry(key, expiry);
  writeDown(['SET', key, value, 'PXAT', String(expiry)]);
  return OK;
}

function getSet({ database }: Client, args: readonly string[]): string {
  const old = bulkOrNil(database.text(args[1]!));
  database.set(args[1]!, own(args[2]!));
  writeDown(['SET', args[1]!, args[2]!]);
  return old;
}

function getDelete({ database }: Client, args: readonly string[]): string {
  const old = bulkOrNil(database.text(args[1]!));
  if (database.delete(args[1]!)) writeDown(['DEL', args[1]!]);
  return old;
}

function getExpiring({ database }: Client, args: readonly string[]): string {
  const key = args[1]!;
  const { isPersisting, expiry } = optionsIn(args, 2, false);
  const value = database.text(key);
  if (value === undefined) return NIL;
  if (expiry !== 0 && expiry <= Date.now() && !clock.isLoading) {
    database.delete(key);
    writeDown(['DEL', key]);
  } else if (expiry !== 0) {
    database.setExpiry(key, expiry);
    writeDown(['PEXPIREAT', key, String(expiry)]);
  } else if (isPersisting && database.find(key)!.expiry !== 0) {
    database.setExpiry(key, 0);
    writeDown(['PERSIST', key]);
  }
  return bulk(value);
}

function multiGet({ database }: Client, args: readonly string[]): string {
  const values = args.slice(1).map((key) => {
    const value = database.find(key)?.value;
    return typeof value === 'string' ? bulk(value) : NIL;
  });
  return array(values);
}

function multiSet({ database }: Client, args: readonly string[]): string {
  if (args.length % 2 === 0) throw new Refusal(wrongNumber('mset'));
  for (let at = 1; at < args.length; at += 2) database.set(args[at]!, own(args[at + 1]!));
  return OK;
}

function multiSetNew(client: Client, args: readonly string[]): string {
  if (args.length % 2 === 0) throw new Refusal(wrongNumber('msetnx'));
  for (let at = 1; at < args.length; at += 2) if (client.database.find(args[at]!) !== undefined) return ZERO;
  multiSet(client, args);
  return ONE;
}

function append({ database }: Client, args: readonly string[]): string {
  const [, key, more] = args as [string, string, string];
  const value = database.text(key) ?? '';
  expectLength(value.length + more.length);
  database.set(key, value + own(more), true);
  return integer(value.length + more.length);
}

function getRange({ database }: Client, args: readonly string[]): string {
  let from = expectWhole(args[2]!);
  let to = expectWhole(args[3]!);
  const value = database.text(args[1]!) ?? '';
  if (from < 0 && to < 0 && from > to) return bulk('');
  if (from < 0) from = Math.max(0, value.length + from);
  if (to < 0) to = Math.max(0, value.length + to);
  return bulk(from > to ? '' : value.slice(from, to + 1));
}

function setRange({ database }: Client, args: readonly string[]): string {
  const [, key, , piece] = args as [string, string, string, string];
  const offset = expectWhole(args[2]!);
  if (offset < 0) throw new Refusal('ERR offset is out of range');
  const value = database.text(key) ?? '';
  if (piece === '') return integer(value.length);
  expectLength(offset + piece.length);
  const before = value.slice(0, offset).padEnd(offset, '\0');
  database.set(key, own(before + piece + value.slice(offset + piece.length)), true);
  return integer(Math.max(value.length, offset + piece.length));
}

function expectLength(length: number): void {
  if (length > LONGEST) throw new Refusal('ERR string exceeds maximum allowed size (proto-max-bulk-len)');
}
