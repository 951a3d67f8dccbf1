// Commands that take elements out of lists, and those that wait until there is one.

import { takeOrWait } from '../blocking.ts';
import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { writeDown } from '../journal.ts';
import type { Database } from '../keyspace.ts';
import { List } from '../list.ts';
import { expectWhole, timeoutOf } from '../numbers.ts';
import { array, bulk, bulks, NIL, NIL_ARRAY, NOT_POSITIVE, Refusal, SYNTAX } from '../reply.ts';

type Side = 'LEFT' | 'RIGHT';

export const listPops = [
  command('lpop', -2, 'write key', (client, args) => pop(client, args, 'LEFT')),
  command('rpop', -2, 'write key', (client, args) => pop(client, args, 'RIGHT')),
  command('lmove', 5, 'write two', (client, args) => move(client, args, sideOf(args[3]!), sideOf(args[4]!))),
  command('rpoplpush', 3, 'write two', (client, args) => move(client, args, 'RIGHT', 'LEFT')),
  command('lmpop', -4, 'write', popFromFirst),
  command('blpop', -3, 'write keys', (client, args) => waitToPop(client, args, 'LEFT')),
  command('brpop', -3, 'write keys', (client, args) => waitToPop(client, args, 'RIGHT')),
  command('blmove', 6, 'write two', (client, args) =>
    waitToMove(client, args, sideOf(args[3]!), sideOf(args[4]!)),
  ),
  command('brpoplpush', 4, 'write two', (client, args) => waitToMove(client, args, 'RIGHT', 'LEFT')),
  command('blmpop', -5, 'write', waitToPopFromFirst),
];

function sideOf(word: string): Side {
  const side = word.toUpperCase();
  if (side !== 'LEFT' && side !== 'RIGHT') throw new Refusal(SYNTAX);
  return side;
}

function take(database: Database, key: string, list: List, side: Side): string {
  const element = side === 'LEFT' ? list.popLeft() : list.popRight();
  if (list.length === 0) database.delete(key);
  else database.changed(key);
  return element;
}

function pop({ database }: Client, args: readonly string[], side: Side): string {
  const key = args[1]!;
  if (args.length > 3)
    throw new Refusal(`ERR wrong number of arguments for '${args[0]!.toLowerCase()}' command`);
  if (args.length === 2) {
    const one = database.toChange(key, List);
    return one === undefined ? NIL : bulk(take(database, key, one, side));
  }
  const count = expectWhole(args[2]!, NOT_POSITIVE);
  if (count < 0) throw new Refusal(NOT_POSITIVE);
  const list = database.toChange(key, List);
  return list === undefined ? NIL_ARRAY : bulks(takeSome(database, key, list, side, count));
}

function takeSome(database: Database, key: string, list: List, side: Side, count: number): string[] {
  return Array.from({ length: Math.min(count, list.length) }, () => take(database, key, list, side));
}

/** Takes from one list and gives to another; refuses if the other is none, with nothing taken. */
function transfer(
  database: Database,
  from: string,
  list: List,
  to: string,
  sides: [from: Side, to: Side],
): string {
  database.at(to, List);
  if (from === to) {
    // It must not be gone in between: whoever waits for it would be told that it has come.
    const element = sides[0] === 'LEFT' ? list.popLeft() : list.popRight();
    put(list, element, sides[1]);
    database.changed(to);
    return bulk(element);
  }
  const element = take(database, from, list, sides[0]);
  put(database.toFill(to, List), element, sides[1]);
  database.changed(to);
  return bulk(element);
}

function put(list: List, element: string, side: Side): void {
  if (side === 'LEFT') list.pushLeft(element);
  else list.pushRight(element);
}

function move({ database }: Client, args: readonly string[], ...sides: [Side, Side]): string {
  const [, from, to] = args as [string, string, string];
  const list = database.toChange(from, List);
  return list === undefined ? NIL : transfer(database, from, list, to, sides);
}

interface PopRequest {
  readonly keys: readonly string[];
  readonly side: Side;
  readonly count: number;
}

/** Reads `numkeys key … LEFT|RIGHT [COUNT count]`. */
function popRequest(args: readonly string[], from: number): PopRequest {
  const number = expectWhole(args[from]!, 'ERR numkeys should be greater than 0');
  if (number < 1) throw new Refusal('ERR numkeys should be greater than 0');
  const after = from + 1 + number;
  if (after >= args.length) throw new Refusal(SYNTAX);
  const side = sideOf(args[after]!);
  let count = 1;
  if (args.length > after + 1) {
    if (args.length !== after + 3 || args[after + 1]!.toUpperCase() !== 'COUNT') throw new Refusal(SYNTAX);
    count = expectWhole(args[after + 2]!, 'ERR count should be greater than 0');
    if (count < 1) throw new Refusal('ERR count should be greater than 0');
  }
  return { keys: args.slice(from + 1, after), side, count };
}

function takeRequested(database: Database, { side, count }: PopRequest, key: string, list: List): string {
  const elements = takeSome(database, key, list, side, count);
  writeDown([side === 'LEFT' ? 'LPOP' : 'RPOP', key, String(elements.length)]);
  return array([bulk(key), bulks(elements)]);
}

function popFromFirst({ database }: Client, args: readonly string[]): string {
  const request = popRequest(args, 1);
  for (const key of request.keys) {
    const list = database.toChange(key, List);
    if (list !== undefined) return takeRequested(database, request, key, list);
  }
  return NIL_ARRAY;
}

function waitToPop(client: Client, args: readonly string[], side: Side): string {
  const { database } = client;
  return takeOrWait(client, {
    database,
    keys: args.slice(1, -1),
    timeout: timeoutOf(args.at(-1)!),
    otherwise: NIL_ARRAY,
    take(key, list) {
      writeDown([side === 'LEFT' ? 'LPOP' : 'RPOP', key]);
      return bulks([key, take(database, key, list, side)]);
    },
  });
}

function waitToMove(client: Client, args: readonly string[], ...sides: [Side, Side]): string {
  const { database } = client;
  const [, from, to] = args as [string, string, string];
  return takeOrWait(client, {
    database,
    keys: [from],
    timeout: timeoutOf(args.at(-1)!),
    otherwise: NIL,
    take(key, list) {
      const reply = transfer(database, key, list, to, sides);
      writeDown(['LMOVE', key, to, ...sides]);
      return reply;
    },
  });
}

function waitToPopFromFirst(client: Client, args: readonly string[]): string {
  const { database } = client;
  const request = popRequest(args, 2);
  const timeout = timeoutOf(args[1]!);
  return takeOrWait(client, {
    database,
    keys: request.keys,
    timeout,
    otherwise: NIL_ARRAY,
    take: (key, list) => takeRequested(database, request, key, list),
  });
}
