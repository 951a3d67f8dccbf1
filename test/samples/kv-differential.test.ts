import t from 'tap';
import { Chance, randomCommand } from '../support/kv-commands.ts';
import { encode, hasRedisServer, KvClient, type Reply, startKv, startRedis } from '../support/kv-peers.ts';

const seed = Number(process.env['SKEIN_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Commands in a sequence, and sequences. */
const LENGTH = 200;
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

function sorted(reply: Reply): string {
  return JSON.stringify(reply)
    .split(/[,[\]]/)
    .toSorted()
    .join();
}
