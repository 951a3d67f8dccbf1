// Of several servers with one append-only file the first has it, wherever the others run; and a killed one leaves nothing
// behind that keeps the next from starting.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { KvClient, type KvServer, makeFolder, startKv } from '../../support/kv/peers.ts';
import { until } from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';

const locker = join(dirname(fileURLToPath(import.meta.url)), '../../support/kv/locker.ts');
/** All that a container has of its own. --kill-child: what runs in there ends with `unshare`. */
const NAMESPACES = ['--pid', '--net', '--uts', '--ipc', '--mount', '--fork', '--kill-child', '--mount-proc'];

/** What a server says that does not start. */
async function refusal(env: NodeJS.ProcessEnv): Promise<string> {
  const kv = await startKv(env);
  if (kv.output().includes('kv listening')) await kv.end('SIGKILL');
  return `${await kv.exited}: ${kv.output()}`;
}

async function values(kv: KvServer): Promise<number> {
  const client = await KvClient.connect(kv.port);
  const size = Number(await client.ask('DBSIZE'));
  client.close();
  return size;
}

t.test('a second server leaves the file of the first alone', async (t) => {
  const folder = makeFolder(t);
  const env = { DIR: folder, APPENDONLY: 'yes', APPENDFSYNC: 'always' };
  let kv = await startKv(env);
  t.teardown(() => void kv.child.kill('SIGKILL'));
  const client = await KvClient.connect(kv.port);
  let written = 0;
  const over = new AbortController();
  const writing = (async () => {
    while (!over.signal.aborted) {
      const keys = Array.from({ length: 50 }, () => `key${written++}`);
      await client.askAll(keys.map((key) => ['SET', key, 'x'.repeat(2_000)]));
      await client.ask('BGREWRITEAOF');
    }
  })();
  const samePort = { ...env, PORT: String(kv.port) };
  for (const other of [samePort, env]) {
    const said = await refusal(other);
    if (other === env)
      t.match(said, /^1: kv: .*appendonly\.aof is in use by process \d+ of \S+, as .*\.lock says\n$/);
    else t.match(said, /^1: kv: listening on 127\.0\.0\.1:\d+: .*EADDRINUSE.*\n$/);
  }
  over.abort();
  await writing;
  await kv.end('SIGKILL');
  client.close();
  kv = await startKv(env);
  t.equal(await values(kv), written, kv.output());
  t.equal(await kv.end('SIGTERM'), 0);
  kv = await startKv(env);
  t.equal(await values(kv), written);
  t.equal(await kv.end('SIGTERM'), 0);
});

t.test('what stands in a lock file keeps nobody from starting, and nor does a kill', async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'appendonly.aof.lock');
  for (const stale of [`${process.pid} 77`, `process ${process.pid} of ${hostname()}`]) {
    writeFileSync(path, stale);
    const kv = await startKv({ DIR: folder, APPENDONLY: 'yes' });
    t.equal(readFileSync(path, 'utf8'), `process ${kv.child.pid} of ${hostname()}`, stale);
    t.equal(await kv.end('SIGKILL'), null, kv.output());
  }
});

t.test('of several that take a lock in the same millisecond one has it', { timeout: 60_000 }, async (t) => {
  const folder = makeFolder(t);
  const count = 200;
  for (let index = 0; index < count; index++)
    writeFileSync(join(folder, `file${index}.lock`), `${process.pid} 77`);
  const words = [locker, folder, String(count), String(Date.now() + 3000)];
  const lockers = Array.from({ length: 3 }, () => runProgram(words));
  await until(() => lockers.every((one) => one.lines().length === 1), 'the lockers', 50_000);
  const taken = lockers.map((one) => JSON.parse(one.output()) as number[]);
  t.same(
    taken.flat().toSorted((one, other) => one - other),
    Array.from({ length: count }, (_, index) => index),
  );
  for (const one of lockers) one.child.stdin!.end();
  t.same(await Promise.all(lockers.map(({ exited }) => exited)), [0, 0, 0]);
});

const canUnshare = spawnSync('unshare', [...NAMESPACES, 'true']).status === 0;

t.test(
  'a server in other namespaces, as those of another container, is refused as well',
  { skip: !canUnshare && 'no namespaces can be made here' },
  async (t) => {
    const folder = makeFolder(t);
    const env = { DIR: folder, APPENDONLY: 'yes' };
    const inNamespaces = `exec unshare ${NAMESPACES.join(' ')} bash -c 'ip link set lo up; exec "$@"' bash "$@"`;
    const first = await startKv(env, inNamespaces);
    t.teardown(() => void first.child.kill('SIGKILL'));
    t.match(await refusal(env), /^1: kv: .*appendonly\.aof is in use by process 1 of .*\.lock says\n$/);
    const second = await startKv(env, inNamespaces);
    t.equal(await second.exited, 1);
    t.match(second.output(), /is in use by process 1 of /);
    await first.end('SIGKILL');
    const third = await startKv(env);
    t.equal(await third.end('SIGTERM'), 0, third.output());
  },
);

t.test('without the program flock no file is touched', { skip: process.platform !== 'linux' }, async (t) => {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'appendonly.aof'), 'nothing that could be loaded');
  const kv = await startKv({ DIR: folder, APPENDONLY: 'yes' }, 'export PATH=/nowhere');
  t.equal(await kv.exited, 1);
  t.match(kv.output(), /^kv: \S+ cannot be locked by the program flock: spawnSync flock ENOENT\n$/);
  t.equal(readFileSync(join(folder, 'appendonly.aof'), 'utf8'), 'nothing that could be loaded');
});
