// Commands for lists, but those that take elements out of them, which are in list-pops.ts.

import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { List } from '../list.ts';
import { expectWhole } from '../numbers.ts';
import {
  array,
  bulk,
  bulks,
  EMPTY_ARRAY,
  INDEX_OUT_OF_RANGE,
  integer,
  NIL,
  NO_SUCH_KEY,
  NOT_AN_INTEGER,
  OK,
  Refusal,
  SYNTAX,
  ZERO,
} from '../reply.ts';
import { own } from '../table.ts';

export const lists = [
  command('lpush', -3, 'write key', (client, args) => push(client, args, true, false)),
  command('rpush', -3, 'write key', (client, args) => push(client, args, false, false)),
  command('lpushx', -3, 'write key', (client, args) => push(client, args, true, true)),
  command('rpushx', -3, 'write key', (client, args) => push(client, args, false, true)),
  command('llen', 2, 'read key', (client, args) => integer(client.database.at(args[1]!, List)?.length ?? 0)),
  command('lrange', 4, 'read key', range),
  command('lindex', 3, 'read key', index),
  command('lset', 4, 'write key', set),
  command('linsert', 5, 'write key', insert),
  command('lrem', 4, 'write key', remove),
  command('ltrim', 4, 'write key', trim),
  command('lpos', -3, 'read key', position),
];

function push({ database }: Client, args: readonly string[], toLeft: boolean, onlyExisting: boolean): string {
  const key = args[1]!;
  const list = onlyExisting ? database.toChange(key, List) : database.toFill(key, List);
  if (list === undefined) return ZERO;
  for (let at = 2; at < args.length; at++) {
    if (toLeft) list.pushLeft(own(args[at]!));
    else list.pushRight(own(args[at]!));
  }
  database.changed(key);
  return integer(list.length);
}

/** Two indexes, negative ones being counted from the end, as first and last of what is there. */
function boundsIn(args: readonly string[], length: number): [from: number, to: number] {
  const [from, to] = [expectWhole(args[2]!), expectWhole(args[3]!)];
  return [from < 0 ? Math.max(0, length + from) : from, Math.min(length - 1, to < 0 ? length + to : to)];
}

function range({ database }: Client, args: readonly string[]): string {
  boundsIn(args, 0);
  const list = database.at(args[1]!, List);
  if (list === undefined) return EMPTY_ARRAY;
  const [from, to] = boundsIn(args, list.length);
  return from > to ? EMPTY_ARRAY : bulks(list.range(from, to));
}

function index({ database }: Client, args: readonly string[]): string {
  const list = database.at(args[1]!, List);
  if (list === undefined) return NIL;
  const at = expectWhole(args[2]!);
  const place = at < 0 ? list.length + at : at;
  return place >= 0 && place < list.length ? bulk(list.at(place)) : NIL;
}

function set({ database }: Client, args: readonly string[]): string {
  const list = database.toChange(args[1]!, List);
  if (list === undefined) throw new Refusal(NO_SUCH_KEY);
  const at = expectWhole(args[2]!);
  const place = at < 0 ? list.length + at : at;
  if (place < 0 || place >= list.length) throw new Refusal(INDEX_OUT_OF_RANGE);
  list.set(place, own(args[3]!));
  database.changed(args[1]!);
  return OK;
}

function insert({ database }: Client, args: readonly string[]): string {
  const [, key, where, pivot, element] = args as [string, string, string, string, string];
  if (!/^(before|after)$/i.test(where)) throw new Refusal(SYNTAX);
  const list = database.toChange(key, List);
  if (list === undefined) return ZERO;
  for (let at = 0; at < list.length; at++) {
    if (list.at(at) !== pivot) continue;
    list.insert(where.toUpperCase() === 'BEFORE' ? at : at + 1, own(element));
    database.changed(key);
    return integer(list.length);
  }
  return integer(-1);
}

function remove({ database }: Client, args: readonly string[]): string {
  const [, key, , unwanted] = args as [string, string, string, string];
  const count = expectWhole(args[2]!);
  const list = database.toChange(key, List);
  if (list === undefined) return ZERO;
  const removed = list.removeWhere((element) => element === unwanted, Math.abs(count) || Infinity, count < 0);
  if (removed > 0) database.changed(key);
  database.deleteIfEmpty(key, list);
  return integer(removed);
}

function trim({ database }: Client, args: readonly string[]): string {
  const key = args[1]!;
  boundsIn(args, 0);
  const list = database.toChange(key, List);
  if (list === undefined) return OK;
  const [from, to] = boundsIn(args, list.length);
  if (from > to) {
    database.delete(key);
  } else {
    list.trim(from, to);
    database.changed(key);
  }
  return OK;
}

function position({ database }: Client, args: readonly string[]): string {
  const [, key, wanted] = args as [string, string, string];
  const { rank, count, most } = positionOptions(args);
  const list = database.at(key, List);
  const found: string[] = [];
  const length = list?.length ?? 0;
  let skip = Math.abs(rank) - 1;
  for (let step = 0; step < Math.min(length, most || length); step++) {
    const at = rank > 0 ? step : length - 1 - step;
    if (list!.at(at) !== wanted || skip-- > 0) continue;
    found.push(integer(at));
    if (found.length === (count ?? 1)) break;
  }
  return count === undefined ? (found[0] ?? NIL) : array(found);
}

function positionOptions(args: readonly string[]): { rank: number; count: number | undefined; most: number } {
  let rank = 1;
  let count: number | undefined;
  let most = 0;
  for (let at = 3; at < args.length; at += 2) {
    const word = args[at]!.toUpperCase();
    const text = args[at + 1];
    if (text === undefined) throw new Refusal(SYNTAX);
    if (word === 'RANK') {
      rank = expectWhole(text);
      if (rank === 0) throw new Refusal(ZERO_RANK);
    } else if (word === 'COUNT') {
      count = notNegative(text, "ERR COUNT can't be negative");
    } else if (word === 'MAXLEN') {
      most = notNegative(text, "ERR MAXLEN can't be negative");
    } else {
      throw new Refusal(SYNTAX);
    }
  }
  return { rank, count, most };
}

const ZERO_RANK =
  "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... " +
  'or use negative to start from the end of the list';

function notNegative(text: string, refusal: string): number {
  const value = expectWhole(text, NOT_AN_INTEGER);
  if (value < 0) throw new Refusal(refusal);
  return value;
}
