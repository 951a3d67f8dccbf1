// A server whose process was stopped for longer than each of its deadlines hears all that came in time first, as one whose
// thread was blocked does (late-deadlines.test.ts).

import t from 'tap';
import { connect, until } from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

t.test(
  'a server that stands still for 5 s goes on with all of its 300 clients',
  { timeout: 60_000 },
  async (t) => {
    const server = runProgram([
      '--input-type=module',
      '--eval',
      `
      import { run, serve, serveHttp } from 'skein';
      const onError = (error) => console.log('error', error.message);
      const say = (what) => (address) => console.log(what, address.port);
      void run(() => serve(0, function* (conn) {
        for (let line; (line = yield* conn.readLine()) !== null;) yield* conn.write('got ' + line + '\\n');
      }, { idleTimeout: 2000, onError, onListening: say('lines') }));
      void run(() => serveHttp(0, function* (request, response) { response.end('got'); }, {
        keepAliveTimeout: 2000, headersTimeout: 2000, onError, onListening: say('http'),
      }));
    `,
    ]);
    await until(() => server.lines().length === 2);
    const portIn = (what: string): number =>
      Number(
        server
          .lines()
          .find((line) => line.startsWith(what))!
          .split(' ')[1],
      );
    const meet = async (what: string, first: string, second: string) => {
      const socket = await connect({ port: portIn(what) });
      let got = '';
      socket.on('data', (data) => (got += String(data)));
      socket.write(first);
      return { socket, second, count: () => got.match(/got/g)?.length ?? 0 };
    };
    const clients = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        index % 2 === 0 ? meet('lines', 'one\n', 'two\n') : meet('http', GET + GET.slice(0, 9), GET.slice(9)),
      ),
    );
    await until(() => clients.every((client) => client.count() === 1));
    server.child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const { socket, second } of clients) socket.write(second);
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    server.child.kill('SIGCONT');
    await until(() => clients.every((client) => client.count() === 2)).catch(() => {});
    t.equal(clients.filter((client) => client.count() === 2).length, 300, 'all were answered');
    t.notMatch(server.output(), 'error');
    for (const { socket } of clients) socket.destroy();
    await server.end('SIGKILL');
  },
);
