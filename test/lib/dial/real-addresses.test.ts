// Dialling names among real sockets: an address that swallows what comes beside one that answers.

import { once } from 'node:events';
import net, { type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import t from 'tap';
import { type Co, dial, listen, reactorName, run, sleep, spawn, wait } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { openDescriptors } from '../../support/network/descriptors.ts';
import { failure } from '../../support/connection/pair.ts';
import { listenPlain, portOf, takeSilently, until } from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';

/** Only there can an address be made to swallow what comes, and are there further loopback addresses. */
const skip = process.platform === 'linux' ? false : 'needs Linux';

function giving(...hosts: string[]): LookupFunction {
  return (_, __, callback) =>
    callback(
      null,
      hosts.map((address) => ({ address, family: net.isIP(address) })),
    );
}

/** A port at which one address is silent and another answers, or nobody does. */
async function silentBeside(live: string): Promise<{ port: number; peers: net.Socket[]; release(): void }> {
  const peers: net.Socket[] = [];
  const server = net.createServer((socket) => void peers.push(socket.on('error', () => {})));
  server.listen(0, live);
  await once(server, 'listening');
  const silent = await takeSilently('127.0.0.2', portOf(server));
  const release = (): void => {
    silent.release();
    server.close();
    for (const peer of peers) peer.destroy();
  };
  return { port: portOf(server), peers, release };
}

for (const [live, isThere] of [
  ['127.0.0.1', true],
  ['::1', hasIPv6()],
] as const) {
  t.test(
    `a dead address beside a live one, ${live}, costs a quarter of a second`,
    { skip: skip || (isThere ? false : 'no IPv6') },
    async (t) => {
      const { port, release } = await silentBeside(live);
      await run(function* () {
        const descriptors = openDescriptors();
        const began = performance.now();
        const conn = yield* dial({ host: 'db.example', port }, { lookup: giving('127.0.0.2', live) });
        const took = performance.now() - began;
        t.comment(`${reactorName()}: ${took.toFixed()} ms`);
        t.ok(took >= 250 && took < 1_000, `${took.toFixed()} ms`);
        t.equal(String(conn.remoteAddress), net.isIPv6(live) ? `[${live}]:${port}` : `${live}:${port}`);
        conn.reset();
        yield* wait(until(() => openDescriptors() <= descriptors + 1, 'the descriptors, but for the peer’s'));
        yield* wait(until(() => reactor.open === 0, 'all to be closed'));
      });
      release();
    },
  );
}

t.test('when none is alive, every attempt is listed', { skip }, async (t) => {
  const server = await listenPlain(() => {});
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  await run(function* () {
    const error = yield* failure(function* dialling() {
      yield* dial({ host: 'db.example', port }, { lookup: giving('127.0.0.1', '127.0.0.2', '127.0.0.3') });
    });
    t.equal(
      error.message,
      `dialling db.example:${port}: 3 attempts failed: 127.0.0.1:${port} ECONNREFUSED; ` +
        `127.0.0.2:${port} ECONNREFUSED; 127.0.0.3:${port} ECONNREFUSED`,
    );
    t.match(error, { code: 'ECONNREFUSED', syscall: 'connect', address: 'db.example', port });
    t.match((error as unknown as AggregateError).errors, [
      { code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port },
      { code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.2', port },
      { code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.3', port },
    ]);
    t.match(error.stack, /dialling[^]*real-addresses\.test\.ts/);
    yield* wait(until(() => reactor.open === 0));
  });
});

t.test('one that is cancelled half-way leaves no descriptor', { skip }, async (t) => {
  const { port, peers, release } = await silentBeside('127.0.0.1');
  await run(function* () {
    const lookup = giving('127.0.0.2', '127.0.0.2', '127.0.0.2', '127.0.0.1');
    for (const end of ['cancel', 'timeout'] as const) {
      const before = openDescriptors();
      const dialling = spawn(function* (): Co<void> {
        const error = yield* failure(() =>
          dial({ host: 'db.example', port }, { lookup, timeout: end === 'timeout' ? 400 : 10_000 }),
        );
        t.equal(error.code, end === 'timeout' ? 'ERR_TIMEOUT' : 'ABORT_ERR');
        if (end === 'cancel') throw error;
        t.match(error.message, `: 127.0.0.2:${port} still connecting; 127.0.0.2:${port} `);
      });
      if (end === 'cancel') {
        // As the kernel sees it.
        yield* wait(until(() => openDescriptors() >= before + 2, 'two attempts'));
        dialling.cancel();
      } else {
        yield* dialling.join();
      }
      yield* wait(until(() => openDescriptors() === before, 'the descriptors'));
      yield* sleep(300);
      t.equal(openDescriptors(), before, 'nothing is tried later');
    }
    t.equal(reactor.open, 0);
  });
  t.equal(peers.length, 0);
  release();
});

t.test('a name is resolved alike for listening and for dialling', (t) =>
  run(function* () {
    const acceptor = yield* listen('localhost:0');
    const conn = yield* dial({ host: 'localhost', port: acceptor.address.port });
    t.equal(String(conn.remoteAddress), String(acceptor.address));
    conn.reset();
    acceptor.close();
  }),
);

t.test('R8 a dial keeps the process alive while its resolver does not', { timeout: 60_000 }, async (t) => {
  const program = `
    import { dial, run } from 'skein';
    const lookup = (name, options, callback) => void setTimeout(() => callback(new Error('late'), []), 50).unref();
    await run(() => dial('db.example:1', { lookup })).catch((error) => console.log(error.message));`;
  const { exited, output } = runProgram(['--input-type=module', '-e', program]);
  t.equal(await exited, 0);
  t.equal(output(), 'dialling db.example:1: late\n');
});

t.test('R8 a listener and a connection on which nobody waits keep no process alive', async (t) => {
  const program = `
    import { dial, listen, run } from 'skein';
    await run(function* () {
      const acceptor = yield* listen(0);
      yield* dial(acceptor.address);
    });
    console.log('both are open');`;
  const { exited, output } = runProgram(['--input-type=module', '-e', program]);
  t.equal(await exited, 0);
  t.equal(output(), 'both are open\n');
});

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((all) => all!.some(({ address }) => address === '::1'));
}
