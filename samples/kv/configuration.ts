// The settings under the names that Redis has for them, for CONFIG GET and CONFIG SET.

import { memoryOf, wholeOf } from './numbers.ts';
import { Refusal } from './reply.ts';
import { LONGEST_REQUEST } from './resp.ts';
import { type Fsync, settings } from './settings.ts';

/** All that can be asked for; clients and redis-benchmark look at some of them. */
export function configuration(): Record<string, string> {
  const [hard, soft] = [settings.subscriberHard, settings.subscriberSoft].map((bytes) =>
    bytes === Infinity ? 0 : bytes,
  );
  return {
    save: '',
    databases: '16',
    maxmemory: '0',
    bind: settings.host,
    port: String(settings.port),
    dir: settings.dir,
    appendonly: settings.appendOnly ? 'yes' : 'no',
    appendfilename: settings.appendFilename,
    appendfsync: settings.fsync,
    'auto-aof-rewrite-percentage': String(settings.rewritePercentage),
    'auto-aof-rewrite-min-size': String(settings.rewriteMinSize),
    'client-output-buffer-limit': `pubsub ${hard} ${soft} ${settings.subscriberSeconds}`,
    'client-query-buffer-limit': String(LONGEST_REQUEST),
  };
}

/** Changes a setting that can be changed while the server runs. */
export function configure(name: string, value: string): void {
  const wanted = name.toLowerCase();
  if (wanted === 'appendfsync') settings.fsync = fsyncOf(value);
  else if (wanted === 'auto-aof-rewrite-percentage') settings.rewritePercentage = percentageOf(value);
  else if (wanted === 'auto-aof-rewrite-min-size') settings.rewriteMinSize = sizeOf(value);
  else if (wanted === 'client-output-buffer-limit') setOutputLimit(value);
  // Redis saves snapshots, which are not there: to want none is no mistake.
  else if (wanted !== 'save' || value !== '') throw failed(name, `cannot be set to '${value.slice(0, 128)}'`);
}

function fsyncOf(value: string): Fsync {
  if (/^(always|everysec|no)$/.test(value)) return value as Fsync;
  throw failed('appendfsync', 'argument(s) must be one of the following: everysec, always, no');
}

function percentageOf(value: string): number {
  const percentage = wholeOf(value);
  if (percentage === undefined) {
    throw failed('auto-aof-rewrite-percentage', "argument couldn't be parsed into an integer");
  }
  if (percentage >= 0 && percentage < 2 ** 31) return Number(percentage);
  throw failed('auto-aof-rewrite-percentage', 'argument must be between 0 and 2147483647 inclusive');
}

function sizeOf(value: string): number {
  const size = memoryOf(value);
  if (size === undefined) throw failed('auto-aof-rewrite-min-size', 'argument must be a memory value');
  return size;
}

function setOutputLimit(value: string): void {
  const name = 'client-output-buffer-limit';
  const [kind, ...limits] = value.split(' ');
  if (limits.length !== 3) throw failed(name, 'Wrong number of arguments in buffer limit configuration.');
  if (kind !== 'pubsub') throw failed(name, 'Invalid client class specified in buffer limit configuration.');
  const [hard, soft, seconds] = [memoryOf(limits[0]!), memoryOf(limits[1]!), wholeOf(limits[2]!)];
  if (hard === undefined || soft === undefined || typeof seconds !== 'number' || seconds < 0) {
    throw failed(name, 'Error in hard, soft or soft_seconds setting in buffer limit configuration.');
  }
  settings.subscriberHard = hard || Infinity;
  settings.subscriberSoft = soft || Infinity;
  settings.subscriberSeconds = seconds;
}

function failed(name: string, why: string): Refusal {
  return new Refusal(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`);
}
