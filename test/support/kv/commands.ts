// Random commands for samples/kv, sensible and not so sensible ones, over few keys, so that they meet: what one list
// command leaves is what a set command is refused for. Made from a seed.

/** A generator of numbers from a seed (mulberry32): below a bound, or one of several. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

const WORDS = [
  'a',
  'b',
  'c',
  '1',
  '-3',
  '10',
  '3.5',
  '',
  'longer than thirteen',
  '\xff\0\r\n',
  '9223372036854775807',
];
const NUMBERS = ['0', '1', '2', '-1', '-2', '5', '100', '-100', 'x', '1.5', '9223372036854775807', '01'];

const FRACTIONS = [
  '1',
  '-2',
  '3',
  'x',
  '12',
  '0.1',
  '-3.7',
  '1e-5',
  '0.024390243902439025',
  '1e22',
  '0x1f',
  'inf',
];

/** What may stand at a place of a command. */
const places: Readonly<Record<string, (chance: Chance) => string[]>> = {
  k: (chance) => [`key${chance.below(6)}`],
  K: (chance) => Array.from({ length: 1 + chance.below(3) }, () => `key${chance.below(6)}`),
  v: (chance) => [chance.oneOf(WORDS)],
  V: (chance) => Array.from({ length: 1 + chance.below(4) }, () => chance.oneOf(WORDS)),
  n: (chance) => [chance.oneOf(NUMBERS)],
  f: (chance) => [chance.oneOf(FRACTIONS)],
  // One that is mostly fine, so that commands are not mostly refused.
  i: (chance) => [String(chance.below(8) - 3)],
  P: (chance) =>
    Array.from({ length: 1 + chance.below(3) }, () => [chance.oneOf(WORDS), chance.oneOf(WORDS)]).flat(),
  Q: (chance) =>
    Array.from({ length: 1 + chance.below(2) }, () => [`key${chance.below(6)}`, chance.oneOf(WORDS)]).flat(),
  s: (chance) => [chance.oneOf(['LEFT', 'RIGHT', 'left', 'middle'])],
  w: (chance) => [chance.oneOf(['BEFORE', 'AFTER', 'after', 'beside'])],
  // Far enough away that no time passes until then.
  e: (chance) => [chance.oneOf(['1000', '5000', '-1', '0', 'x', '9223372036854775807'])],
  t: (chance) => [chance.oneOf(['9999999999', '1', '8888888888', 'x'])],
  c: (chance) => chance.oneOf([[], ['NX'], ['XX'], ['GT'], ['LT'], ['NX', 'XX'], ['GT', 'LT'], ['bad']]),
  o: (chance) =>
    chance.oneOf([
      [],
      ['NX'],
      ['XX'],
      ['GET'],
      ['KEEPTTL'],
      ['EX', '1000'],
      ['PX', '0'],
      ['EXAT', '9999999999'],
      ['NX', 'GET'],
      ['EX', '1', 'KEEPTTL'],
      ['NX', 'XX'],
      ['EX'],
    ]),
  x: (chance) =>
    chance.oneOf([
      [],
      ['PERSIST'],
      ['EX', '1000'],
      ['PXAT', '99999999999999'],
      ['PERSIST', 'EX', '1'],
      ['NX'],
    ]),
  p: (chance) =>
    chance.oneOf([
      [],
      ['COUNT', '0'],
      ['COUNT', '2'],
      ['RANK', '-1'],
      ['RANK', '2'],
      ['RANK', '0'],
      ['MAXLEN', '2'],
      ['RANK', '-1', 'COUNT', '0'],
      ['COUNT', '-1'],
    ]),
  m: (chance) =>
    chance.oneOf([
      ['1', 'key1', 'LEFT'],
      ['2', 'key0', 'key2', 'RIGHT', 'COUNT', '2'],
      ['0', 'key1', 'LEFT'],
      ['3', 'key1', 'LEFT'],
      ['1', 'key1', 'UP'],
    ]),
  N: (chance) =>
    chance.oneOf([
      ['1', 'key1'],
      ['2', 'key0', 'key1'],
      ['2', 'key4', 'key5', 'LIMIT', '1'],
      ['0', 'key1'],
      ['9', 'key1'],
      ['1', 'key1', 'LIMIT', '-1'],
    ]),
};

/** A command, with a letter for each place; those whose replies are in no particular order are told apart. */
const ORDERED = `
  GET k|SET k v|SET k v o|SETNX k v|SETEX k e v|PSETEX k e v|GETSET k v|GETDEL k|GETEX k x|MGET K|MSET Q|MSETNX Q|MSET k
  APPEND k v|STRLEN k|GETRANGE k i i|GETRANGE k n n|SETRANGE k i v|INCR k|DECR k|INCRBY k n|DECRBY k n|INCRBYFLOAT k f
  DEL K|UNLINK K|EXISTS K|TOUCH K|TYPE k|RENAME k k|RENAMENX k k|COPY k k|COPY k k REPLACE|COPY k k DB 1|DBSIZE|PERSIST k
  EXPIRE k e c|PEXPIRE k e|EXPIREAT k t c|PEXPIREAT k t c|TTL k
  LPUSH k V|RPUSH k V|LPUSHX k V|RPUSHX k v|LPOP k|RPOP k|LPOP k i|RPOP k n|LLEN k|LRANGE k i i|LRANGE k n n|LINDEX k i
  LINDEX k n|LSET k i v|LSET k n v|LINSERT k w v v|LREM k i v|LTRIM k i i|LPOS k v p|LMOVE k k s s|RPOPLPUSH k k|LMPOP m
  HSET k P|HSETNX k v v|HGET k v|HMGET k V|HMSET k P|HDEL k V|HLEN k|HEXISTS k v|HINCRBY k v n|HINCRBYFLOAT k v f|HSTRLEN k v
  HSET k v|SADD k V|SREM k V|SISMEMBER k v|SMISMEMBER k V|SCARD k|SMOVE k k v|SINTERSTORE k K|SUNIONSTORE k K|SDIFFSTORE k K
  SINTERCARD N|MULTI|EXEC|EXEC|DISCARD|WATCH k|UNWATCH|PING|PING v|ECHO v|ECHO|NOSUCH n n|GET|SELECT 0|SELECT 99|SUBSTR k i i
  OBJECT ENCODING nokey|BLPOP nokey -1|BLPOP k never|BLMPOP -1 m|LPUSH k|CONFIG|HELLO 2 bad|CLIENT GETNAME|CLIENT SETNAME v|PUBSUB NUMPAT|PUBLISH v v
  HRANDFIELD nokey|SRANDMEMBER nokey i|SPOP nokey|SPOP k 0|RANDOMKEY 1|FLUSHDB bad|SETRANGE k n v|LPOP k 1 2`;
const UNORDERED =
  'HGETALL k|HKEYS k|HVALS k|SMEMBERS k|SINTER K|SUNION K|SDIFF K|KEYS *|KEYS key[0-3]|KEYS ?ey*';

function templates(text: string): string[] {
  return text
    .split(/[|\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

const ordered = templates(ORDERED);
const unordered = templates(UNORDERED);

export interface RandomCommand {
  readonly words: string[];
  /** The reply is an array in no particular order. */
  readonly isUnordered: boolean;
}

export function randomCommand(chance: Chance): RandomCommand {
  const isUnordered = chance.below(8) === 0;
  const [name, ...rest] = chance.oneOf(isUnordered ? unordered : ordered).split(' ');
  const words = rest.flatMap((word) => places[word]?.(chance) ?? [word]);
  return { words: [chance.below(9) === 0 ? name!.toLowerCase() : name!, ...words], isUnordered };
}

const BYTES = [
  '*',
  '$',
  '\r\n',
  '\r',
  '\n',
  '0',
  '1',
  '3',
  '-',
  ' ',
  '"',
  "'",
  '\\x',
  'GET',
  '\0',
  '\xff',
  'a',
];

/** What no client would send, of the bytes that mean something to a parser. */
export function randomBytes(chance: Chance): string {
  return Array.from({ length: 1 + chance.below(30) }, () => chance.oneOf(BYTES)).join('');
}

/** A text with a few of its characters exchanged for such bytes. */
export function mutate(chance: Chance, text: string): string {
  const characters = [...text];
  for (let count = 1 + chance.below(4); count > 0; count--)
    characters[chance.below(text.length)] = chance.oneOf(BYTES);
  return characters.join('');
}
