// Commands for sets, one at a time; those that compare several are in set-algebra.ts.

import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { Members } from '../keyspace.ts';
import { writeDown } from '../journal.ts';
import { expectWhole } from '../numbers.ts';
import {
  array,
  bulk,
  bulkOrNil,
  bulks,
  EMPTY_ARRAY,
  integer,
  NIL,
  NOT_POSITIVE,
  ONE,
  OUT_OF_RANGE,
  Refusal,
  SYNTAX,
  ZERO,
} from '../reply.ts';
import { scanValue } from '../scan.ts';
import { Member, own } from '../table.ts';

export const sets = [
  command('sadd', -3, 'write key', add),
  command('srem', -3, 'write key', remove),
  command('smembers', 2, 'read key', (client, args) =>
    bulks((setAt(client, args)?.members ?? []).map(keyOf)),
  ),
  command('scard', 2, 'read key', (client, args) => integer(setAt(client, args)?.size ?? 0)),
  command('sismember', 3, 'read key', (client, args) =>
    setAt(client, args)?.has(args[2]!) === true ? ONE : ZERO,
  ),
  command('smismember', -3, 'read key', areMembers),
  command('spop', -2, 'write key', pop),
  command('srandmember', -2, 'read key', random),
  command('smove', 4, 'write two', move),
  command('sscan', -3, 'read key', (client, args) =>
    scanValue(args, setAt(client, args), ({ key }) => [key]),
  ),
];

function setAt({ database }: Client, args: readonly string[]): Members | undefined {
  return database.at(args[1]!, Members);
}

function keyOf({ key }: Member): string {
  return key;
}

function add({ database }: Client, args: readonly string[]): string {
  const key = args[1]!;
  const set = database.toFill(key, Members);
  let added = 0;
  for (let at = 2; at < args.length; at++) {
    if (set.has(args[at]!)) continue;
    set.add(new Member(own(args[at]!)));
    added++;
  }
  if (added > 0) database.changed(key);
  return integer(added);
}

function remove({ database }: Client, args: readonly string[]): string {
  const key = args[1]!;
  const set = database.toChange(key, Members);
  if (set === undefined) return ZERO;
  let removed = 0;
  for (let at = 2; at < args.length; at++) if (set.delete(args[at]!)) removed++;
  if (removed > 0) database.changed(key);
  database.deleteIfEmpty(key, set);
  return integer(removed);
}

function areMembers(client: Client, args: readonly string[]): string {
  const set = setAt(client, args);
  return array(args.slice(2).map((member) => (set?.has(member) === true ? ONE : ZERO)));
}

function pop({ database }: Client, args: readonly string[]): string {
  const key = args[1]!;
  if (args.length > 3) throw new Refusal(SYNTAX);
  const count = args.length === 3 ? expectWhole(args[2]!, NOT_POSITIVE) : 1;
  if (count < 0) throw new Refusal(NOT_POSITIVE);
  const set = database.toChange(key, Members);
  if (set === undefined || count === 0) return args.length === 3 ? EMPTY_ARRAY : NIL;
  const popped = count === 1 ? [set.random()!] : set.sample(count);
  for (const member of popped) set.remove(member);
  database.changed(key);
  database.deleteIfEmpty(key, set);
  const names = popped.map(keyOf);
  writeDown(['SREM', key, ...names]);
  return args.length === 3 ? bulks(names) : bulk(names[0]!);
}

function random(client: Client, args: readonly string[]): string {
  if (args.length > 3) throw new Refusal(SYNTAX);
  if (args.length === 2) return bulkOrNil(setAt(client, args)?.random()?.key);
  const count = expectWhole(args[2]!);
  if (Math.abs(count) > 2 ** 62) throw new Refusal(OUT_OF_RANGE);
  const set = setAt(client, args);
  if (set === undefined) return EMPTY_ARRAY;
  return bulks(
    (count >= 0 ? set.sample(count) : Array.from({ length: -count }, () => set.random()!)).map(keyOf),
  );
}

function move({ database }: Client, args: readonly string[]): string {
  const [, from, to, member] = args as [string, string, string, string];
  const source = database.toChange(from, Members);
  if (source === undefined) return ZERO;
  database.at(to, Members);
  if (from === to) return source.has(member) ? ONE : ZERO;
  if (!source.delete(member)) return ZERO;
  database.changed(from);
  database.deleteIfEmpty(from, source);
  const target = database.toFill(to, Members);
  if (!target.has(member)) {
    target.add(new Member(own(member)));
    database.changed(to);
  }
  return ONE;
}
