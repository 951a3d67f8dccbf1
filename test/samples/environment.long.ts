// Settings that make no sense: a sentence that names them, and no server; and empty ones, which are not set.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { until } from '../support/connection/peers.ts';
import { runProgram } from '../support/programs/program.ts';
import { startSample } from '../support/programs/samples.ts';

const samples = join(dirname(fileURLToPath(import.meta.url)), '../../samples');
const BACKENDS = '127.0.0.1:8001';
const addresses = (got: string) =>
  `BACKENDS expects addresses, such as 127.0.0.1:8001,127.0.0.1:8002, got "${got}"`;

const both = 'SOCKS_USER and SOCKS_PASSWORD are set both, and not empty, or neither is';

const refused: [sample: string, env: Record<string, string>, sentence: string][] = [
  ['chat.ts', { PORT: 'abc' }, 'PORT expects a whole number from 0 to 65535, got "abc"'],
  ['chat.ts', { PORT: '65536' }, 'PORT expects a whole number from 0 to 65535, got "65536"'],
  ['balance.ts', { BACKENDS, INTERVAL: '0' }, 'INTERVAL expects a whole number, 1 or more, got "0"'],
  ['balance.ts', { BACKENDS, INTERVAL: '-1' }, 'INTERVAL expects a whole number, 1 or more, got "-1"'],
  ['balance.ts', { BACKENDS, GRACE: 'abc' }, 'GRACE expects a whole number, 0 or more, got "abc"'],
  ['balance.ts', {}, addresses('')],
  ['balance.ts', { BACKENDS: `${BACKENDS},` }, addresses(`${BACKENDS},`)],
  ['socks5.ts', { HANDSHAKE: 'abc' }, 'HANDSHAKE expects a whole number, 1 or more, got "abc"'],
  ['socks5.ts', { DEADLINE: '1.5' }, 'DEADLINE expects a whole number, 1 or more, got "1.5"'],
  ['socks5.ts', { SOCKS_USER: 'ada' }, both],
  ['socks5.ts', { SOCKS_PASSWORD: 'secret' }, both],
  ['socks5.ts', { SOCKS_USER: 'ada', SOCKS_PASSWORD: '' }, both],
  ['socks5.ts', { SOCKS_USER: '', SOCKS_PASSWORD: '' }, both],
  ['scan.ts', { DIALS: 'abc' }, 'DIALS expects a whole number, 1 or more, got "abc"'],
  ['scan.ts', { LIMIT: '0' }, 'LIMIT expects a whole number, 1 or more, got "0"'],
  ['http.ts', { ROOT: '/nowhere' }, 'ROOT expects a folder, got "/nowhere"'],
];

for (const [sample, env, sentence] of refused) {
  t.test(`${sample} does not start with ${JSON.stringify(env)}`, async (t) => {
    const program = runProgram([join(samples, sample)], { PORT: '0', ...env });
    t.teardown(() => void program.child.kill('SIGKILL'));
    t.equal(await program.exited, 1);
    t.equal(program.output(), `${sentence}\n`);
  });
}

for (const sample of ['chat.ts', 'echo.ts', 'echo-callback.ts', 'echo-co.ts', 'echo-async.ts']) {
  t.test(`${sample} takes an empty HOST for none`, async (t) => {
    const server = await startSample(t, sample, { HOST: '' });
    t.match(server.output(), /listening on 127\.0\.0\.1:/);
    t.equal(await server.end('SIGTERM'), 0);
  });

  t.test(`${sample} takes an empty PORT for none`, async (t) => {
    const program = runProgram([join(samples, sample)], { HOST: '127.0.0.1', PORT: '' });
    t.teardown(() => void program.child.kill('SIGKILL'));
    // Where it listens, or that somebody else does.
    await until(() => program.output().includes('127.0.0.1:9981'), 'it to name the default', 30_000);
    await program.end('SIGTERM');
  });
}

t.test('balance.ts passes over the spaces of a list', async (t) => {
  const server = await startSample(t, 'balance.ts', { BACKENDS: '127.0.0.1:8001, 127.0.0.1:8002' });
  t.equal(await server.end('SIGTERM'), 0);
});
