// Texts that are numbers: whole ones of 64 bits, and fractions.

import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { addFractions } from '../fractions.ts';
import { writeDown } from '../journal.ts';
import { sumOf, wholeOf } from '../numbers.ts';
import { bulk, integer, NOT_AN_INTEGER, Refusal } from '../reply.ts';

export const counters = [
  command('incr', 2, 'write key', (client, args) => increase(client, args[1]!, 1)),
  command('decr', 2, 'write key', (client, args) => increase(client, args[1]!, -1)),
  command('incrby', 3, 'write key', (client, args) => increase(client, args[1]!, expectInteger(args[2]!))),
  command('decrby', 3, 'write key', (client, args) => increase(client, args[1]!, negative(args[2]!))),
  command('incrbyfloat', 3, 'write key', increaseByFraction),
];

function increase({ database }: Client, key: string, by: number | bigint): string {
  const text = database.text(key);
  const sum = sumOf(text === undefined ? 0 : expectInteger(text), by);
  if (sum === undefined) throw new Refusal('ERR increment or decrement would overflow');
  // Made once: the digits of a number cost more than all the rest.
  const digits = String(sum);
  database.set(key, digits, true);
  return integer(digits);
}

function expectInteger(text: string): number | bigint {
  const value = wholeOf(text);
  if (value === undefined) throw new Refusal(NOT_AN_INTEGER);
  return value;
}

function negative(text: string): number | bigint {
  const value = expectInteger(text);
  if (value === -(2n ** 63n)) throw new Refusal('ERR decrement would overflow');
  return value === 0 ? 0 : -value;
}

function increaseByFraction({ database }: Client, args: readonly string[]): string {
  const [, key, by] = args as [string, string, string];
  const sum = addFractions(database.text(key) ?? '0', by);
  database.set(key, sum, true);
  writeDown(['SET', key, sum, 'KEEPTTL']);
  return bulk(sum);
}
