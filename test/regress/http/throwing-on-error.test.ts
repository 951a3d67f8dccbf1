// An `onError` that throws, such as a logger that is broken, is no reason to end a server and all of its clients.

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import t, { type Test } from 'tap';
import { type Program, runProgram } from '../../support/programs/program.ts';
import { until } from '../../support/connection/peers.ts';

const THROWS = "() => { throw new Error('the logger'); }";

const servers = (onError: string): string => `
  import { run, serve, serveHttp } from 'skein';
  const onError = ${onError};
  void run(() => serve(0, function* (conn) {
    for (let line; (line = yield* conn.readLine()) !== null;) {
      if (line === 'bad') throw new Error('the handler');
      yield* conn.write('fine\\n');
    }
  }, { onError, onListening: ({ port }) => console.log('lines', port) }));
  void run(() => serveHttp(0, function* (request, response) {
    if (request.url === '/bad') throw new Error('the handler');
    response.end('fine');
  }, { onError, onListening: ({ port }) => console.log('http', port) }));
`;

/** Has a server of each kind meet a bad client while a good one stays; gives what was printed, and the exit status. */
async function meet(t: Test, more = '', onError = THROWS): Promise<string> {
  const program = runProgram(['--input-type=module', '--eval', more + servers(onError)]);
  const portOf = await portsOf(program);
  const good = net.connect(portOf('lines'), '127.0.0.1');
  const ask = async (line: string, socket: net.Socket): Promise<string> => {
    socket.write(line);
    return String((await once(socket, 'data'))[0]);
  };
  t.equal(await ask('good\n', good), 'fine\n');
  const bad = net.connect(portOf('lines'), '127.0.0.1');
  bad.end('bad\n');
  await once(bad.resume(), 'close');
  t.equal(await ask('good\n', good), 'fine\n', 'the other client is served on');
  t.equal(await statusOf(portOf('http'), '/bad'), 500);
  t.equal(await statusOf(portOf('http'), '/'), 200, 'the next request is answered');
  good.destroy();
  await program.end('SIGTERM');
  return program.output();
}

/** Waits until both servers of a program listen; gives what says the port of each. */
async function portsOf(program: Program): Promise<(what: string) => number> {
  await until(() => program.lines().length >= 2, 'both ports');
  return (what) =>
    Number(
      program
        .lines()
        .find((line) => line.startsWith(what))!
        .split(' ')[1],
    );
}

async function statusOf(port: number, path: string): Promise<number | undefined> {
  const [response] = (await once(http.get({ port, path, agent: false }), 'response')) as [
    http.IncomingMessage,
  ];
  response.resume();
  return response.statusCode;
}

t.test('C2a an onError that throws disturbs nobody, and is printed', async (t) => {
  const output = await meet(t);
  t.match(output, 'skein: the onError of serve has thrown: Error: the logger');
  t.match(output, 'skein: the onError of serveHttp has thrown: Error: the logger');
});

t.test('C2a an onError that is a generator function, which nobody runs, is reported', async (t) => {
  const output = await meet(t, '', 'function* () {}');
  t.match(output, /the onError of client 127\.0\.0\.1:\d+ has thrown: TypeError: .*is a generator function/);
  t.match(output, /the onError of GET \/bad has thrown: TypeError: .*is a generator function/);
});

t.test('what an onError throws goes to those who listen to uncaughtException', async (t) => {
  const output = await meet(
    t,
    `process.on('uncaughtException', ({ message }) => console.log('heard of', message));`,
  );
  t.equal(output.match(/heard of the logger/g)?.length, 2);
  t.notMatch(output, 'skein:');
});

t.test('a handler may throw what throws when it is looked at', async (t) => {
  const program = runProgram([
    '--input-type=module',
    '--eval',
    `
      import { run, serve, serveHttp } from 'skein';
      const refuse = () => { throw new Error('looked at'); };
      const revoked = Proxy.revocable({}, {});
      revoked.revoke();
      const odd = [revoked.proxy, Object.defineProperty({}, 'statusCode', { get: refuse }), new Proxy({}, { get: refuse, getPrototypeOf: refuse }), null];
      void run(() => serve(0, function* (conn) { throw odd[Number(yield* conn.readLine())]; }, {
        onListening: ({ port }) => console.log('lines', port),
      }));
      void run(() => serveHttp(0, function* (request) { throw odd[Number(request.url.slice(1))]; }, {
        onListening: ({ port }) => console.log('http', port),
      }));
    `,
  ]);
  const portOf = await portsOf(program);
  for (let index = 0; index < 4; index++) {
    t.equal(await statusOf(portOf('http'), `/${index}`), 500);
    const client = net.connect(portOf('lines'), '127.0.0.1');
    client.end(`${index}\n`);
    await once(client.resume(), 'close');
  }
  t.equal(program.child.exitCode, null, 'the process goes on');
  t.notMatch(program.output(), /internal error|has thrown/);
  await program.end('SIGTERM');
});
