// The settings under the names that Redis has for them, for CONFIG GET and CONFIG SET.

import { Refusal } from './reply.ts';
import { LONGEST_REQUEST } from './resp.ts';
import { type Fsync, settings } from './settings.ts';

/** All that can be asked for; clients and redis-benchmark look at some of them. */
export function configuration(): Record<string, string> {
  const { subscriberHard, subscriberSoft, subscriberSeconds } = settings;
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
    'client-output-buffer-limit': `pubsub ${subscriberHard} ${subscriberSoft} ${subscriberSeconds}`,
    'client-query-buffer-limit': String(LONGEST_REQUEST),
  };
}

/** Changes a setting that can be changed while the server runs. */
export function configure(name: string, value: string): void {
  const wanted = name.toLowerCase();
  if (wanted === 'appendfsync' && /^(always|everysec|no)$/.test(value)) settings.fsync = value as Fsync;
  else if (wanted === 'auto-aof-rewrite-percentage') settings.rewritePercentage = count(wanted, value);
  else if (wanted === 'auto-aof-rewrite-min-size') settings.rewriteMinSize = count(wanted, value);
  else if (wanted === 'client-output-buffer-limit') setOutputLimit(value);
  // Redis saves snapshots, which are not there: to want none is no mistake.
  else if (wanted !== 'save' || value !== '') throw failed(name, value);
}

function setOutputLimit(value: string): void {
  const [kind, ...limits] = value.split(' ');
  const [hard, soft, seconds] = limits.map((limit) => count('client-output-buffer-limit', limit));
  if (kind !== 'pubsub' || seconds === undefined) throw failed('client-output-buffer-limit', value);
  settings.subscriberHard = hard! || Infinity;
  settings.subscriberSoft = soft! || Infinity;
  settings.subscriberSeconds = seconds;
}

function count(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw failed(name, text);
  return Number(text);
}

function failed(name: string, value: string): Refusal {
  return new Refusal(
    `ERR CONFIG SET failed (possibly related to argument '${name}') - cannot be set to '${value}'`,
  );
}
