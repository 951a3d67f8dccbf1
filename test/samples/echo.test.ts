import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { connect, readAll, until } from '../support/connection/peers.ts';
import { type Program, runProgram } from '../support/programs/program.ts';
import { without } from '../support/programs/samples.ts';

const samples = join(dirname(fileURLToPath(import.meta.url)), '../../samples');
const hasSocat = spawnSync('socat', ['-V']).status === 0;

/** A port that nobody used a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Runs a sample until it says where it listens. */
async function start(sample: string): Promise<Program & { port: number }> {
  const port = await freePort();
  const program = runProgram([join(samples, sample)], { HOST: '127.0.0.1', PORT: String(port) });
  await until(
    () => program.output().includes('listening on') || program.child.exitCode !== null,
    `${sample} to listen`,
  );
  return { ...program, port };
}

async function echoed(port: number, data: Buffer): Promise<Buffer> {
  const socket = await connect({ port });
  const all = readAll(socket);
  socket.end(data);
  return all;
}

for (const sample of ['echo.ts', 'echo-callback.ts', 'echo-co.ts', 'echo-async.ts']) {
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

t.test('echo.ts ends the line of its counter on Ctrl-C', { skip: without('script') }, async (t) => {
  // As in runProgram; to say it in the environment does not help, the test runner sets it again.
  const command = `unset NODE_OPTIONS; exec "${process.execPath}" --import tsx --conditions=skein-source "${join(samples, 'echo.ts')}"`;
  const terminal = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, PORT: '0' } });
  t.teardown(() => void terminal.kill('SIGKILL'));
  let shown = '';
  terminal.stdout.on('data', (data) => (shown += String(data)));
  await until(() => shown.includes('0 bytes echoed'), 'the counter', 30_000);
  const exit = once(terminal, 'close');
  terminal.stdin.write('\u0003');
  t.same(await exit, [0, null], shown);
  t.match(shown, /0 bytes echoed \S*\r\n$/);
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
      // After its own half it waits half a second for more of the other, which a busy machine may not keep to.
      const child = spawn('socat', ['-t', '30', '-', `TCP:127.0.0.1:${server.port}`]);
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
