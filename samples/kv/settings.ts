// What can be set: from the environment when the server starts, some of it by CONFIG SET later.

import { join } from 'node:path';

export type Fsync = 'always' | 'everysec' | 'no';

const environment = process.env;

export const settings = {
  host: environment['HOST'] ?? '127.0.0.1',
  port: Number(environment['PORT'] ?? 6379),
  dir: environment['DIR'] ?? '.',
  appendFilename: environment['APPENDFILENAME'] ?? 'appendonly.aof',
  appendOnly: oneOf('APPENDONLY', ['no', 'yes']) === 'yes',
  /** When the disk has to confirm what was written: before a client is answered, each second, or when it likes. */
  fsync: oneOf('APPENDFSYNC', ['everysec', 'always', 'no']),
  /** The append-only file is rewritten when it has grown by so many percent, and has so many bytes. */
  rewritePercentage: Number(environment['AUTO_AOF_REWRITE_PERCENTAGE'] ?? 100),
  rewriteMinSize: Number(environment['AUTO_AOF_REWRITE_MIN_SIZE'] ?? 64 * 1024 * 1024),
  /** A subscriber for which more bytes than this wait is dropped; or more than the softer bound for so many seconds. */
  subscriberHard: Number(environment['SUBSCRIBER_HARD'] ?? 32 * 1024 * 1024),
  subscriberSoft: Number(environment['SUBSCRIBER_SOFT'] ?? 8 * 1024 * 1024),
  subscriberSeconds: Number(environment['SUBSCRIBER_SECONDS'] ?? 60),
};

/** Where the append-only file stands. */
export function appendOnlyPath(): string {
  return join(settings.dir, settings.appendFilename);
}

/** A setting of the environment that has one of these values; the first is the default. */
function oneOf<Choice extends string>(name: string, choices: readonly [Choice, ...Choice[]]): Choice {
  const value = environment[name] ?? choices[0];
  const choice = choices.find((one) => one === value);
  if (choice === undefined) throw new TypeError(`${name} is one of ${choices.join(', ')}, got ${value}`);
  return choice;
}
