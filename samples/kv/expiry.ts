// Keys that nobody looks at expire here: a few of each database are picked at random, ten times a second, and as long
// as many of those are over, more. So the time it takes follows the number of keys that expire, not that of keys.

import { type Co, every, pause } from 'skein';
import { databases } from './keyspace.ts';

const SAMPLE = 20;
/** Of those; with more over than this, the database is looked at again. */
const MANY = 5;
/** Milliseconds between two rounds. */
const PERIOD = 100;

export function* expireInBackground(): Co<void> {
  const tick = every(PERIOD);
  for (;;) {
    yield* tick;
    for (const database of databases) {
      while (database.expiringSize > 0 && database.expireSome(SAMPLE) > MANY) yield* pause();
    }
  }
}
