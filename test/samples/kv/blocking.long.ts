import t from 'tap';
import { KvClient, type Reply, startKv } from '../../support/kv/peers.ts';
import { until } from '../../support/connection/peers.ts';

const CLIENTS = Number(process.env['CLIENTS'] ?? 500);
const KEYS = 100;
const PUSHES = Number(process.env['PUSHES'] ?? 10_000);

async function blockedCount(client: KvClient): Promise<number> {
  return Number(/blocked_clients:(\d+)/.exec((await client.ask('INFO', 'clients')) as string)![1]);
}

/** Waits until so many clients are blocked. */
async function untilBlocked(client: KvClient, count: number): Promise<void> {
  for (const deadline = Date.now() + 20_000; (await blockedCount(client)) !== count;) {
    if (Date.now() > deadline)
      throw new Error(`not ${count} clients are blocked, but ${await blockedCount(client)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

t.test('those who wait are served first come, first served, one element each', async (t) => {
  const kv = await startKv();
  const pusher = await KvClient.connect(kv.port);
  t.teardown(async () => {
    pusher.close();
    await kv.end('SIGTERM');
  });
  const order: string[] = [];
  const waiting: KvClient[] = [];
  for (const name of ['first', 'second', 'third']) {
    const client = await KvClient.connect(kv.port);
    void client
      .ask('BLPOP', 'other', 'queue', 0)
      .then((reply) => order.push(`${name} ${(reply as string[])[1]}`));
    waiting.push(client);
    await untilBlocked(pusher, waiting.length);
  }
  t.equal(await pusher.ask('RPUSH', 'queue', 1, 2), 2);
  t.equal(await pusher.ask('LPUSH', 'other', 3), 1);
  await until(() => order.length === 3);
  t.same(order.toSorted(), ['first 1', 'second 2', 'third 3']);
  t.equal(await pusher.ask('EXISTS', 'queue', 'other'), 0);
  for (const client of waiting) client.close();
});

t.test('a client that has gone leaves the line at once, and nothing is lost with it', async (t) => {
  const kv = await startKv();
  const pusher = await KvClient.connect(kv.port);
  t.teardown(async () => {
    pusher.close();
    await kv.end('SIGTERM');
  });
  const [gone, patient] = [await KvClient.connect(kv.port), await KvClient.connect(kv.port)];
  void gone.ask('BLPOP', 'queue', 0);
  await untilBlocked(pusher, 1);
  const popped = patient.ask('BLMOVE', 'queue', 'done', 'LEFT', 'RIGHT', 0);
  await untilBlocked(pusher, 2);
  gone.close();
  await untilBlocked(pusher, 1);
  t.equal(await pusher.ask('RPUSH', 'queue', 'job'), 1);
  t.equal(await popped, 'job');
  t.same(await pusher.ask('LRANGE', 'done', 0, -1), ['job']);
  patient.close();
});

t.test('what BLMOVE brings serves who waits for that, within one turn', async (t) => {
  const kv = await startKv();
  const clients = await Promise.all([1, 2, 3].map(() => KvClient.connect(kv.port)));
  t.teardown(() => kv.end('SIGTERM'));
  const [pusher, mover, last] = clients as [KvClient, KvClient, KvClient];
  const popped = last.ask('BLMPOP', 0, 2, 'b', 'c', 'LEFT', 'COUNT', 5);
  const moved = mover.ask('BRPOPLPUSH', 'a', 'b', 0);
  await untilBlocked(pusher, 2);
  t.same(
    await pusher.askAll([['MULTI'], ['LPUSH', 'a', 'x'], ['LLEN', 'a'], ['EXEC'], ['EXISTS', 'a', 'b']]),
    ['OK', 'QUEUED', 'QUEUED', [1, 1], 0],
  );
  t.equal(await moved, 'x');
  t.same(await popped, ['b', ['x']]);
  // A wrong destination is told to the one who waits, and the element stays.
  const refused = mover.ask('BLMOVE', 'a', 'text', 'LEFT', 'LEFT', 0);
  await untilBlocked(pusher, 1);
  await pusher.askAll([
    ['SET', 'text', 1],
    ['LPUSH', 'a', 'y'],
  ]);
  t.match(((await refused) as { error: string }).error, /^WRONGTYPE/);
  t.same(await pusher.ask('LRANGE', 'a', 0, -1), ['y']);
  for (const client of clients) client.close();
});

t.test('time runs out, and requests behind a blocked one wait for it', async (t) => {
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  const client = await KvClient.connect(kv.port);
  t.same(
    await client.askAll([['BLPOP', 'none', '0.05'], ['PING'], ['BRPOP', 'none', '0.01'], ['ECHO', 'x']]),
    [null, 'PONG', null, 'x'],
  );
  t.same(
    await client.askAll([
      ['MULTI'],
      ['BLPOP', 'none', 0],
      ['BLMOVE', 'none', 'b', 'LEFT', 'LEFT', 0],
      ['EXEC'],
    ]),
    ['OK', 'QUEUED', 'QUEUED', [null, null]],
  );
  client.close();
});

t.test(
  `${CLIENTS} clients wait on ${KEYS} keys while ${PUSHES} elements are pushed`,
  { timeout: 300_000 },
  async (t) => {
    const kv = await startKv({}, 'ulimit -n 16384');
    t.teardown(() => kv.end('SIGTERM'));
    const served = new Map<string, string[]>();
    const count = { received: 0 };
    const clients: KvClient[] = [];
    for (let from = 0; from < CLIENTS; from += 100) {
      const some = Array.from({ length: Math.min(100, CLIENTS - from) }, () => KvClient.connect(kv.port));
      clients.push(...(await Promise.all(some)));
    }
    const pop = async (client: KvClient, index: number): Promise<void> => {
      for (;;) {
        const reply: Reply = await client.ask('BLPOP', `queue${index % KEYS}`, 0);
        if (!Array.isArray(reply)) return;
        const [key, element] = reply as [string, string];
        served.set(key, [...(served.get(key) ?? []), element]);
        count.received++;
      }
    };
    const all = clients.map(pop);
    const pusher = await KvClient.connect(kv.port);
    await untilBlocked(pusher, CLIENTS);
    for (let from = 0; from < PUSHES; from += 1000) {
      await pusher.askAll(
        Array.from({ length: Math.min(1000, PUSHES - from) }, (_, index) => [
          'RPUSH',
          `queue${(from + index) % KEYS}`,
          from + index,
        ]),
      );
    }
    await until(() => count.received >= PUSHES, 'every element to be received', 60_000);
    await untilBlocked(pusher, CLIENTS);
    t.equal(await pusher.ask('DBSIZE'), 0, 'nothing is left that somebody could have had');
    const received = [...served.values()].flat().map(Number);
    t.equal(received.length, PUSHES);
    t.equal(new Set(received).size, PUSHES, 'each went to exactly one');
    for (const client of clients) client.close();
    await Promise.all(all);
    await untilBlocked(pusher, 0);
    pusher.close();
  },
);
