import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { networkInterfaces } from 'node:os';
import t, { type Test } from 'tap';
import { connect, listenPlain, portOf, readAll, takeSilently, until } from '../support/connection/peers.ts';
import { curl, runTool, startSample, without } from '../support/programs/samples.ts';

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ family }) => family === 'IPv6'),
);
const hasCurl = { skip: without('curl'), timeout: 60_000 };

/** A site that tells who asked; at every address of this machine. */
async function openSite(t: Test, host = '127.0.0.1'): Promise<number> {
  const site = http.createServer((request, response) => void response.end(`hello, ${request.headers.host}`));
  await once(site.listen(0, host), 'listening');
  t.teardown(() => site.close());
  return portOf(site);
}

t.test('socks5.ts passes curl on to an IPv4 address, a name and an IPv6 address', hasCurl, async (t) => {
  const proxy = await startSample(t, 'socks5.ts');
  const port = await openSite(t, hasIPv6 ? '::' : '0.0.0.0');
  for (const [option, host] of [
    ['--socks5-hostname', 'localhost'],
    ['--socks5', '127.0.0.1'],
    ...(hasIPv6 ? [['--socks5', '[::1]'] as const] : []),
  ] as const) {
    const { stdout, stderr } = await curl(option, `127.0.0.1:${proxy.port}`, `http://${host}:${port}/`);
    t.equal(String(stdout), `hello, ${host}:${port}`, stderr);
  }
  t.equal(await proxy.end('SIGINT'), 0);
  t.notMatch(proxy.output(), /Error/);
});

t.test('socks5.ts asks for a user and a password where they are set', hasCurl, async (t) => {
  const env = { SOCKS_USER: 'ada', SOCKS_PASSWORD: 'secret' };
  const proxy = await startSample(t, 'socks5.ts', env);
  const url = `http://127.0.0.1:${await openSite(t)}/`;
  const by = (user: string) => curl('-x', `socks5h://${user}127.0.0.1:${proxy.port}`, url);
  t.match(String((await by('ada:secret@')).stdout), /^hello/);
  for (const user of ['', 'ada:wrong@', 'eve:secret@', `ada:${'secret'.repeat(40)}@`]) {
    const { status, stdout } = await by(user);
    t.equal(status, 97, `curl gives up as "${user}"`);
    t.equal(String(stdout), '');
  }
  t.equal(await proxy.end('SIGTERM'), 0);
});

/** What the proxy says to a conversation that is sent in one piece, up to its end. */
async function answerTo(port: number, ...parts: number[][]): Promise<Buffer> {
  const socket = await connect({ port });
  const all = readAll(socket);
  socket.write(Buffer.from(parts.flat()));
  const answer = await all;
  socket.destroy();
  return answer;
}

const GREETING = [5, 1, 0];
const GREETED = [5, 0];
const to = (port: number): number[] => [5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff];

t.test('socks5.ts replies with what has gone wrong', { timeout: 60_000 }, async (t) => {
  const proxy = await startSample(t, 'socks5.ts', { DEADLINE: '500', HANDSHAKE: '1000' });
  const gone = await listenPlain(() => {});
  const refusing = portOf(gone);
  gone.close();
  const silent = await takeSilently('127.0.0.1');
  t.teardown(() => silent.release());
  const nothing = [0, 1, 0, 0, 0, 0, 0, 0];
  const answers = (...parts: number[][]) => answerTo(proxy.port, ...parts).then((bytes) => [...bytes]);
  const failed = (code: number) => [...GREETED, 5, code, ...nothing];

  t.same(await answers(GREETING, to(refusing)), failed(5), 'connection refused');
  t.same(await answers(GREETING, to(silent.port)), failed(6), 'no answer in time');
  const name = [...Buffer.from('nobody.invalid')];
  t.same(await answers(GREETING, [5, 1, 0, 3, name.length, ...name, 0, 80]), failed(4), 'no such host');
  t.same(await answers(GREETING, [5, 2, 0, 1, 127, 0, 0, 1, 0, 80]), failed(7), 'BIND');
  t.same(await answers(GREETING, [5, 3, 0, 1, 127, 0, 0, 1, 0, 80]), failed(7), 'UDP ASSOCIATE');
  t.same(await answers(GREETING, [5, 1, 0, 2, 127, 0, 0, 1, 0, 80]), failed(8), 'address type 2');
  t.same(await answers(GREETING, [5, 1, 0, 3, 0, 0, 80]), failed(1), 'an empty name');
  t.same(await answers(GREETING, [5, 1, 0, 3, 3, 97, 0, 98, 0, 80]), failed(1), 'a zero in a name');
  t.same(await answers([5, 2, 1, 2]), [5, 0xff], 'no acceptable method');
  t.same(await answers([5, 0]), [5, 0xff], 'no method at all');
  t.same(await answers([4, 1, 0, 80, 127, 0, 0, 1, 0]), [], 'SOCKS 4');
  t.same(await answers(GREETING, [5, 1]), GREETED, 'a request that does not come');
  await until(() => proxy.output().includes('TimeoutError: not done after 1000 ms'), 'the last error');
  t.equal(await proxy.end('SIGTERM'), 0);
});

t.test('socks5.ts tells its own address, and what is sent with the request is not lost', async (t) => {
  const proxy = await startSample(t, 'socks5.ts');
  let remotePort = 0;
  const echo = await listenPlain((socket) => {
    remotePort = socket.remotePort!;
    socket.pipe(socket);
  });
  t.teardown(() => echo.close());
  const socket = await connect({ port: proxy.port });
  const all = readAll(socket);
  socket.end(Buffer.from([...GREETING, ...to(portOf(echo)), ...Buffer.from('hello')]));
  const answer = await all;
  t.same(
    [...answer.subarray(0, 12)],
    [...GREETED, 5, 0, 0, 1, 127, 0, 0, 1, remotePort >> 8, remotePort & 255],
  );
  t.equal(String(answer.subarray(12)), 'hello');
  t.equal(await proxy.end('SIGTERM'), 0);
});

// A network with these routes and no others, in which an attempt at an address fails as it should.
const ROUTES = 'ip link set lo up; ip route add unreachable 10.1.0.0/16; ip route add prohibit 10.2.0.0/16';
const ASK = `
  set -e; unset NODE_OPTIONS; ${ROUTES}
  coproc PROXY { exec "$0" --import tsx --conditions=skein-source samples/socks5.ts 2>&1; }
  read -r listening <&"\${PROXY[0]}"
  for host in 127.0.0.1:1 10.1.0.1 10.2.0.1 10.3.0.1; do
    curl -sS --noproxy '' -x socks5h://127.0.0.1:9981 "http://$host" 2>&1 || true
  done
  kill "$PROXY_PID"; wait`;
const hasNamespaces =
  spawnSync('unshare', ['-rn', 'bash', '-c', `set -e; ${ROUTES}`]).status === 0
    ? hasCurl
    : { skip: 'no network namespaces here' };

t.test('socks5.ts tells networks, hosts and rules that are in the way apart', hasNamespaces, async (t) => {
  const { stdout, stderr } = await runTool('unshare', ['-rn', 'bash', '-c', ASK, process.execPath]);
  const codes = [...String(stdout).matchAll(/to (\S+)\. \((\d+)\)/g)].map(([, host, code]) => [host, code]);
  t.strictSame(
    codes,
    [
      ['127.0.0.1', '5'],
      ['10.1.0.1', '4'],
      ['10.2.0.1', '2'],
      ['10.3.0.1', '3'],
    ],
    `${String(stdout)}${stderr}`,
  );
});
