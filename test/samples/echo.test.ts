import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { connect, readAll, until } from '../support/peers.ts';

const samples = join(dirname(fileURLToPath(import.meta.url)), '../../samples');
const hasSocat = spawnSync('socat', ['-V']).status === 0;

interface Running {
  child: ChildProcess;
  port: number;
  output: () => string;
  end: (signal: NodeJS.Signals) => Promise<number | null>;
}

/** A port that nobody used a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function start(sample: string): Promise<Running> {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--conditions=skein-source', join(samples, sample)],
    {
      env: { ...process.env, HOST: '127.0.0.1', PORT: String(port), NODE_V8_COVERAGE: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream!.on('data', (data) => (output += String(data)));
  await until(() => output.includes(String(port)) || child.exitCode !== null, `${sample} to listen`);
  return {
    child,
    port,
    output: () => output,
    async end(signal) {
      const exit = once(child, 'exit');
      child.kill(signal);
      return (await exit)[0] as number | null;
    },
  };
}

async function echoed(port: number, data: Buffer): Promise<Buffer> {
  const socket = await connect({ port });
  const all = readAll(socket);
  socket.end(data);
  return all;
}

for (const sample of ['echo.ts', 'echo-callback.ts', 'echo-co.ts']) {
  t.test(`${sample} echoes to many clients and ends on a signal`, async (t) => {
    const server = await start(sample);
    const sent = [1, 10, 100_000, 2_000_000].map((size) => randomBytes(size));
    const received = await Promise.all(sent.map((data) => echoed(server.port, data)));
    for (const [index, data] of sent.entries())
      t.ok(received[index]!.equals(data), `${data.byteLength} bytes`);
    t.equal(await server.end('SIGINT'), 0, server.output());
    t.notMatch(server.output(), /Warning/);
  });
}

t.test('echo.ts names the line that was waiting when a client was reset', async (t) => {
  const server = await start('echo.ts');
  const socket = await connect(server);
  socket.write('hello');
  await once(socket, 'data');
  socket.resetAndDestroy();
  await until(() => server.output().includes('ECONNRESET'), 'the error');
  t.match(server.output(), /ECONNRESET[^]*at echo \(.*samples\/echo\.ts:\d+:\d+\)/);
  t.equal(String(await echoed(server.port, Buffer.from('still here'))), 'still here');
  t.equal(await server.end('SIGTERM'), 0);
});

t.test('echo.ts lets a client finish after SIGTERM', async (t) => {
  const server = await start('echo.ts');
  const socket = await connect(server);
  socket.write('a');
  await once(socket, 'data');
  const exit = server.end('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const rest = readAll(socket);
  socket.end('last');
  t.equal(String(await rest), 'last');
  t.equal(await exit, 0);
});

t.test('socat gets its answer although it half-closes', { skip: !hasSocat && 'no socat here' }, async (t) => {
  const server = await start('echo.ts');
  const socat = (input: string | Buffer) =>
    new Promise<Buffer>((resolve) => {
      const child = spawn('socat', ['-', `TCP:127.0.0.1:${server.port}`]);
      const chunks: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      child.on('close', () => resolve(Buffer.concat(chunks)));
      child.stdin.end(input);
    });
  t.equal(String(await socat('hello')), 'hello');
  const data = randomBytes(10_000_000);
  const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  t.equal(sum(await socat(data)), sum(data));
  t.equal(await server.end('SIGINT'), 0);
});
