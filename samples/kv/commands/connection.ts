// Commands about the connection itself.

import { type Client, clients } from '../clients.ts';
import { command } from '../command.ts';
import { wrongNumber } from '../dispatch.ts';
import { databases } from '../keyspace.ts';
import { expectWhole, wholeOf } from '../numbers.ts';
import {
  array,
  bulk,
  bulkOrNil,
  EMPTY_ARRAY,
  failure,
  integer,
  NIL_ARRAY,
  OK,
  ONE,
  PONG,
  Refusal,
  simple,
  SYNTAX,
  ZERO,
} from '../reply.ts';
import { unsubscribeAll } from './pubsub.ts';
import { unwatch } from './transactions.ts';

export const connection = [
  command('ping', -1, 'subscriber', ping),
  command('echo', 2, '', (_, args) => bulk(args[1]!)),
  command('select', 2, '', select),
  command('quit', -1, 'now subscriber', (client) => ((client.isEnding = true), OK)),
  command('reset', 1, 'now subscriber', reset),
  command('hello', -1, '', hello),
  command('client', -2, '', aboutClients),
];

function ping(client: Client, args: readonly string[]): string {
  if (args.length > 2) throw new Refusal("ERR wrong number of arguments for 'ping' command");
  if (client.isSubscriber) return array([bulk('pong'), bulk(args[1] ?? '')]);
  return args.length === 1 ? PONG : bulk(args[1]!);
}

function select(client: Client, args: readonly string[]): string {
  const index = expectWhole(args[1]!);
  const database = databases[index];
  if (database === undefined) throw new Refusal('ERR DB index is out of range');
  client.database = database;
  return OK;
}

function reset(client: Client): string {
  client.transaction = null;
  unwatch(client);
  unsubscribeAll(client);
  client.database = databases[0]!;
  client.name = '';
  client.muting = 'none';
  return simple('RESET');
}

function hello(client: Client, args: readonly string[]): string {
  if (args.length > 1) {
    const version = wholeOf(args[1]!);
    if (version === undefined) throw new Refusal('ERR Protocol version is not an integer or out of range');
    if (version !== 2) throw new Refusal('NOPROTO unsupported protocol version');
  }
  for (let at = 2; at < args.length; at += 2) {
    const isName = args[at]!.toUpperCase() === 'SETNAME' && at + 1 < args.length;
    if (!isName) throw new Refusal(`ERR Syntax error in HELLO option '${args[at]!}'`);
    client.name = nameOf(args[at + 1]!);
  }
  const facts = {
    server: 'redis',
    version: '7.0.15',
    proto: 2,
    id: client.id,
    mode: 'standalone',
    role: 'master',
  };
  const shown = Object.entries(facts).flatMap(([key, value]) => [
    bulk(key),
    typeof value === 'number' ? integer(value) : bulk(value),
  ]);
  return array([...shown, bulk('modules'), EMPTY_ARRAY]);
}

function nameOf(text: string): string {
  if (/[^!-~]/.test(text)) {
    throw new Refusal('ERR Client names cannot contain spaces, newlines or special characters.');
  }
  return text;
}

/** How many arguments a subcommand takes, as that of a command. */
const ARITIES: Readonly<Record<string, number>> = {
  ID: 2,
  GETNAME: 2,
  INFO: 2,
  LIST: -2,
  KILL: -3,
  SETNAME: 3,
  'NO-EVICT': 3,
  SETINFO: 4,
  REPLY: 3,
  UNBLOCK: -3,
};

function aboutClients(client: Client, args: readonly string[]): string {
  const word = args[1]!.toUpperCase();
  const value = args[2];
  const arity = ARITIES[word];
  if (arity === undefined) {
    throw new Refusal(`ERR unknown subcommand '${args[1]!.slice(0, 128)}'. Try CLIENT HELP.`);
  }
  if (arity > 0 ? args.length !== arity : args.length < -arity) {
    throw new Refusal(wrongNumber(`client|${word.toLowerCase()}`));
  }
  if (word === 'ID') return integer(client.id);
  if (word === 'GETNAME') return bulkOrNil(client.name === '' ? undefined : client.name);
  if (word === 'INFO') return bulk(`${client.describe()}\n`);
  if (word === 'LIST') return list(args);
  if (word === 'KILL') return kill(client, args);
  if (word === 'REPLY') return setReplies(client, value!);
  if (word === 'UNBLOCK') return unblock(args);
  if (word === 'SETNAME') {
    client.name = nameOf(value!);
    return OK;
  }
  if (word === 'NO-EVICT') {
    if (!/^(on|off)$/i.test(value!)) throw new Refusal(SYNTAX);
    client.isNoEvict = value!.toUpperCase() === 'ON';
    return OK;
  }
  if (value!.toUpperCase() === 'LIB-NAME') client.libName = nameOf(args[3]!);
  else if (value!.toUpperCase() === 'LIB-VER') client.libVersion = nameOf(args[3]!);
  else throw new Refusal(`ERR Unrecognized option '${value!}'`);
  return OK;
}

/** CLIENT REPLY. In a transaction nothing can be left out: its replies are counted. */
function setReplies(client: Client, value: string): string {
  const word = value.toUpperCase();
  if (!['ON', 'OFF', 'SKIP'].includes(word)) throw new Refusal(SYNTAX);
  if (word === 'ON') {
    client.muting = 'none';
    return OK;
  }
  if (client.isInTransaction) throw new Refusal('ERR CLIENT REPLY in a transaction can only be ON');
  if (word === 'OFF') client.muting = 'all';
  else if (client.muting !== 'all') client.muting = 'next';
  return '';
}

/** CLIENT UNBLOCK: a client that waits for a list waits no more. */
function unblock(args: readonly string[]): string {
  if (args.length > 4) {
    throw new Refusal(
      `ERR unknown subcommand or wrong number of arguments for '${args[1]!.slice(0, 128)}'. Try CLIENT HELP.`,
    );
  }
  const how = args[3]?.toUpperCase() ?? 'TIMEOUT';
  if (how !== 'TIMEOUT' && how !== 'ERROR') {
    throw new Refusal('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
  }
  const other = clients.get(expectWhole(args[2]!));
  const reply = how === 'TIMEOUT' ? NIL_ARRAY : failure('UNBLOCKED client unblocked via CLIENT UNBLOCK');
  return other?.unblock?.(reply) === true ? ONE : ZERO;
}

function list(args: readonly string[]): string {
  let chosen = [...clients.values()];
  if (args.length > 2) {
    const word = args[2]!.toUpperCase();
    if (word === 'ID' && args.length > 3) {
      const ids = args.slice(3).map((id) => expectWhole(id, 'ERR Invalid client ID'));
      chosen = ids.flatMap((id) => clients.get(id) ?? []);
    } else if (word === 'TYPE' && args.length === 4) {
      chosen = chosen.filter((one) => isOfType(one, args[3]!));
    } else {
      throw new Refusal(SYNTAX);
    }
  }
  return bulk(chosen.map((one) => `${one.describe()}\n`).join(''));
}

function isOfType(client: Client, type: string): boolean {
  const name = type.toLowerCase();
  if (!['normal', 'pubsub', 'master', 'replica', 'slave'].includes(name)) {
    throw new Refusal(`ERR Unknown client type '${type}'`);
  }
  return name === (client.isSubscriber ? 'pubsub' : 'normal');
}

/** CLIENT KILL, by an address, or by what all of several words say. */
function kill(client: Client, args: readonly string[]): string {
  if (args.length === 3) {
    const found = [...clients.values()].find((one) => `${one.conn?.remoteAddress}` === args[2]);
    if (found === undefined) throw new Refusal('ERR No such client');
    found.end();
    return OK;
  }
  if (args.length % 2 === 1) throw new Refusal(SYNTAX);
  let chosen = [...clients.values()];
  let sparesCaller = true;
  for (let at = 2; at < args.length; at += 2) {
    const word = args[at]!.toUpperCase();
    const value = args[at + 1]!;
    if (word === 'ID') {
      const id = expectWhole(value, 'ERR client-id should be greater than 0');
      chosen = chosen.filter((one) => one.id === id);
    } else if (word === 'ADDR') {
      chosen = chosen.filter((one) => `${one.conn?.remoteAddress}` === value);
    } else if (word === 'LADDR') {
      chosen = chosen.filter((one) => `${one.conn?.localAddress}` === value);
    } else if (word === 'TYPE') {
      chosen = chosen.filter((one) => isOfType(one, value));
    } else if (word === 'SKIPME' && /^(yes|no)$/i.test(value)) {
      sparesCaller = value.toUpperCase() === 'YES';
    } else {
      throw new Refusal(SYNTAX);
    }
  }
  const killed = chosen.filter((one) => one !== client || !sparesCaller);
  for (const one of killed) one.end();
  return integer(killed.length);
}
