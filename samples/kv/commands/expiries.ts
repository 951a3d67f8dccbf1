// Commands that say when a key expires, and ask for it.

import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { timeOf } from '../expire-time.ts';
import { clock } from '../keyspace.ts';
import { writeDown } from '../journal.ts';
import { expectWhole } from '../numbers.ts';
import { integer, ONE, Refusal, ZERO } from '../reply.ts';

export const expiries = [
  command('expire', -3, 'write key', (client, args) => expire(client, args, 'EX')),
  command('pexpire', -3, 'write key', (client, args) => expire(client, args, 'PX')),
  command('expireat', -3, 'write key', (client, args) => expire(client, args, 'EXAT')),
  command('pexpireat', -3, 'write key', (client, args) => expire(client, args, 'PXAT')),
  command('ttl', 2, 'read key', (client, args) =>
    when(client, args, (expiry) => seconds(expiry - Date.now())),
  ),
  command('pttl', 2, 'read key', (client, args) =>
    when(client, args, (expiry) => Math.max(0, expiry - Date.now())),
  ),
  command('expiretime', 2, 'read key', (client, args) => when(client, args, seconds)),
  command('pexpiretime', 2, 'read key', (client, args) => when(client, args, (expiry) => expiry)),
  command('persist', 2, 'write key', persist),
];

function expire({ database }: Client, args: readonly string[], unit: string): string {
  const [name, key, text] = args as [string, string, string];
  const conditions = conditionsIn(args);
  const time = timeOf(expectWhole(text), unit, name);
  const entry = database.find(key);
  if (entry === undefined || !conditions.every((word) => holds(word, entry.expiry, time))) return ZERO;
  if (time <= Date.now() && !clock.isLoading) {
    database.delete(key);
    writeDown(['DEL', key]);
  } else {
    // Zero means never.
    database.setExpiry(key, Math.max(1, time));
    writeDown(['PEXPIREAT', key, String(time)]);
  }
  return ONE;
}

function conditionsIn(args: readonly string[]): string[] {
  const words = args.slice(3).map((word) => word.toUpperCase());
  const unknown = words.findIndex((word) => !['NX', 'XX', 'GT', 'LT'].includes(word));
  if (unknown >= 0) throw new Refusal(`ERR Unsupported option ${args[3 + unknown]!}`);
  if (words.includes('NX') && words.some((word) => word !== 'NX')) {
    throw new Refusal('ERR NX and XX, GT or LT options at the same time are not compatible');
  }
  if (words.includes('GT') && words.includes('LT')) {
    throw new Refusal('ERR GT and LT options at the same time are not compatible');
  }
  return words;
}

/** Whether a condition holds; who never expires does so later than anybody else. */
function holds(condition: string, expiry: number, time: number): boolean {
  if (condition === 'NX') return expiry === 0;
  if (condition === 'XX') return expiry !== 0;
  return condition === 'GT' ? expiry !== 0 && time > expiry : expiry === 0 || time < expiry;
}

function when({ database }: Client, args: readonly string[], show: (expiry: number) => number): string {
  const entry = database.find(args[1]!);
  if (entry === undefined) return integer(-2);
  return integer(entry.expiry === 0 ? -1 : show(entry.expiry));
}

function seconds(ms: number): number {
  return Math.floor((Math.max(0, ms) + 500) / 1000);
}

function persist({ database }: Client, args: readonly string[]): string {
  const entry = database.find(args[1]!);
  if (entry === undefined || entry.expiry === 0) return ZERO;
  database.setExpiry(entry.key, 0);
  return ONE;
}
