// An entry as commands that make it. Large values become several, so that each is of a size that can be loaded.

import { type Entry, Hash } from './keyspace.ts';
import { List } from './list.ts';
import { bulks } from './reply.ts';

const ITEMS = 64;

export function commandsFor({ key, value, expiry }: Entry): string {
  if (typeof value === 'string') {
    return bulks(expiry === 0 ? ['SET', key, value] : ['SET', key, value, 'PXAT', String(expiry)]);
  }
  let text = '';
  if (value instanceof List) {
    for (let at = 0; at < value.length; at += ITEMS) {
      text += bulks(['RPUSH', key, ...value.range(at, Math.min(at + ITEMS, value.length) - 1)]);
    }
  } else if (value instanceof Hash) {
    for (let at = 0; at < value.size; at += ITEMS) {
      const fields = value.members.slice(at, at + ITEMS);
      text += bulks(['HSET', key, ...fields.flatMap((field) => [field.key, field.value])]);
    }
  } else {
    for (let at = 0; at < value.size; at += ITEMS) {
      text += bulks(['SADD', key, ...value.members.slice(at, at + ITEMS).map((member) => member.key)]);
    }
  }
  return expiry === 0 ? text : text + bulks(['PEXPIREAT', key, String(expiry)]);
}
