// What OBJECT ENCODING says: the names of Redis for how it would store such a value. Here nothing is stored differently.

import { Hash, type Value } from './keyspace.ts';
import { List } from './list.ts';
import { wholeOf } from './numbers.ts';

const EMBEDDED = 44;
const SMALL_HASH = 128;
const SMALL_FIELD = 64;
const SMALL_SET = 512;

export function encodingOf(value: Value): string {
  if (typeof value === 'string') {
    if (wholeOf(value) !== undefined) return 'int';
    return value.length <= EMBEDDED ? 'embstr' : 'raw';
  }
  if (value instanceof List) return 'quicklist';
  if (value instanceof Hash) {
    const isSmall = value.members.every(
      (field) => field.key.length <= SMALL_FIELD && field.value.length <= SMALL_FIELD,
    );
    return value.size <= SMALL_HASH && isSmall ? 'listpack' : 'hashtable';
  }
  const areNumbers = value.size <= SMALL_SET && value.members.every(({ key }) => wholeOf(key) !== undefined);
  return areNumbers ? 'intset' : 'hashtable';
}
