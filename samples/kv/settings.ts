// What can be set: from the environment when the server starts, some of it by CONFIG SET later.

import { join } from 'node:path';
import { folder, refuseToStart, text, whereToListen, whole } from '../environment.ts';
import { memoryOf } from './numbers.ts';

export type Fsync = 'always' | 'everysec' | 'no';

export const settings = {
  ...whereToListen(6379),
  dir: folder('DIR', '.'),
  appendFilename: text('APPENDFILENAME') ?? 'appendonly.aof',
  appendOnly: oneOf('APPENDONLY', ['no', 'yes']) === 'yes',
  /** When the disk has to confirm what was written: before a client is answered, each second, or when it likes. */
  fsync: oneOf('APPENDFSYNC', ['everysec', 'always', 'no']),
  /** The append-only file is rewritten when it has grown by so many percent, and has so many bytes. */
  rewritePercentage: whole('AUTO_AOF_REWRITE_PERCENTAGE', 100),
  rewriteMinSize: memory('AUTO_AOF_REWRITE_MIN_SIZE', '64mb'),
  /** A subscriber for which more bytes than this wait is dropped; or more than the softer bound for so many seconds. 0 is no bound. */
  subscriberHard: memory('SUBSCRIBER_HARD', '32mb') || Infinity,
  subscriberSoft: memory('SUBSCRIBER_SOFT', '8mb') || Infinity,
  subscriberSeconds: whole('SUBSCRIBER_SECONDS', 60),
};

/** Where the append-only file stands. */
export function appendOnlyPath(): string {
  return join(settings.dir, settings.appendFilename);
}

/** A setting of the environment that has one of these values; the first is the default. */
function oneOf<Choice extends string>(name: string, choices: readonly [Choice, ...Choice[]]): Choice {
  const value = text(name) ?? choices[0];
  const choice = choices.find((one) => one === value);
  return choice ?? refuseToStart(`${name} expects one of ${choices.join(', ')}, got "${value}"`);
}

function memory(name: string, fallback: string): number {
  const value = text(name) ?? fallback;
  return memoryOf(value) ?? refuseToStart(`${name} expects an amount of memory such as 64mb, got "${value}"`);
}
