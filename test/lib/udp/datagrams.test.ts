// UDP over loopback: what the system does, which datagram-queue.test.ts makes up.

import { AsyncLocalStorage } from 'node:async_hooks';
import { spawn as spawnProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import t from 'tap';
import {
  after,
  bindUdp,
  type Co,
  pause,
  run,
  select,
  sleep,
  spawn,
  trySelect,
  type UdpSocket,
  wait,
} from '../../../lib/index.ts';
import { openDescriptors } from '../../support/network/descriptors.ts';
import { failure } from '../../support/connection/pair.ts';
import { until } from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';

const hasSocat = spawnSync('socat', ['-V']).status === 0;
const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all!.some(({ address }) => address === '::1'),
);

function* echo(socket: UdpSocket): Co<never> {
  for (;;) {
    const { data, from } = yield* socket.receive();
    yield* socket.send(data, from);
  }
}

/** Sends, and gives what comes back. */
function* exchange(
  socket: UdpSocket,
  data: string | Uint8Array,
  to: Parameters<UdpSocket['send']>[1],
): Co<Buffer> {
  yield* socket.send(data, to);
  return (yield* socket.receive()).data;
}

t.test('datagrams go there and back, with the address of each end', (t) =>
  run(function* () {
    const server = yield* bindUdp(0);
    const client = yield* bindUdp('127.0.0.1:0');
    t.match(server.address, { host: '127.0.0.1', path: '' });
    yield* client.send('héllo', server.address);
    const { data, from } = yield* server.receive();
    t.equal(String(data), 'héllo');
    t.equal(String(from), String(client.address));
    yield* server.send(new Uint8Array([1, 2, 3]).subarray(1), from);
    t.same([...(yield* client.receive()).data], [2, 3]);
    yield* client.send('', server.address);
    t.equal((yield* server.receive()).data.byteLength, 0, 'an empty one is one, too');
    server.close();
    client.close();
  }),
);

t.test('IPv6, and IPv4 from a socket of both', { skip: hasIPv6 ? false : 'no IPv6' }, (t) =>
  run(function* () {
    const both = yield* bindUdp('[::]:0');
    const four = yield* bindUdp(0);
    const six = yield* bindUdp('[::1]:0');
    const { port } = both.address;
    const echoing = spawn(() => echo(both), { daemon: true });
    t.equal(String(yield* exchange(six, 'six', { host: '::1', port })), 'six');
    t.equal(String(yield* exchange(four, 'four', { port })), 'four');
    echoing.cancel();
    yield* pause();
    yield* both.send('unasked', four.address);
    t.equal(String((yield* four.receive()).from), `127.0.0.1:${port}`);
    t.match(yield* failure(() => four.send('x', six.address)), { code: 'EAFNOSUPPORT' });
    const only = yield* bindUdp({ host: '::', port: four.address.port }, { ipv6Only: true });
    only.close();
    for (const socket of [both, four, six]) socket.close();
  }),
);

t.test('a name is resolved, for binding and for sending', (t) =>
  run(function* () {
    const socket = yield* bindUdp('localhost:0');
    t.equal(
      String(yield* exchange(socket, 'to myself', { host: 'localhost', port: socket.address.port })),
      'to myself',
    );
    socket.close();
    const lookup = (): never => {
      throw new Error('no resolver');
    };
    const error = yield* failure(() => bindUdp('db.example:1', { lookup }));
    t.match(error, { message: 'binding db.example:1: no resolver', address: 'db.example', port: 1 });
  }),
);

t.test('a datagram has up to 65,507 bytes', (t) =>
  run(function* () {
    const socket = yield* bindUdp(0);
    const data = Buffer.alloc(65_507, 'x');
    t.ok((yield* exchange(socket, data, socket.address)).equals(data));
    const error = yield* failure(function* sending() {
      yield* socket.send(Buffer.alloc(65_508), socket.address);
    });
    const { port } = socket.address;
    t.equal(error.message, `sending a datagram to 127.0.0.1:${port}: send EMSGSIZE 127.0.0.1:${port}`);
    t.match(error, { code: 'EMSGSIZE', syscall: 'send', address: '127.0.0.1', port });
    t.match(error.stack, /at sending.*datagrams\.test\.ts/);
    socket.close();
  }),
);

t.test('the bytes are the sender’s own again as soon as it waits', (t) =>
  run(function* () {
    const socket = yield* bindUdp(0);
    const data = Buffer.alloc(1_000, 'x');
    for (const isCancelled of [false, true]) {
      data.fill('x');
      const sending = spawn(() => socket.send(data, socket.address));
      yield* pause();
      data.fill('y');
      if (isCancelled) sending.cancel();
      else yield* sending.join();
      const came = yield* select({ datagram: socket.receive(), nothing: after(isCancelled ? 50 : 5_000) });
      if (came.key === 'datagram') t.ok(came.value.data.equals(Buffer.alloc(1_000, 'x')));
      else t.ok(isCancelled);
    }
    socket.close();
  }),
);

t.test('of a flood, what was not received is counted', (t) =>
  run(function* () {
    const socket = yield* bindUdp(0, { capacity: 10 });
    const sender = yield* bindUdp(0);
    // So few and so small that the kernel drops none.
    for (let count = 0; count < 60; count++) yield* sender.send(String(count), socket.address);
    yield* wait(until(() => socket.dropped === 50, 'fifty drops'));
    for (let count = 0; count < 10; count++) t.equal(String((yield* socket.receive()).data), String(count));
    t.equal((yield* select({ data: socket.receive(), none: after(20) })).key, 'none');
    t.equal(socket.dropped, 50);
    socket.close();
    sender.close();
  }),
);

t.test('of a flood of large ones, no more bytes are kept than the queue may hold', (t) =>
  run(function* () {
    const socket = yield* bindUdp(0, { capacity: 16 });
    const sender = yield* bindUdp(0);
    const data = Buffer.alloc(60_000);
    for (let count = 0; count < 500; count++) yield* sender.send(data, socket.address);
    yield* wait(until(() => socket.dropped > 0, 'drops'));
    yield* sleep(20);
    let received = 0;
    while (trySelect({ data: socket.receive() }) !== undefined) received++;
    t.equal(received, 1, 'a second would be more than sixteen times 4 KiB');
    t.ok(socket.dropped + received <= 500, 'the kernel has dropped the rest');
    socket.close();
    sender.close();
  }),
);

t.test('an address that is taken is an error, unless both say reuseAddr; nothing is left of it', (t) =>
  run(function* () {
    const socket = yield* bindUdp(0, { reuseAddr: true });
    const before = openDescriptors();
    const error = yield* failure(function* binding() {
      yield* bindUdp(socket.address);
    });
    const { port } = socket.address;
    t.match(error.message, `binding 127.0.0.1:${port}: bind EADDRINUSE`);
    t.match(error, { code: 'EADDRINUSE', syscall: 'bind', address: '127.0.0.1', port });
    t.match(error.stack, /at binding.*datagrams\.test\.ts/);
    yield* wait(until(() => openDescriptors() === before, 'the descriptor'));
    const other = yield* bindUdp(socket.address, { reuseAddr: true });
    other.close();
    socket.close();
  }),
);

t.test(
  'a broadcast has to be asked for',
  { skip: process.platform === 'linux' ? false : 'needs Linux' },
  (t) =>
    run(function* () {
      const quiet = yield* bindUdp('0.0.0.0:0');
      const loud = yield* bindUdp('0.0.0.0:0', { broadcast: true });
      const to = { host: '127.255.255.255', port: quiet.address.port };
      t.match(yield* failure(() => quiet.send('x', to)), { code: 'EACCES', syscall: 'send' });
      yield* loud.send('to all', to);
      t.equal(String((yield* quiet.receive()).data), 'to all');
      quiet.close();
      loud.close();
    }),
);

t.test('malformed arguments are TypeErrors', (t) =>
  run(function* () {
    const socket = yield* bindUdp(0);
    const path = "expected an address of UDP (a port, 'host:port' or { host, port }), got unix:/tmp/x";
    t.throws(() => socket.send('x', 'unix:/tmp/x'), { name: 'TypeError', message: path });
    t.throws(() => bindUdp({ path: '/tmp/x' }), { name: 'TypeError', message: path });
    for (const bad of [
      () => socket.send('x', 0),
      () => socket.send('x', 'nonsense'),
      () => socket.send(5 as never, 1),
      () => bindUdp(70_000),
      () => bindUdp(0, { lookup: 'dns' as never }),
      ...[0, 1.5, Infinity, '5'].map((capacity) => () => bindUdp(0, { capacity: capacity as number })),
    ]) {
      t.throws(bad, TypeError);
    }
    socket.close();
  }),
);

t.test('binding can be cancelled, and a socket that nobody will take is closed', (t) =>
  run(function* () {
    const before = openDescriptors();
    let answer = (): void => {};
    const binding = spawn(() =>
      bindUdp('db.example:0', {
        lookup: (_, __, callback) => {
          answer = () => callback(null, [{ address: '127.0.0.1', family: 4 }]);
        },
      }),
    );
    yield* pause();
    t.equal(binding.describe(), 'binding db.example:0');
    binding.cancel();
    answer();
    yield* sleep(5);
    const operation = bindUdp(0);
    // Performed by nobody but this test, so that it is not resumed.
    operation.next();
    yield* wait(until(() => openDescriptors() === before + 1, 'the socket'));
    operation.return(undefined as never);
    yield* wait(until(() => openDescriptors() === before, 'its end'));
  }),
);

t.test('what comes belongs to nobody’s context', (t) =>
  run(function* () {
    const storage = new AsyncLocalStorage<string>();
    const socket = yield* wait(storage.run('a request', () => run(() => bindUdp(0), { asyncContext: true })));
    const seen: unknown[] = [];
    // Where whoever is woken by the socket is woken.
    const received = spawn(function* () {
      yield* socket.receive();
      seen.push(storage.getStore());
    });
    yield* pause();
    yield* socket.send('x', socket.address);
    yield* received.join();
    t.same(seen, [undefined]);
    socket.close();
  }),
);

t.test('a process ends when nobody waits, and lives while somebody does', { timeout: 60_000 }, async (t) => {
  const program = `
    import { bindUdp, pause, run, spawn } from 'skein';
    const [first, second] = await run(function* () {
      const sockets = [yield* bindUdp(0), yield* bindUdp(0, { lookup() {} })];
      const cancelled = [spawn(() => sockets[0].receive()), spawn(() => sockets[1].send('x', 'db.example:1'))];
      yield* pause();
      for (const one of cancelled) one.cancel();
      setTimeout(() => run(() => sockets[1].send('late', sockets[0].address)), 100).unref();
      console.log(String((yield* sockets[0].receive()).data));
      return sockets;
    });
    console.log(first.isClosed, second.isClosed);`;
  const { exited, output } = runProgram(['--input-type=module', '-e', program]);
  t.equal(await exited, 0);
  t.equal(output(), 'late\nfalse false\n');
});

t.test('socat gets its answer', { skip: !hasSocat && 'no socat here' }, (t) =>
  run(function* () {
    const socket = yield* bindUdp(0);
    spawn(() => echo(socket), { daemon: true });
    const child = spawnProcess('socat', ['-t', '2', '-', `UDP4:${socket.address}`]);
    let heard = '';
    child.stdout.on('data', (data) => (heard += String(data)));
    child.stdin.write('hello');
    yield* wait(until(() => heard === 'hello', 'the answer'));
    t.equal(heard, 'hello');
    const exited = once(child, 'exit');
    child.kill();
    yield* wait(exited);
  }),
);
