// A rewrite of the append-only file that fails: the server goes on with the file as it is, and tries again later.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { KvClient, type KvServer, makeFolder, startKv } from '../../support/kv/peers.ts';
import { until } from '../../support/connection/peers.ts';

const isRoot = process.getuid?.() === 0;
const canMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;
/** Root may write everywhere; what it becomes for the server has to be able to read that. */
const NOBODY = ['--reuid=65534', '--clear-groups'];
const canDrop = spawnSync('setpriv', [...NOBODY, 'test', '-r', fileURLToPath(import.meta.url)]).status === 0;
const PERSISTENT = { APPENDONLY: 'yes', APPENDFSYNC: 'always' };

interface Server extends KvServer {
  readonly client: KvClient;
}

async function start(t: Test, folder: string, env: NodeJS.ProcessEnv = {}, limits?: string): Promise<Server> {
  const kv = await startKv({ DIR: folder, ...PERSISTENT, ...env }, limits);
  t.teardown(() => void kv.child.kill('SIGKILL'));
  t.not(kv.port, 0, kv.output());
  return { ...kv, client: await KvClient.connect(kv.port) };
}

/** What INFO says of a rewrite once it has ended. */
async function statusOfRewrite({ client }: Server): Promise<string> {
  while (!client.isEnded) {
    const facts = String(await client.ask('INFO', 'persistence'));
    if (facts.includes('in_progress:0')) return /aof_last_bgrewrite_status:(\w+)/.exec(facts)![1]!;
  }
  return 'the server has ended';
}

/** Has a rewrite fail, writes on, and looks for all of it after a kill. */
async function failAndRestart(t: Test, kv: Server, folder: string, code: string): Promise<void> {
  const { client } = kv;
  await client.ask('SET', 'before', 1);
  await client.ask('BGREWRITEAOF');
  await until(() => kv.output().includes(code), `${code} in ${kv.output()}`, 10_000);
  t.match(kv.output(), /kv: rewriting \S+ failed, the file stays as it is, the next try is in 1 s: \w+/);
  t.equal(await statusOfRewrite(kv), 'err');
  t.equal(await client.ask('SET', 'after', 1), 'OK');
  await kv.end('SIGKILL');
  client.close();
  const again = await start(t, folder);
  t.same(await again.client.ask('MGET', 'before', 'after'), ['1', '1'], again.output());
  t.notOk(existsSync(join(folder, 'appendonly.aof.rewriting')));
  again.client.close();
  t.equal(await again.end('SIGTERM'), 0);
}

t.test('a rewrite may meet a limit for the size of files', async (t) => {
  const folder = makeFolder(t);
  // In KiB. What is copied by a short command takes no room in the file before that is rewritten.
  const kv = await start(t, folder, {}, 'ulimit -f 200');
  await kv.client.ask('SET', 'large', 'x'.repeat(100_000));
  for (let copy = 0; copy < 5; copy++) t.equal(await kv.client.ask('COPY', 'large', `copy${copy}`), 1);
  await failAndRestart(t, kv, folder, 'EFBIG');
});

t.test(
  'a rewrite may meet a folder in which it may write nothing',
  { skip: isRoot && !canDrop && 'nobody else can read this checkout' },
  async (t) => {
    const folder = makeFolder(t);
    const drop = `exec setpriv ${NOBODY.join(' ')} "$@"`;
    chmodSync(folder, 0o777);
    const kv = await start(t, folder, {}, isRoot ? drop : undefined);
    chmodSync(folder, 0o555);
    await failAndRestart(t, kv, folder, 'EACCES');
  },
);

t.test(
  'clients that change something go before a rewrite that fills the disk',
  { skip: !canMount && 'nothing can be mounted here' },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'skein-kv-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
    t.equal(mounted.status, 0, String(mounted.stderr));
    t.teardown(() => void spawnSync('umount', ['-l', folder]));
    let kv = await start(t, folder);
    const other = await KvClient.connect(kv.port);
    for (let key = 0; key < 21; key++) await kv.client.ask('SET', `key${key}`, 'x'.repeat(100_000));
    let written = 0;
    for (let round = 0; round < 5; round++) {
      await other.ask('BGREWRITEAOF');
      const end = Date.now() + 150;
      while (Date.now() < end && !kv.client.isEnded)
        t.equal(await kv.client.ask('SET', 'written', ++written), 'OK', kv.output());
      t.equal(await statusOfRewrite(kv), 'err', kv.output());
    }
    t.match(kv.output(), /ENOSPC|the disk has no room/);
    other.close();
    kv.client.close();
    await kv.end('SIGKILL');
    kv = await start(t, folder);
    t.equal(await kv.client.ask('GET', 'written'), String(written));
    t.equal(await kv.client.ask('DBSIZE'), 22);
    kv.client.close();
    t.equal(await kv.end('SIGTERM'), 0);
  },
);

t.test('a rewrite is tried again, and writes all of it where the folder had gone', async (t) => {
  const folder = join(makeFolder(t), 'data');
  mkdirSync(folder);
  const kv = await start(t, folder, { APPENDFSYNC: 'everysec' });
  await kv.client.ask('SET', 'a', 1);
  rmSync(folder, { recursive: true });
  await kv.client.ask('BGREWRITEAOF');
  await until(() => kv.output().includes('ENOENT'), `ENOENT in ${kv.output()}`, 10_000);
  await kv.client.ask('SET', 'b', 1);
  mkdirSync(folder);
  await until(() => existsSync(join(folder, 'appendonly.aof')), 'the next try', 20_000);
  t.equal(await statusOfRewrite(kv), 'ok');
  await kv.client.ask('SET', 'c', 1);
  kv.client.close();
  t.equal(await kv.end('SIGTERM'), 0, kv.output());
  const again = await start(t, folder);
  t.same(await again.client.ask('MGET', 'a', 'b', 'c'), ['1', '1', '1']);
  again.client.close();
  await again.end('SIGTERM');
});

t.test('a rewrite does not take the place of a file that another server has by now', async (t) => {
  const folder = join(makeFolder(t), 'data');
  mkdirSync(folder);
  const first = await start(t, folder);
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  const second = await start(t, folder);
  await second.client.ask('SET', 'its', 'own');
  await first.client.ask('BGREWRITEAOF');
  await until(() => first.output().includes('failed'), 'it to fail', 10_000);
  t.match(first.output(), /failed, .*: another file has its place by now/);
  for (const kv of [first, second]) kv.client.close();
  await second.end('SIGKILL');
  const again = await start(t, folder);
  t.equal(await again.client.ask('GET', 'its'), 'own');
  again.client.close();
  for (const kv of [first, again]) t.equal(await kv.end('SIGTERM'), 0, kv.output());
});
