// What several sets have in common, all that is in them, and what is in the first alone.

import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { type Database, Members } from '../keyspace.ts';
import { expectWhole } from '../numbers.ts';
import { bulks, integer, Refusal, SYNTAX, ZERO } from '../reply.ts';
import { Member } from '../table.ts';

type Combine = (sets: readonly (Members | undefined)[]) => Iterable<string>;

export const setAlgebra = [
  command('sinter', -2, 'read keys', (client, args) => bulks(combined(client, args, 1, intersection))),
  command('sunion', -2, 'read keys', (client, args) => bulks(combined(client, args, 1, union))),
  command('sdiff', -2, 'read keys', (client, args) => bulks(combined(client, args, 1, difference))),
  command('sinterstore', -3, 'write keys', (client, args) => store(client, args, intersection)),
  command('sunionstore', -3, 'write keys', (client, args) => store(client, args, union)),
  command('sdiffstore', -3, 'write keys', (client, args) => store(client, args, difference)),
  command('sintercard', -3, 'read', countCommon),
];

function combined(client: Client, args: readonly string[], from: number, combine: Combine): Iterable<string> {
  return combine(setsAt(client.database, args.slice(from)));
}

/** All sets are looked at before anything is done: one that is none is refused. */
function setsAt(database: Database, keys: readonly string[]): (Members | undefined)[] {
  return keys.map((key) => database.at(key, Members));
}

function store(client: Client, args: readonly string[], combine: Combine): string {
  const { database } = client;
  const key = args[1]!;
  const result = new Members();
  for (const member of combined(client, args, 2, combine)) result.add(new Member(member));
  if (result.size > 0) database.set(key, result);
  else if (!database.delete(key)) return ZERO;
  return integer(result.size);
}

function* intersection(sets: readonly (Members | undefined)[]): Generator<string, void> {
  if (sets.includes(undefined)) return;
  const [smallest, ...others] = (sets as Members[]).toSorted((one, other) => one.size - other.size);
  for (const { key } of smallest!.members) if (others.every((set) => set.has(key))) yield key;
}

function union(sets: readonly (Members | undefined)[]): Set<string> {
  return new Set(sets.flatMap((set) => (set?.members ?? []).map(({ key }) => key)));
}

function* difference([first, ...others]: readonly (Members | undefined)[]): Generator<string, void> {
  for (const { key } of first?.members ?? []) if (!others.some((set) => set?.has(key) === true)) yield key;
}

function countCommon({ database }: Client, args: readonly string[]): string {
  const number = expectWhole(args[1]!, 'ERR numkeys should be greater than 0');
  if (number < 1) throw new Refusal('ERR numkeys should be greater than 0');
  if (number > args.length - 2) throw new Refusal("ERR Number of keys can't be greater than number of args");
  const rest = args.slice(2 + number);
  let limit = 0;
  if (rest.length > 0) {
    if (rest.length !== 2 || rest[0]!.toUpperCase() !== 'LIMIT') throw new Refusal(SYNTAX);
    limit = expectWhole(rest[1]!, "ERR LIMIT can't be negative");
    if (limit < 0) throw new Refusal("ERR LIMIT can't be negative");
  }
  let count = 0;
  for (const _ of intersection(setsAt(database, args.slice(2, 2 + number)))) if (++count === limit) break;
  return integer(count);
}
