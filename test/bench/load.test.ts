import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Connection, listen, run, serve, spawn as start, wait } from 'skein';
import t from 'tap';
import { listenPlain, portOf } from '../support/connection/peers.ts';

const sources = join(dirname(fileURLToPath(import.meta.url)), '../../bench/echo/c');
const canRun = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;
const skip = !canRun && 'the load generator needs Linux and a C compiler';
const folder = mkdtempSync(join(tmpdir(), 'skein-bench-'));
const load = join(folder, 'load');
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function compile(binary: string, ...files: string[]): void {
  const { status, stderr } = spawnSync('cc', ['-O1', '-std=gnu11', '-o', binary, ...files], { cwd: sources });
  if (status !== 0) throw new Error(String(stderr));
}

/** Runs the load generator against a port; gives its exit status and what it printed. */
async function generate(port: number, pid: number, ...args: string[]) {
  const child = spawn(load, [`--port=${port}`, `--pid=${pid}`, ...args]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)));
  await once(child, 'close');
  return { status: child.exitCode, output };
}

function* echo(conn: Connection) {
  for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
}

const BRIEF = ['--warm-up=0.01', '--seconds=0.05', '--connections=20'];

t.before(() => canRun && compile(load, 'load.c', 'traffic.c'));

t.test('the load generator counts the messages that the C server echoes', { skip }, async (t) => {
  const binary = join(folder, 'server');
  compile(binary, 'server.c');
  const server = spawn(binary, [], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => server.kill());
  const [line] = (await once(server.stdout, 'data')) as [Buffer];
  const port = Number(/^listening on (\d+)$/m.exec(String(line))?.[1]);
  for (const form of [['--depth=16'], ['--depth=16', '--burst'], ['--size=100000', '--depth=3']]) {
    const { status, output } = await generate(port, server.pid!, ...BRIEF, ...form);
    t.equal(status, 0, output);
    const { messages, cpu, p50, p999 } = JSON.parse(output) as Record<string, number>;
    t.ok(messages! > 0 && cpu! > 0 && p50! > 0 && p999! >= p50!, output);
  }
  const { status, output } = await generate(
    port,
    server.pid!,
    '--connections=150',
    '--idle=0.01',
    '--collect',
  );
  t.equal(status, 0, output);
  t.match(JSON.parse(output), { connections: 150, answered: 150 });
});

t.test('it finds all bytes in what a server on skein echoes', { skip }, async (t) => {
  await run(function* () {
    const acceptor = yield* listen(0);
    const stop = new AbortController();
    start(() => serve(acceptor, echo, { signal: stop.signal }));
    const { status, output } = yield* wait(
      generate(acceptor.address.port, process.pid, ...BRIEF, '--depth=4', '--size=1000'),
    );
    t.equal(status, 0, output);
    stop.abort();
  });
});

t.test('it fails when other bytes come back, or no more do', { skip }, async (t) => {
  let chunks = 0;
  const wrong = await listenPlain((socket) => {
    socket.on('data', (data: Buffer) => {
      if (++chunks === 30) data[0]! ^= 1;
      socket.write(data);
    });
  });
  const ending = await listenPlain((socket) => socket.once('data', () => socket.end()));
  t.teardown(() => [wrong, ending].forEach((server) => server.close()));
  const spoilt = await generate(portOf(wrong), process.pid, ...BRIEF);
  t.equal(spoilt.status, 1);
  t.match(spoilt.output, /got other bytes than were sent/);
  const cut = await generate(portOf(ending), process.pid, ...BRIEF);
  t.equal(cut.status, 1);
  t.match(cut.output, /the server ended connection/);
});
