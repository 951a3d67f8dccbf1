// Servers in the workers of node:cluster, which share their addresses as those of node:net do.

import cluster, { type Worker } from 'node:cluster';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';

/** What a worker serves, and where. */
type Addresses = Record<string, string>;

class Cluster {
  readonly workers: Worker[] = [];
  readonly #serves: Addresses;

  constructor(t: Test, serves: Addresses) {
    this.#serves = serves;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('../../support/network/cluster-worker.ts', import.meta.url)),
      execArgv: ['--import', 'tsx', '--conditions=skein-source'],
      silent: true,
    });
    t.teardown(async () => {
      const alive = this.workers.filter((worker) => !worker.isDead());
      for (const worker of alive) worker.process.kill('SIGKILL');
      await Promise.all(alive.map(exitOf));
    });
  }

  /** Starts workers; gives where each listens. */
  async start(count: number): Promise<Addresses[]> {
    // Without the coverage of the test runner: it would count the output of another compiler against the same sources.
    const env = { ...this.#serves, NODE_ENV: 'production', _TAPJS_PROCESSINFO_COVERAGE_: '0' };
    const begun = Array.from({ length: count }, () => cluster.fork(env));
    this.workers.push(...begun);
    return Promise.all(
      begun.map(
        (worker) =>
          new Promise<Addresses>((resolve, reject) => {
            const found: Addresses = {};
            worker.on('message', ({ what, address }: { what: string; address: string }) => {
              found[what] = address;
              if (Object.keys(found).length === Object.keys(this.#serves).length) resolve(found);
            });
            worker.once('exit', (code, signal) => reject(new Error(`it ended with ${code ?? signal}`)));
          }),
      ),
    );
  }
}

async function exitOf(worker: Worker): Promise<unknown> {
  if (!worker.isDead()) await once(worker, 'exit');
  return worker.process.exitCode ?? worker.process.signalCode;
}

function target(address: string): { path: string } | { port: number } {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  return { port: Number(address.split(':').at(-1)) };
}

/** Sends a line over a connection of its own, and gives the answer. */
async function talk(address: string, line: string): Promise<{ answer: string; client: net.Socket }> {
  const client = net.connect(target(address));
  client.write(`${line}\n`);
  const [answer] = (await once(client.setEncoding('utf8'), 'data')) as [string];
  return { answer: answer.trim(), client };
}

async function ask(address: string, line: string): Promise<string> {
  const { answer, client } = await talk(address, line);
  client.destroy();
  return answer;
}

async function askByHttp(address: string, line: string): Promise<string> {
  const asked = request({ ...target(address), method: 'POST', agent: false });
  asked.end(line);
  const [response] = await once(asked, 'response');
  return text(response);
}

/** Asks until each of the workers has answered; with SCHED_NONE the system may give all clients to one. */
async function askAll(workers: readonly Worker[], address: string, how = ask): Promise<void> {
  const left = new Set(workers.map((worker) => String(worker.process.pid)));
  const isFair = cluster.schedulingPolicy === cluster.SCHED_RR;
  for (let tries = 0; isFair ? left.size > 0 : tries < 50; tries++) {
    const [pid = '', line] = (await how(address, String(tries))).split(' ');
    if (line !== String(tries)) throw new Error(`line ${tries} was answered with ${line}`);
    left.delete(pid);
    if (tries === 500) throw new Error(`workers ${[...left].join()} have served nobody`);
  }
}

/** Whether a client is served to the end by a worker that was told to end. */
async function outlives(address: string, worker: Worker, tell: () => void): Promise<boolean> {
  for (;;) {
    const { answer, client } = await talk(address, 'first');
    if (!answer.startsWith(`${worker.process.pid} `)) {
      client.destroy();
      continue;
    }
    tell();
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.write('last\n');
    const [last] = (await once(client, 'data')) as [string];
    client.end();
    return last === `${worker.process.pid} last\n`;
  }
}

for (const policy of ['SCHED_RR', 'SCHED_NONE'] as const) {
  t.test(`workers share the port that the system chose, and end one by one, with ${policy}`, async (t) => {
    cluster.schedulingPolicy = cluster[policy];
    const group = new Cluster(t, { TCP: '127.0.0.1:0' });
    const [{ TCP: address = '' } = {}, other] = await group.start(2);
    t.match(address, /^127\.0\.0\.1:[1-9]/);
    t.equal(other?.['TCP'], address);
    const [first, second] = group.workers as [Worker, Worker];
    await askAll([first, second], address);

    first.process.kill('SIGKILL');
    t.equal(await exitOf(first), 'SIGKILL');
    await askAll([second], address);
    t.strictSame(await group.start(1), [{ TCP: address }], 'another takes the place of one that died');
    const third = group.workers[2]!;
    await askAll([second, third], address);

    t.ok(await outlives(address, second, () => second.disconnect()), 'a worker that disconnects');
    t.equal(await exitOf(second), 0);
    t.ok(second.exitedAfterDisconnect);
    await askAll([third], address);

    t.ok(await outlives(address, third, () => third.process.kill('SIGTERM')), 'a worker that gets a signal');
    t.equal(await exitOf(third), 0, 'ends by itself, though its channel to the primary is open');
    await t.rejects(ask(address, 'too late'), { code: 'ECONNREFUSED' });
  });
}

t.test('workers share Unix sockets, HTTP and UDP ports, and have UDP ports of their own', async (t) => {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const folder = mkdtempSync(join(tmpdir(), 'skein-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const free = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address();
  await new Promise<void>((resolve) => free.close(resolve));
  const group = new Cluster(t, {
    TCP: `unix:${join(folder, 'socket')}`,
    HTTP: '127.0.0.1:0',
    UDP: `127.0.0.1:${port}`,
    OWN_UDP: '127.0.0.1:0',
  });
  const [one = {}, other = {}] = await group.start(2);
  t.strictSame({ ...one, OWN_UDP: '' }, { ...other, OWN_UDP: '' });
  await askAll(group.workers, one['TCP']!);
  await askAll(group.workers, one['HTTP']!, askByHttp);

  const client = dgram.createSocket('udp4');
  t.teardown(() => client.close());
  client.send('ping', port, '127.0.0.1');
  t.match(String((await once(client, 'message'))[0]), /^\d+ ping$/);
  for (const [index, { OWN_UDP }] of [one, other].entries()) {
    for (let times = 0; times < 5; times++) {
      client.send('answer', Number(OWN_UDP!.split(':')[1]), '127.0.0.1');
      t.equal(String((await once(client, 'message'))[0]), `${group.workers[index]!.process.pid} answer`);
    }
  }
});

t.test('an address that another process has is an error', async (t) => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const group = new Cluster(t, { TCP: `127.0.0.1:${(taken.address() as net.AddressInfo).port}` });
  const errors: string[] = [];
  cluster.once('fork', (worker) => worker.process.stderr!.on('data', (data) => errors.push(String(data))));
  await t.rejects(group.start(1), { message: 'it ended with 1' });
  t.match(errors.join(''), 'EADDRINUSE');
});
