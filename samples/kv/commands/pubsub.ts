// Channels. A message becomes bytes once and is sent to all who listen; who does not read is dropped (`Client.push`).

import { Buffer } from 'node:buffer';
import type { Client } from '../clients.ts';
import { command } from '../command.ts';
import { globMatches } from '../glob.ts';
import { array, bulk, bulkOrNil, bulks, integer, Refusal } from '../reply.ts';
import { own } from '../table.ts';

/** Who listens to what, by the name of a channel, and by a pattern. */
const listeners = { channels: new Map<string, Set<Client>>(), patterns: new Map<string, Set<Client>>() };

type Kind = keyof typeof listeners;

export const pubsub = [
  command('subscribe', -2, 'subscriber pubsub', (client, args) => subscribe(client, args, 'channels')),
  command('psubscribe', -2, 'subscriber pubsub', (client, args) => subscribe(client, args, 'patterns')),
  command('unsubscribe', -1, 'subscriber pubsub', (client, args) =>
    unsubscribe(client, args.slice(1), 'channels'),
  ),
  command('punsubscribe', -1, 'subscriber pubsub', (client, args) =>
    unsubscribe(client, args.slice(1), 'patterns'),
  ),
  command('publish', 3, 'pubsub', (_, args) => integer(publish(args[1]!, args[2]!))),
  command('pubsub', -2, 'pubsub', about),
];

function wordFor(kind: Kind): string {
  return kind === 'channels' ? 'subscribe' : 'psubscribe';
}

function subscribe(client: Client, args: readonly string[], kind: Kind): string {
  let reply = '';
  for (const name of args.slice(1)) {
    if (!client[kind].has(name)) {
      const key = own(name);
      client[kind].add(key);
      const line = listeners[kind].get(key);
      if (line === undefined) listeners[kind].set(key, new Set([client]));
      else line.add(client);
    }
    reply += told(client, wordFor(kind), name);
  }
  return reply;
}

function unsubscribe(client: Client, names: readonly string[], kind: Kind): string {
  const word = `${kind === 'channels' ? 'un' : 'pun'}subscribe`;
  const leaving = names.length > 0 ? names : [...client[kind]];
  if (leaving.length === 0) return told(client, word, undefined);
  let reply = '';
  for (const name of leaving) {
    if (client[kind].delete(name)) {
      const line = listeners[kind].get(name)!;
      line.delete(client);
      if (line.size === 0) listeners[kind].delete(name);
    }
    reply += told(client, word, name);
  }
  return reply;
}

function told(client: Client, word: string, name: string | undefined): string {
  return array([bulk(word), bulkOrNil(name), integer(client.channels.size + client.patterns.size)]);
}

export function unsubscribeAll(client: Client): void {
  unsubscribe(client, [], 'channels');
  unsubscribe(client, [], 'patterns');
}

/** Sends a message to all who listen; says how many those are. */
function publish(channel: string, message: string): number {
  let count = 0;
  const sendTo = (line: Iterable<Client>, texts: readonly string[]): void => {
    const bytes = Buffer.from(bulks(texts), 'latin1');
    for (const client of line) {
      client.push(bytes);
      count++;
    }
  };
  const line = listeners.channels.get(channel);
  if (line !== undefined) sendTo(line, ['message', channel, message]);
  for (const [pattern, clients] of listeners.patterns) {
    if (globMatches(pattern, channel)) sendTo(clients, ['pmessage', pattern, channel, message]);
  }
  return count;
}

function about(_: Client, args: readonly string[]): string {
  const what = args[1]!.toUpperCase();
  if (what === 'CHANNELS' && args.length <= 3) {
    const pattern = args[2] ?? '*';
    return bulks([...listeners.channels.keys()].filter((name) => globMatches(pattern, name)));
  }
  if (what === 'NUMSUB') {
    const counts = args.slice(2).map((name) => bulk(name) + integer(listeners.channels.get(name)?.size ?? 0));
    return `*${2 * counts.length}\r\n${counts.join('')}`;
  }
  if (what === 'NUMPAT' && args.length === 2) return integer(listeners.patterns.size);
  throw new Refusal(
    `ERR unknown subcommand or wrong number of arguments for '${args[1]!.slice(0, 128)}'. Try PUBSUB HELP.`,
  );
}
