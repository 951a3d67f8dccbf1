// Commands for hashes: fields with a value each.

import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { wrongNumber } from '../dispatch.ts';
import { addFractions, expectFraction } from '../fractions.ts';
import { type Database, Field, Hash } from '../keyspace.ts';
import { writeDown } from '../journal.ts';
import { expectWhole, sumOf, wholeOf } from '../numbers.ts';
import {
  array,
  bulk,
  bulkOrNil,
  bulks,
  EMPTY_ARRAY,
  integer,
  NOT_AN_INTEGER,
  OK,
  ONE,
  OUT_OF_RANGE,
  Refusal,
  SYNTAX,
  ZERO,
} from '../reply.ts';
import { scanValue } from '../scan.ts';
import { own } from '../table.ts';

export const hashes = [
  command('hset', -4, 'write key', (client, args) => integer(setAll(client, args))),
  command('hmset', -4, 'write key', (client, args) => (setAll(client, args), OK)),
  command('hsetnx', 4, 'write key', setNew),
  command('hget', 3, 'read key', (client, args) => bulkOrNil(hashAt(client, args)?.get(args[2]!)?.value)),
  command('hmget', -3, 'read key', getSome),
  command('hgetall', 2, 'read key', (client, args) => show(client, args, ({ key, value }) => [key, value])),
  command('hkeys', 2, 'read key', (client, args) => show(client, args, ({ key }) => [key])),
  command('hvals', 2, 'read key', (client, args) => show(client, args, ({ value }) => [value])),
  command('hdel', -3, 'write key', remove),
  command('hlen', 2, 'read key', (client, args) => integer(hashAt(client, args)?.size ?? 0)),
  command('hexists', 3, 'read key', (client, args) =>
    hashAt(client, args)?.has(args[2]!) === true ? ONE : ZERO,
  ),
  command('hstrlen', 3, 'read key', (client, args) =>
    integer(hashAt(client, args)?.get(args[2]!)?.value.length ?? 0),
  ),
  command('hincrby', 4, 'write key', increase),
  command('hincrbyfloat', 4, 'write key', increaseByFraction),
  command('hrandfield', -2, 'read key', random),
  command('hscan', -3, 'read key', scan),
];

function hashAt({ database }: Client, args: readonly string[]): Hash | undefined {
  return database.at(args[1]!, Hash);
}

/** Sets fields; says how many are new. */
function setAll({ database }: Client, args: readonly string[]): number {
  if (args.length % 2 === 1) throw new Refusal(wrongNumber(args[0]!.toLowerCase()));
  const hash = database.toFill(args[1]!, Hash);
  let added = 0;
  for (let at = 2; at < args.length; at += 2) if (setField(hash, args[at]!, args[at + 1]!)) added++;
  database.changed(args[1]!);
  return added;
}

function setField(hash: Hash, key: string, value: string): boolean {
  const field = hash.get(key);
  if (field === undefined) hash.add(new Field(own(key), own(value)));
  else field.value = own(value);
  return field === undefined;
}

function setNew({ database }: Client, args: readonly string[]): string {
  const [, key, name, value] = args as [string, string, string, string];
  if (database.at(key, Hash)?.has(name) === true) return ZERO;
  setField(database.toFill(key, Hash), name, value);
  database.changed(key);
  return ONE;
}

function getSome(client: Client, args: readonly string[]): string {
  const hash = hashAt(client, args);
  return array(args.slice(2).map((key) => bulkOrNil(hash?.get(key)?.value)));
}

function show(client: Client, args: readonly string[], texts: (field: Field) => string[]): string {
  return bulks((hashAt(client, args)?.members ?? []).flatMap(texts));
}

function remove({ database }: Client, args: readonly string[]): string {
  const key = args[1]!;
  const hash = database.toChange(key, Hash);
  if (hash === undefined) return ZERO;
  let removed = 0;
  for (let at = 2; at < args.length; at++) if (hash.delete(args[at]!)) removed++;
  if (removed > 0) database.changed(key);
  database.deleteIfEmpty(key, hash);
  return integer(removed);
}

function increase({ database }: Client, args: readonly string[]): string {
  const [, key, name, text] = args as [string, string, string, string];
  const by = wholeOf(text);
  if (by === undefined) throw new Refusal(NOT_AN_INTEGER);
  const value = wholeOf(database.at(key, Hash)?.get(name)?.value ?? '0');
  if (value === undefined) throw new Refusal('ERR hash value is not an integer');
  const sum = sumOf(value, by);
  if (sum === undefined) throw new Refusal('ERR increment or decrement would overflow');
  store(database, key, name, String(sum));
  return integer(sum);
}

function increaseByFraction({ database }: Client, args: readonly string[]): string {
  const [, key, name, by] = args as [string, string, string, string];
  if (expectFraction(by) === null) throw new Refusal('ERR value is NaN or Infinity');
  const sum = addFractions(
    database.at(key, Hash)?.get(name)?.value ?? '0',
    by,
    'ERR hash value is not a float',
  );
  store(database, key, name, sum);
  writeDown(['HSET', key, name, sum]);
  return bulk(sum);
}

function store(database: Database, key: string, name: string, value: string): void {
  setField(database.toFill(key, Hash), name, value);
  database.changed(key);
}

function random(client: Client, args: readonly string[]): string {
  const withValues = args.length === 4 && args[3]!.toUpperCase() === 'WITHVALUES';
  if (args.length > 3 && !withValues) throw new Refusal(SYNTAX);
  const count = args.length > 2 ? expectWhole(args[2]!) : undefined;
  if (count !== undefined && Math.abs(count) > 2 ** 62) throw new Refusal(OUT_OF_RANGE);
  const hash = hashAt(client, args);
  if (count === undefined) return bulkOrNil(hash?.random()?.key);
  if (hash === undefined) return EMPTY_ARRAY;
  const fields = count >= 0 ? hash.sample(count) : Array.from({ length: -count }, () => hash.random()!);
  return bulks(fields.flatMap(({ key, value }) => (withValues ? [key, value] : [key])));
}

function scan(client: Client, args: readonly string[]): string {
  return scanValue(args, hashAt(client, args), ({ key, value }) => [key, value]);
}
