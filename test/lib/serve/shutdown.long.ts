import net from 'node:net';
import t from 'tap';
import { until } from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';

const CLIENTS = 1_000;

/** Answers `quick` 300 ms after the end was asked for, and `slow` never; in the end it tells what is left. */
const program = (serving: string) => `
  import { reactorName, run, serve, serveHttp, sleep, wait } from 'skein';
  import { descriptors } from '${new URL('../../support/network/descriptors.ts', import.meta.url)}';
  let open = 0;
  // The reactor, which stays, has descriptors of its own.
  reactorName();
  const before = descriptors();
  const asked = new Promise((resolve) => process.once('SIGTERM', resolve));
  function* work(name, stopped) {
    if (++open === ${CLIENTS}) console.log('all are here');
    yield* stopped;
    yield* sleep(name === 'quick' ? 300 : 3_600_000);
  }
  const options = {
    signals: true,
    grace: 3_000,
    backlog: ${CLIENTS},
    onListening: ({ port }) => console.log(port),
  };
  await run(() => ${serving});
  setTimeout(() => console.log('left: ' + descriptors().filter((one) => !before.includes(one)).join()), 100);
`;

const servers = {
  serve: {
    serving: `serve(0, function* (conn, stopping) {
      yield* work(String(yield* conn.read()), stopping.wait());
      yield* conn.write('done');
    }, options)`,
    request: (name: string) => name,
    answer: 'done',
    who: (port: number) => `client 127.0.0.1:${port}`,
  },
  serveHttp: {
    serving: `serveHttp(0, function* (request, response) {
      yield* work(request.url.slice(1), wait(asked));
      response.end('done');
    }, options)`,
    request: (name: string) => `GET /${name} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    answer: /\r\nConnection: close\r\n[^]*\r\n\r\ndone$/,
    who: (port: number) => `client 127.0.0.1:${port}, GET /slow`,
  },
};

for (const [name, server] of Object.entries(servers)) {
  t.test(`SIGTERM with 1,000 open requests: who can finish does, the rest is named (${name})`, async (t) => {
    const running = runProgram(['--input-type=module', '-e', program(server.serving)]);
    await until(() => running.lines().length === 1, 'the port');
    const port = Number(running.lines()[0]);
    const answers = Array.from({ length: CLIENTS }, (_, index) =>
      ask(port, server.request, index % 4 === 0 ? 'slow' : 'quick'),
    );
    await until(() => running.output().includes('all are here'), 'all clients', 60_000);
    t.equal(await running.end('SIGTERM'), 0, 'its exit status');
    const ended = await Promise.all(answers);
    const slow = ended.filter((one) => one.name === 'slow');
    const quick = ended.filter((one) => one.name === 'quick');
    t.equal(quick.filter(({ heard }) => heard.match(server.answer)).length, CLIENTS - slow.length);
    t.equal(slow.filter(({ heard }) => heard === 'ECONNRESET').length, slow.length, 'these were reset');
    const named = slow.filter(({ localPort }) => {
      const what = 'cut off after 3000 ms of grace, while sleeping for 3600000 ms';
      return running.output().includes(`${server.who(localPort)}: ${what}\n`);
    });
    t.equal(named.length, slow.length, 'and each is named');
    t.equal(/^left: .*$/m.exec(running.output())?.[0], 'left: ', 'no descriptor');
  });
}

/** Sends a request; gives all that was heard until the end, or the code of the error. */
async function ask(port: number, request: (name: string) => string, name: string) {
  const socket = net.connect(port, '127.0.0.1');
  let heard = '';
  let localPort = 0;
  socket.once('connect', () => (localPort = socket.localPort!));
  socket.on('data', (data) => (heard += String(data)));
  socket.on('error', (error: NodeJS.ErrnoException) => (heard = error.code!));
  socket.write(request(name));
  await new Promise((resolve) => socket.once('close', resolve));
  return { name, heard, localPort };
}
