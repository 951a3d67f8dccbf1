import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import t from 'tap';
import { hasRedisBenchmark, hasRedisCli, KvClient, startKv } from '../../support/kv/peers.ts';
import { until } from '../../support/connection/peers.ts';

const exec = promisify(execFile);

t.test('ioredis: values, pipelines, transactions, channels, scans', async (t) => {
  const kv = await startKv();
  const redis = new Redis(kv.port, '127.0.0.1');
  const listener = new Redis(kv.port, '127.0.0.1');
  t.teardown(async () => {
    redis.disconnect();
    listener.disconnect();
    await kv.end('SIGTERM');
  });
  t.equal(await redis.set('greeting', 'grüß dich'), 'OK');
  t.equal(await redis.get('greeting'), 'grüß dich');
  const binary = Buffer.from([0, 13, 10, 255, 128]);
  await redis.set('bytes', binary);
  t.same(await redis.getBuffer('bytes'), binary);
  t.same(await redis.pipeline().incr('n').incr('n').lpush('list', 'a', 'b').lrange('list', 0, -1).exec(), [
    [null, 1],
    [null, 2],
    [null, 2],
    [null, ['b', 'a']],
  ]);
  t.same(await redis.multi().hset('hash', { a: 1, b: 2 }).hgetall('hash').exec(), [
    [null, 2],
    [null, { a: '1', b: '2' }],
  ]);
  const told: string[] = [];
  listener.on('message', (channel, message) => told.push(`${channel} ${message}`));
  listener.on('pmessage', (pattern, channel, message) => told.push(`${pattern} ${channel} ${message}`));
  t.equal(await listener.subscribe('news'), 1);
  t.equal(await listener.psubscribe('n*'), 2);
  t.equal(await redis.publish('news', 'rain'), 2);
  await until(() => told.length === 2);
  t.same(told, ['news rain', 'n* news rain']);
  await redis.mset(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`key:${index}`, index])));
  const names = new Set<string>();
  for await (const some of redis.scanStream({ match: 'key:*', count: 7 }))
    for (const name of some) names.add(name);
  t.equal(names.size, 100);
  const waiting = redis.duplicate();
  const popped = waiting.blpop('queue', 5);
  await redis.rpush('queue', 'job');
  t.same(await popped, ['queue', 'job']);
  waiting.disconnect();
  await t.rejects(redis.lpush('greeting', 'x'), /WRONGTYPE/);
});

t.test('redis-cli', { skip: !hasRedisCli && 'no redis-cli here' }, async (t) => {
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  const cli = async (...words: string[]): Promise<string> =>
    (await exec('redis-cli', ['-p', String(kv.port), ...words], { timeout: 20_000 })).stdout.trimEnd();
  t.equal(await cli('SET', 'a', 'b'), 'OK');
  t.equal(await cli('--no-raw', 'LPUSH', 'list', 'x', 'y'), '(integer) 2');
  t.equal(await cli('--no-raw', 'LRANGE', 'list', '0', '-1'), '1) "y"\n2) "x"');
  t.match(await cli('INFO'), /redis_version:7/);
  t.match(await cli('-n', '3', 'DBSIZE'), /^0$/);
  t.equal(await cli('--scan'), 'list\na'.split('\n').toSorted().toReversed().join('\n'));
  t.match(await cli('CLIENT', 'LIST'), /id=\d+ addr=127\.0\.0\.1:\d+/);
});

t.test('redis-benchmark', { skip: !hasRedisBenchmark && 'no redis-benchmark here' }, async (t) => {
  const kv = await startKv({ PORT: '0' });
  t.teardown(() => kv.end('SIGTERM'));
  const tests = 'ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,lrange_100,mset';
  const words = ['-p', String(kv.port), '-t', tests, '-n', '2000', '-P', '4', '--csv', '-r', '100'];
  const { stdout } = await exec('redis-benchmark', words, { timeout: 50_000 });
  t.ok(stdout.trim().split('\n').length >= 14, stdout);
});

t.test('it ends in stages: clients are let go, those who wait as well', async (t) => {
  const kv = await startKv();
  const [idle, blocked] = [await KvClient.connect(kv.port), await KvClient.connect(kv.port)];
  const popped = blocked.ask('BLPOP', 'nothing', 0);
  await idle.ask('PING');
  t.equal(await kv.end('SIGTERM'), 0, kv.output());
  t.same(await popped, { error: 'the connection has ended' });
  t.notMatch(kv.output(), /Error|cut off/);
  idle.close();
  blocked.close();
});

t.test('CLIENT KILL ends another client, and oneself after the answer', async (t) => {
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  const [one, other] = [await KvClient.connect(kv.port), await KvClient.connect(kv.port)];
  await other.ask('CLIENT', 'SETNAME', 'other');
  t.match(await one.ask('CLIENT', 'LIST'), /name=other/);
  const id = (await other.ask('CLIENT', 'ID')) as number;
  t.equal(await one.ask('CLIENT', 'KILL', 'ID', id), 1);
  await until(() => other.isEnded);
  const own = (await one.ask('CLIENT', 'ID')) as number;
  t.equal(await one.ask('CLIENT', 'KILL', 'ID', own, 'SKIPME', 'no'), 1);
  await until(() => one.isEnded);
});

t.test('CLIENT UNBLOCK ends the waiting of another client, and of nobody else', async (t) => {
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  const [one, other] = [await KvClient.connect(kv.port), await KvClient.connect(kv.port)];
  const id = (await other.ask('CLIENT', 'ID')) as number;
  t.equal(await one.ask('CLIENT', 'UNBLOCK', id), 0, 'it does not wait');
  const waitingFor = async (...words: string[]): Promise<unknown> => {
    const popped = other.ask('BLPOP', 'nothing', 0);
    while (!/blocked_clients:1/.test(String(await one.ask('INFO', 'clients'))));
    t.equal(await one.ask('CLIENT', 'UNBLOCK', id, ...words), 1);
    return popped;
  };
  t.equal(await waitingFor(), null);
  t.equal(await waitingFor('timeout'), null);
  t.same(await waitingFor('ERROR'), { error: 'UNBLOCKED client unblocked via CLIENT UNBLOCK' });
  t.equal(await other.ask('PING'), 'PONG');
  t.equal(await one.ask('RPUSH', 'nothing', 'a'), 1);
  t.equal(await one.ask('CLIENT', 'UNBLOCK', id), 0);
  t.same(await one.ask('CLIENT', 'UNBLOCK', id, 'NOW'), {
    error: 'ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR',
  });
  for (const client of [one, other]) client.close();
});

t.test('CLIENT REPLY leaves out the next reply, or all of them', async (t) => {
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  const client = await KvClient.connect(kv.port);
  const say = (...lines: string[]): void => void client.socket.write(`${lines.join('\r\n')}\r\n`);
  const heard = async (...lines: string[]): Promise<unknown[]> => {
    say(...lines, 'CLIENT REPLY ON', 'ECHO over');
    await until(() => client.replies.at(-1) === 'over', 'the echo');
    return client.replies.splice(0).slice(0, -2);
  };
  t.same(await heard('CLIENT REPLY SKIP', 'ECHO a', 'ECHO b'), ['b']);
  t.same(await heard('CLIENT REPLY SKIP', 'BLPOP nothing 0.01', 'ECHO b'), ['b']);
  t.same(await heard('CLIENT REPLY SKIP', 'NOSUCH', 'ECHO b'), ['b']);
  t.same(
    await heard('CLIENT REPLY OFF', 'ECHO a', 'CLIENT REPLY SKIP', 'ECHO b', 'MULTI', 'ECHO c', 'EXEC'),
    [],
  );
  t.same(await heard('CLIENT REPLY OFF', 'SUBSCRIBE x', 'UNSUBSCRIBE x'), [
    ['subscribe', 'x', 1],
    ['unsubscribe', 'x', 0],
  ]);
  t.same(await heard('CLIENT REPLY OFF', 'RESET', 'PING'), ['RESET', 'PONG']);
  client.close();
});
