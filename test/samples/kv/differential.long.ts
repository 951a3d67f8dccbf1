import t from 'tap';
import { Chance, randomCommand } from '../../support/kv/commands.ts';
import { encode, hasRedisServer, KvClient, type Reply, startKv, startRedis } from '../../support/kv/peers.ts';

const seed = Number(process.env['SKEIN_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Commands in a sequence, and sequences. */
const LENGTH = 200;
const STEPS = Number(process.env['SKEIN_STEPS'] ?? 1500);
const RUNS = Number(process.env['SKEIN_RUNS'] ?? 60);

/** A reply as it can be compared. */
function comparable(reply: Reply, isUnordered: boolean): string {
  if (!isUnordered || !Array.isArray(reply)) return JSON.stringify(reply);
  return JSON.stringify(reply.map((one) => JSON.stringify(one)).toSorted());
}

/** All that is in a database, in an order of its own. */
async function contents(client: KvClient): Promise<string> {
  const names = (await client.ask('KEYS', '*')) as string[];
  const all: Record<string, string> = {};
  for (const name of names.toSorted()) {
    const type = (await client.ask('TYPE', name)) as string;
    const how: Record<string, string[]> = {
      string: ['GET'],
      list: ['LRANGE'],
      hash: ['HGETALL'],
      set: ['SMEMBERS'],
    };
    const [word] = how[type]!;
    const reply = await (type === 'list' ? client.ask(word!, name, 0, -1) : client.ask(word!, name));
    all[name] = type + comparable(type === 'hash' ? pairs(reply as string[]) : reply, type !== 'list');
  }
  return JSON.stringify(all);
}

function pairs(flat: string[]): Reply[] {
  return flat.flatMap((one, index) => (index % 2 === 0 ? [[one, flat[index + 1]!]] : []));
}

t.test(
  'kv and redis-server give the same replies',
  { skip: !hasRedisServer && 'no redis-server here' },
  async (t) => {
    const [kv, redis] = await Promise.all([startKv(), startRedis()]);
    t.teardown(async () => {
      await Promise.all([kv.end('SIGTERM'), redis.stop()]);
    });
    t.comment(`SKEIN_SEED=${seed}`);
    const chance = new Chance(seed);
    for (let run = 0; run < RUNS; run++) {
      const clients = await Promise.all([kv, redis].map(({ port }) => KvClient.connect(port)));
      for (const client of clients) await client.ask('FLUSHALL');
      const commands = Array.from({ length: LENGTH }, () => randomCommand(chance));
      const [ours, theirs] = await Promise.all(
        clients.map((client) => client.askAll(commands.map(({ words }) => words))),
      );
      // Within EXEC's reply the order may differ as well.
      const differs = commands.findIndex(({ words, isUnordered }, index) => {
        if (/^exec$/i.test(words[0]!) && Array.isArray(ours![index]!))
          return sorted(ours![index]!) !== sorted(theirs![index]!);
        return comparable(ours![index]!, isUnordered) !== comparable(theirs![index]!, isUnordered);
      });
      if (differs >= 0) {
        const shown = commands
          .slice(Math.max(0, differs - 30), differs + 1)
          .map(({ words }) => encode(words));
        t.equal(
          JSON.stringify(ours![differs]),
          JSON.stringify(theirs![differs]),
          `run ${run}, command ${differs}`,
        );
        t.comment(JSON.stringify(shown));
        return;
      }
      for (const client of clients) await client.ask('DISCARD');
      const [here, there] = await Promise.all(clients.map(contents));
      t.equal(here, there, `run ${run}: the same data`);
      for (const client of clients) client.close();
      if (here !== there) return;
    }
  },
);

/** A server with a client for each key, who watches that one, and another who changes them. */
class Watched {
  readonly #changing: KvClient;
  readonly #watching: readonly KvClient[];

  private constructor(changing: KvClient, watching: readonly KvClient[]) {
    this.#changing = changing;
    this.#watching = watching;
  }

  static async connect(port: number): Promise<Watched> {
    const [changing, ...watching] = await Promise.all(
      Array.from({ length: 1 + KEYS.length }, () => KvClient.connect(port)),
    );
    await changing!.ask('FLUSHALL');
    return new Watched(changing!, watching);
  }

  /** Which keys are changed by a command, as those who watch them are told; and its reply. */
  async changes(words: readonly string[]): Promise<{ changed: string[]; reply: Reply }> {
    await Promise.all(this.#watching.map((client, index) => client.ask('WATCH', KEYS[index]!)));
    const reply = await this.#changing.ask(...words);
    const results = await Promise.all(
      this.#watching.map((client) => client.askAll([['MULTI'], ['PING'], ['EXEC']])),
    );
    return { changed: KEYS.filter((_, index) => results[index]![2] === null), reply };
  }

  close(): void {
    for (const client of [this.#changing, ...this.#watching]) client.close();
  }
}

const KEYS = Array.from({ length: 6 }, (_, index) => `key${index}`);
/** Beside the random ones, those that they leave out or seldom pick; the letters are keys. */
const CHANGES = [
  'FLUSHALL',
  'FLUSHDB',
  'PEXPIRE key1 -1',
  'GETEX key1 PXAT 1',
  'SETRANGE key1 0 ',
  'LTRIM key1 0 -1',
  'LTRIM key1 5 1',
  'SPOP key1 0',
  'SPOP key1 100',
  'SMOVE key1 key1 a',
  'RENAME key1 key1',
  'LMOVE key1 key1 LEFT LEFT',
  'BLPOP key1 key2 0.01',
  'BRPOPLPUSH key1 key1 0.01',
  'SET key1 a PXAT 1',
  'SETEX key1 1000 a',
  'HSET key1 a a',
  'SADD key1 a',
  'SET key1 a',
];

t.test(
  'watches are touched by the same commands as those of redis-server',
  { skip: !hasRedisServer && 'no redis-server here', timeout: 60_000 },
  async (t) => {
    const [kv, redis] = await Promise.all([startKv(), startRedis()]);
    t.teardown(async () => {
      await Promise.all([kv.end('SIGTERM'), redis.stop()]);
    });
    const [ours, theirs] = await Promise.all([kv, redis].map(({ port }) => Watched.connect(port)));
    const chance = new Chance(seed);
    const differences: string[] = [];
    let changing = 0;
    for (let step = 0; step < STEPS && differences.length < 10; step++) {
      const { words } =
        chance.below(6) === 0 ? { words: chance.oneOf(CHANGES).split(' ') } : randomCommand(chance);
      // SPOP with a count picks other members there than here.
      if (/^(multi|exec|discard|watch|select|spop)$/i.test(words[0]!)) continue;
      const [here, there] = await Promise.all([ours!.changes(words), theirs!.changes(words)]);
      if (here.changed.length > 0) changing++;
      if (here.changed.join() !== there.changed.join())
        differences.push(`${JSON.stringify(words)} ${JSON.stringify([here, there])}`);
    }
    t.same(differences, [], `SKEIN_SEED=${seed}`);
    t.ok(changing > 0.1 * STEPS && changing < 0.9 * STEPS, `${changing} of ${STEPS} changed something`);
    for (const one of [ours, theirs]) one!.close();
  },
);

function sorted(reply: Reply): string {
  return JSON.stringify(reply)
    .split(/[,[\]]/)
    .toSorted()
    .join();
}
