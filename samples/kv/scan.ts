// The words that SCAN and its kin take, and the reply of those that go through one value.

import { globMatches } from './glob.ts';
import { expectWhole, wholeOf } from './numbers.ts';
import { array, bulk, bulks, Refusal, SYNTAX } from './reply.ts';
import type { Member, Table } from './table.ts';

interface ScanOptions {
  readonly cursor: number;
  readonly count: number;
  readonly matches: (key: string) => boolean;
  readonly type: string | undefined;
}

const USUAL = 10;

/** Takes the words from the cursor on; `TYPE` is for SCAN alone. */
export function scanOptions(args: readonly string[], from: number): ScanOptions {
  const cursor = wholeOf(args[from]!);
  if (cursor === undefined || cursor < 0) throw new Refusal('ERR invalid cursor');
  let count = USUAL;
  let pattern = '*';
  let type: string | undefined;
  for (let at = from + 1; at < args.length; at += 2) {
    const word = args[at]!.toUpperCase();
    const value = args[at + 1];
    if (value === undefined) throw new Refusal(SYNTAX);
    if (word === 'COUNT') {
      count = expectWhole(value);
      if (count < 1) throw new Refusal(SYNTAX);
    } else if (word === 'MATCH') {
      pattern = value;
    } else if (word === 'TYPE' && from === 1) {
      type = value.toLowerCase();
    } else {
      throw new Refusal(SYNTAX);
    }
  }
  return { cursor: Number(cursor), count, matches: (key) => globMatches(pattern, key), type };
}

export function scanValue<M extends Member>(
  args: readonly string[],
  table: Table<M> | undefined,
  show: (member: M) => readonly string[],
): string {
  const { cursor, count, matches } = scanOptions(args, 2);
  const found: string[] = [];
  const visit = (member: M): void => void (matches(member.key) && found.push(...show(member)));
  const next = table?.scan(cursor, count, visit) ?? 0;
  return array([bulk(String(next)), bulks(found)]);
}
