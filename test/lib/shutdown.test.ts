import net from 'node:net';
import t from 'tap';
import { until } from '../support/peers.ts';
import { runProgram } from '../support/program.ts';

const CLIENTS = 1_000;

/** Answers `quick` 300 ms after the end was asked for, and `slow` never; in the end it tells what is left. */
const server = `
  import { run, serve, sleep } from 'skein';
  import { readdirSync } from 'node:fs';
  const descriptors = () => readdirSync('/dev/fd').length;
  let open = 0;
  let before;
  await run(() => serve(0, function* (conn, stopping) {
    const name = String(yield* conn.read());
    if (++open === ${CLIENTS}) console.log('all are here');
    yield* stopping.wait();
    yield* sleep(name === 'quick' ? 300 : 3_600_000);
    yield* conn.write('done');
  }, {
    signals: true,
    grace: 3_000,
    backlog: ${CLIENTS},
    onListening: ({ port }) => { before = descriptors(); console.log(port); },
  }));
  // The listening socket was counted, and is closed.
  setTimeout(() => console.log('left ' + (descriptors() - before + 1)), 100);
`;

t.test('SIGTERM with 1,000 open requests: who can finish does, the rest is cut off and named', async (t) => {
  const program = runProgram(['--input-type=module', '-e', server]);
  await until(() => program.lines().length === 1, 'the port');
  const port = Number(program.lines()[0]);
  const answers = Array.from({ length: CLIENTS }, async (_, index) => {
    const name = index % 4 === 0 ? 'slow' : 'quick';
    const socket = net.connect(port, '127.0.0.1');
    let heard = '';
    let localPort = 0;
    socket.once('connect', () => (localPort = socket.localPort!));
    socket.on('data', (data) => (heard += String(data)));
    socket.on('error', (error: NodeJS.ErrnoException) => (heard = error.code!));
    socket.write(name);
    await new Promise((resolve) => socket.once('close', resolve));
    return { name, heard, localPort };
  });
  await until(() => program.output().includes('all are here'), 'all clients', 60_000);
  t.equal(await program.end('SIGTERM'), 0, 'its exit status');
  const ended = await Promise.all(answers);
  const slow = ended.filter(({ name }) => name === 'slow');
  t.equal(
    ended.filter(({ name, heard }) => name === 'quick' && heard === 'done').length,
    CLIENTS - slow.length,
  );
  t.equal(slow.filter(({ heard }) => heard === 'ECONNRESET').length, slow.length, 'these were reset');
  const named = slow.filter(({ localPort }) =>
    program
      .output()
      .includes(
        `client 127.0.0.1:${localPort}: cut off after 3000 ms of grace, while sleeping for 3600000 ms\n`,
      ),
  );
  t.equal(named.length, slow.length, 'and each is named');
  t.match(program.output(), /^left 0$/m, 'no descriptor is left');
});
