// How samples/kv starts, and when it does not.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { KvClient, makeFolder, startKv } from '../../support/kv/peers.ts';

/** What a server says that does not start. */
async function refusal(env: NodeJS.ProcessEnv): Promise<string> {
  const kv = await startKv(env);
  if (kv.output().includes('kv listening')) await kv.end('SIGKILL');
  return `${await kv.exited}: ${kv.output()}`;
}

t.test('settings that make no sense are refused with their name', async (t) => {
  const folder = makeFolder(t);
  const memory = 'expects an amount of memory such as 64mb, got';
  const cases: [NodeJS.ProcessEnv, string][] = [
    [{ PORT: 'abc' }, '1: PORT expects a whole number from 0 to 65535, got "abc"\n'],
    [{ AUTO_AOF_REWRITE_MIN_SIZE: '64 MiB' }, `1: AUTO_AOF_REWRITE_MIN_SIZE ${memory} "64 MiB"\n`],
    [{ SUBSCRIBER_HARD: 'abc' }, `1: SUBSCRIBER_HARD ${memory} "abc"\n`],
    [
      { AUTO_AOF_REWRITE_PERCENTAGE: '1e' },
      '1: AUTO_AOF_REWRITE_PERCENTAGE expects a whole number, 0 or more, got "1e"\n',
    ],
    [{ APPENDFSYNC: 'often' }, '1: APPENDFSYNC expects one of everysec, always, no, got "often"\n'],
    [{ DIR: join(folder, 'nowhere') }, `1: DIR expects a folder, got "${join(folder, 'nowhere')}"\n`],
  ];
  for (const [env, said] of cases) t.equal(await refusal(env), said);
  t.match(await refusal({ HOST: 'nowhere.invalid' }), /^1: kv: listening on nowhere\.invalid:0: .*ENOTFOUND/);
  mkdirSync(join(folder, 'appendonly.aof'));
  const said = await refusal({ DIR: folder, APPENDONLY: 'yes' });
  t.match(said, /^1: kv: .*appendonly\.aof: what stands behind byte 0 cannot be read: EISDIR: .*\n$/);
});

t.test('amounts of memory are those of Redis', async (t) => {
  const kv = await startKv({ AUTO_AOF_REWRITE_MIN_SIZE: '64mb', SUBSCRIBER_HARD: '1GB' });
  t.teardown(() => void kv.child.kill('SIGKILL'));
  const client = await KvClient.connect(kv.port);
  const get = async (name: string): Promise<unknown> =>
    ((await client.ask('CONFIG', 'GET', name)) as string[])[1];
  t.equal(await get('auto-aof-rewrite-min-size'), '67108864');
  t.equal(await get('client-output-buffer-limit'), 'pubsub 1073741824 8388608 60');
  for (const [value, bytes] of [
    ['5', '5'],
    ['2k', '2000'],
    ['2KB', '2048'],
    ['3m', '3000000'],
    ['1g', '1000000000'],
    ['7b', '7'],
  ]) {
    t.equal(await client.ask('CONFIG', 'SET', 'auto-aof-rewrite-min-size', value!), 'OK');
    t.equal(await get('auto-aof-rewrite-min-size'), bytes);
  }
  const failed = (name: string, why: string): unknown => ({
    error: `ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`,
  });
  for (const [name, value, why] of [
    ['auto-aof-rewrite-min-size', '64x', 'argument must be a memory value'],
    ['auto-aof-rewrite-percentage', 'x', "argument couldn't be parsed into an integer"],
    ['auto-aof-rewrite-percentage', '-1', 'argument must be between 0 and 2147483647 inclusive'],
    [
      'client-output-buffer-limit',
      'pubsub 1x 1 1',
      'Error in hard, soft or soft_seconds setting in buffer limit configuration.',
    ],
    ['client-output-buffer-limit', 'pubsub 1 1', 'Wrong number of arguments in buffer limit configuration.'],
    [
      'client-output-buffer-limit',
      'foo 1 1 1',
      'Invalid client class specified in buffer limit configuration.',
    ],
    ['appendfsync', 'often', 'argument(s) must be one of the following: everysec, always, no'],
  ] as const) {
    t.match(
      JSON.stringify(await client.ask('CONFIG', 'SET', name, value)),
      JSON.stringify(failed(name, why)),
    );
  }
  t.equal(await client.ask('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 0 0 0'), 'OK');
  t.equal(await get('client-output-buffer-limit'), 'pubsub 0 0 0');
  client.close();
  t.equal(await kv.end('SIGTERM'), 0);
});

t.test('a request that is too large is answered, and closes the connection', async (t) => {
  const kv = await startKv();
  t.teardown(() => void kv.child.kill('SIGKILL'));
  const client = await KvClient.connect(kv.port);
  const reply = client.ask('SET', 'a', 'x'.repeat(70_000_000)).catch((error: NodeJS.ErrnoException) => error);
  t.match(JSON.stringify(await reply), /invalid bulk length|ECONNRESET|EPIPE|has ended/);
  client.close();
  const other = await KvClient.connect(kv.port);
  t.equal(await other.ask('DBSIZE'), 0);
  other.close();
  t.equal(await kv.end('SIGTERM'), 0);
  t.notMatch(kv.output(), /Error|at /, 'nothing of it is the server’s trouble');
});
