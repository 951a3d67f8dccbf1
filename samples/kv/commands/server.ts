// Commands about the server: what it is, how it is set, and all of its data at once.

import { pauseFor } from '../blocking.ts';
import type { Client } from '../clients.ts';
import { allCommands, command, type Command, findCommand } from '../command.ts';
import { globMatches } from '../glob.ts';
import { information } from '../information.ts';
import { databases } from '../keyspace.ts';
import {
  array,
  bulk,
  bulks,
  EMPTY_ARRAY,
  integer,
  NIL_ARRAY,
  OK,
  Refusal,
  simple,
  SYNTAX,
  ZERO,
} from '../reply.ts';
import { rewrite } from '../rewrite.ts';
import { configuration, configure } from '../configuration.ts';

export const server = [
  command('info', -1, '', (_, args) => bulk(information(args.slice(1)))),
  command('config', -2, '', config),
  command('command', -1, '', aboutCommands),
  command('debug', -2, '', debug),
  command('flushdb', -1, 'write', (client, args) => flush(args, [client.database])),
  command('flushall', -1, 'write', (_, args) => flush(args, databases)),
  command('function', -2, '', aboutFunctions),
  command(
    'bgrewriteaof',
    1,
    '',
    () => (rewrite.ask(), simple('Background append only file rewriting started')),
  ),
  command('time', 1, '', time),
  command('wait', 3, '', () => ZERO),
];

function config(_: Client, args: readonly string[]): string {
  const word = args[1]!.toUpperCase();
  if (word === 'GET' && args.length > 2) {
    const patterns = args.slice(2).map((pattern) => pattern.toLowerCase());
    const isAsked = (name: string): boolean => patterns.some((pattern) => globMatches(pattern, name));
    return bulks(
      Object.entries(configuration())
        .filter(([name]) => isAsked(name))
        .flat(),
    );
  }
  if (word === 'SET' && args.length > 3 && args.length % 2 === 0) {
    for (let at = 2; at < args.length; at += 2) configure(args[at]!, args[at + 1]!);
    return OK;
  }
  if (word === 'RESETSTAT' && args.length === 2) return OK;
  throw new Refusal(
    `ERR unknown subcommand or wrong number of arguments for '${args[1]!.slice(0, 128)}'. Try CONFIG HELP.`,
  );
}

function aboutCommands(_: Client, args: readonly string[]): string {
  const word = args[1]?.toUpperCase();
  if (word === 'COUNT') return integer(allCommands().length);
  if (word === 'LIST') return bulks(allCommands().map(({ name }) => name));
  const named = args.slice(2).map((name) => findCommand(name));
  const chosen = named.length > 0 ? named : allCommands();
  if (word === 'DOCS') {
    return array(chosen.flatMap((one) => (one === undefined ? [] : [bulk(one.name), docsOf(one)])));
  }
  if (word === undefined || word === 'INFO') {
    return array(chosen.map((one) => (one === undefined ? NIL_ARRAY : infoOf(one))));
  }
  throw new Refusal(`ERR unknown subcommand '${args[1]!.slice(0, 128)}'. Try COMMAND HELP.`);
}

function docsOf({ name }: Command): string {
  return bulks(['summary', `As in Redis: https://redis.io/commands/${name}`, 'since', '1.0.0']);
}

function infoOf({ name, arity, traits }: Command): string {
  const flags = traits.flatMap((trait) => {
    if (trait === 'read') return ['readonly'];
    return trait === 'write' || trait === 'pubsub' ? [trait] : [];
  });
  const places: Readonly<Record<string, [number, number, number]>> = {
    key: [1, 1, 1],
    keys: [1, -1, 1],
    pairs: [1, -1, 2],
    two: [1, 2, 1],
  };
  const [first, last, step] = traits.flatMap((trait) => places[trait] ?? []).slice(0, 3);
  const keys = [first ?? 0, last ?? 0, step ?? 0].map((place) => integer(place));
  const rest = [EMPTY_ARRAY, EMPTY_ARRAY, EMPTY_ARRAY, EMPTY_ARRAY];
  return array([bulk(name), integer(arity), array(flags.map(simple)), ...keys, ...rest]);
}

function debug(client: Client, args: readonly string[]): string {
  const word = args[1]!.toUpperCase();
  if (word === 'SLEEP' && args.length === 3) {
    const seconds = Number(args[2]);
    if (!(seconds >= 0 && seconds < 1e9)) throw new Refusal('ERR value is not a valid float');
    return client.isInTransaction ? OK : pauseFor(client, seconds * 1000, OK);
  }
  throw new Refusal(
    `ERR unknown subcommand or wrong number of arguments for '${args[1]!.slice(0, 128)}'. Try DEBUG HELP.`,
  );
}

function flush(args: readonly string[], which: readonly { clear(): void }[]): string {
  if (args.length > 2 || (args.length === 2 && !/^(sync|async)$/i.test(args[1]!))) throw new Refusal(SYNTAX);
  for (const database of which) database.clear();
  return OK;
}

/** There are no functions, and so none to flush; clients' test suites ask for it. */
function aboutFunctions(_: Client, args: readonly string[]): string {
  const word = args[1]!.toUpperCase();
  if (word === 'FLUSH') return OK;
  if (word === 'LIST') return EMPTY_ARRAY;
  throw new Refusal(`ERR unknown subcommand '${args[1]!.slice(0, 128)}'. Try FUNCTION HELP.`);
}

function time(): string {
  const now = Date.now();
  return bulks([String(Math.floor(now / 1000)), String((now % 1000) * 1000)]);
}
