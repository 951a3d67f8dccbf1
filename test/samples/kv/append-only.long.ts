import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Chance, randomCommand } from '../../support/kv/commands.ts';
import { crash } from '../../support/kv/crash.ts';
import { encode, KvClient, type KvServer, makeFolder, startKv } from '../../support/kv/peers.ts';

const seed = Number(process.env['SKEIN_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** All that is there, with when it expires; but not what may expire while one looks. */
async function contents(client: KvClient): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  const ask: Record<string, (key: string) => (string | number)[]> = {
    string: (key) => ['GET', key],
    list: (key) => ['LRANGE', key, 0, -1],
    hash: (key) => ['HGETALL', key],
    set: (key) => ['SMEMBERS', key],
  };
  for (const database of [0, 1, 2]) {
    await client.ask('SELECT', database);
    const keys = ((await client.ask('KEYS', '*')) as string[]).toSorted();
    const types = (await client.askAll(keys.map((key) => ['TYPE', key]))) as string[];
    const expiries = (await client.askAll(keys.map((key) => ['PEXPIRETIME', key]))) as number[];
    const replies = await client.askAll(keys.map((key, index) => ask[types[index]!]?.(key) ?? ['PING']));
    for (const [index, key] of keys.entries()) {
      const [type, expiry, reply] = [types[index]!, expiries[index]!, replies[index]!];
      if (expiry !== -1 && expiry < Date.now() + 60_000) continue;
      const isSet = type === 'set';
      const value =
        type === 'hash' ? asObject(reply as string[]) : isSet ? (reply as string[]).toSorted() : reply;
      all[`${database} ${key}`] = JSON.stringify([type, value, expiry]);
    }
  }
  await client.ask('SELECT', 0);
  return all;
}

function asObject(flat: string[]): [string, string][] {
  const pairs = flat.flatMap((one, index): [string, string][] =>
    index % 2 === 0 ? [[one, flat[index + 1]!]] : [],
  );
  return pairs.toSorted(([one], [other]) => (one < other ? -1 : 1));
}

async function withClient<T>(kv: KvServer, use: (client: KvClient) => Promise<T>): Promise<T> {
  const client = await KvClient.connect(kv.port);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

t.test('all is there after a restart, whatever was done, and whenever the file was rewritten', async (t) => {
  const folder = makeFolder(t);
  const env = { DIR: folder, APPENDONLY: 'yes', APPENDFSYNC: 'no' };
  const chance = new Chance(seed);
  for (let run = 0; run < 2; run++) {
    let kv = await startKv(env);
    const before = await withClient(kv, async (client) => {
      // So many that a snapshot takes several pieces, and is changed under way.
      const filling = Array.from({ length: 4000 }, (_, index) => [
        'SET',
        `fill${run}:${index}`,
        'v'.repeat(200),
      ]);
      await client.askAll(filling);
      for (let round = 0; round < 20; round++) {
        if (round % 5 === 2) await client.ask('BGREWRITEAOF');
        const commands = Array.from({ length: 100 }, () => randomCommand(chance).words);
        const changes = Array.from({ length: 100 }, () => [
          chance.oneOf(['APPEND', 'SET']),
          `fill${run}:${chance.below(4000)}`,
          'more',
        ]);
        const removals = Array.from({ length: 20 }, () => [
          'RENAME',
          `fill${run}:${chance.below(4000)}`,
          `new${chance.below(99)}`,
        ]);
        await client.askAll([
          ...commands,
          ['DISCARD'],
          ...changes,
          ...removals,
          ['SPOP', 'key1'],
          ['SELECT', chance.below(3)],
        ]);
      }
      await client.ask('DISCARD');
      return contents(client);
    });
    t.equal(await kv.end(run % 2 === 0 ? 'SIGTERM' : 'SIGKILL'), run % 2 === 0 ? 0 : null, kv.output());
    kv = await startKv(env);
    const after = await withClient(kv, contents);
    t.same(
      Object.keys(after).filter((key) => after[key] !== before[key]),
      [],
      `SKEIN_SEED=${seed}`,
    );
    t.equal(Object.keys(after).length, Object.keys(before).length);
    await kv.end('SIGTERM');
    t.notOk(existsSync(join(folder, 'appendonly.aof.rewriting')));
  }
});

t.test('the file grows, is rewritten when it has doubled, and clients notice nothing', async (t) => {
  const folder = makeFolder(t);
  const kv = await startKv({
    DIR: folder,
    APPENDONLY: 'yes',
    APPENDFSYNC: 'everysec',
    AUTO_AOF_REWRITE_MIN_SIZE: '50000',
  });
  t.teardown(() => kv.end('SIGTERM'));
  const path = join(folder, 'appendonly.aof');
  await withClient(kv, async (client) => {
    let largest = 0;
    for (const deadline = Date.now() + 20_000; ;) {
      await client.askAll(Array.from({ length: 500 }, (_, index) => ['SET', `key${index}`, 'x'.repeat(50)]));
      largest = Math.max(largest, statSync(path).size);
      if (Number(/aof_rewrites:(\d+)/.exec((await client.ask('INFO', 'persistence')) as string)![1]) > 0)
        break;
      if (Date.now() > deadline) throw new Error('it was not rewritten');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    t.ok(statSync(path).size < largest);
    t.equal(await client.ask('DBSIZE'), 500);
  });
});

t.test(
  'a torn end is cut off, and said; anything else that does not fit keeps it from starting',
  async (t) => {
    const folder = makeFolder(t);
    const path = join(folder, 'appendonly.aof');
    const env = { DIR: folder, APPENDONLY: 'yes' };
    const good = encode(['SELECT', '0']) + encode(['SET', 'a', '1']) + encode(['RPUSH', 'list', 'x']);
    const torn = [
      '*3\r\n$3\r\nSET\r\n$1\r\nb',
      '*',
      '*2\r',
      encode(['MULTI']) + encode(['SET', 'a', '2']),
      encode(['MULTI']),
    ];
    for (const rest of torn) {
      writeFileSync(path, good + rest);
      const kv = await startKv(env);
      t.match(kv.output(), `cut off at ${good.length}: the last ${rest.length} bytes`);
      await withClient(kv, async (client) => {
        t.equal(await client.ask('GET', 'a'), '1');
        t.equal(await client.ask('DBSIZE'), 2);
        await client.ask('SET', 'a', '3');
      });
      await kv.end('SIGTERM');
      const again = await startKv(env);
      t.notMatch(again.output(), /cut off/);
      t.equal(await withClient(again, (client) => client.ask('GET', 'a')), '3');
      await again.end('SIGTERM');
    }
    for (const rest of ['*3\r\n:1\r\n' + good, encode(['NOSUCH']) + good, encode(['LPUSH', 'a', 'x'])]) {
      writeFileSync(path, good + rest);
      const kv = await startKv(env);
      t.equal(await kv.exited, 1);
      t.match(kv.output(), `what stands behind byte ${good.length}`);
      t.equal(statSync(path).size, good.length + rest.length, 'it is left as it is');
    }
  },
);

t.test('what is written gives the same whenever it is loaded', async (t) => {
  const folder = makeFolder(t);
  const kv = await startKv({ DIR: folder, APPENDONLY: 'yes', APPENDFSYNC: 'always' });
  const file = await withClient(kv, async (client) => {
    await client.askAll([
      ['SET', 'a', 1, 'EX', 100],
      ['EXPIRE', 'a', 200],
      ['SET', 'short', 1, 'PX', 1],
      ['INCRBYFLOAT', 'f', '0.1'],
      ['SADD', 'set', 'm'],
      ['SPOP', 'set'],
      ['GET', 'a'],
      ['MULTI'],
      ['SET', 'b', 1],
      ['GET', 'b'],
      ['SET', 'c', 2],
      ['EXEC'],
      ['MULTI'],
      ['GET', 'b'],
      ['EXEC'],
    ]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(await client.ask('GET', 'short'), null);
    await client.ask('SET', 'last', 1);
    return readFileSync(join(folder, 'appendonly.aof'), 'latin1');
  });
  await kv.end('SIGTERM');
  const words = file.replaceAll(/[*$]\d+\r\n/g, '').replaceAll('\r\n', ' ');
  t.match(
    words,
    /^SELECT 0 SET a 1 PXAT \d{13} PEXPIREAT a \d{13} SET short 1 PXAT \d{13} (DEL short )?SET f 0\.1 KEEPTTL SADD set m SREM set m MULTI SET b 1 SET c 2 EXEC (DEL short )?SET last 1 $/,
  );
});

t.test('an element that was handed to one who waits is taken out of the file as well', async (t) => {
  const env = { DIR: makeFolder(t), APPENDONLY: 'yes', APPENDFSYNC: 'always' };
  let kv = await startKv(env);
  const [waiter, pusher] = [await KvClient.connect(kv.port), await KvClient.connect(kv.port)];
  const popped = waiter.ask('BLPOP', 'queue', 0);
  while (!/blocked_clients:1/.test((await pusher.ask('INFO')) as string));
  await pusher.ask('RPUSH', 'queue', 'one', 'two');
  t.same(await popped, ['queue', 'one']);
  await kv.end('SIGKILL');
  kv = await startKv(env);
  t.same(await withClient(kv, (client) => client.ask('LRANGE', 'queue', 0, -1)), ['two']);
  await kv.end('SIGTERM');
});

t.test(
  'killed under load, it comes back with all that it has acknowledged',
  { timeout: 120_000 },
  async (t) => {
    const { lost, acknowledged } = await crash({
      folder: makeFolder(t),
      fsync: 'always',
      cycles: 5,
      seed,
      mayLose: 0,
    });
    t.same(lost, [], `SKEIN_SEED=${seed}`);
    t.ok(acknowledged > 100, `${acknowledged} writes were acknowledged`);
  },
);
