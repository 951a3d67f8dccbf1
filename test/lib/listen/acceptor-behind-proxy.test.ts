import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import t from 'tap';
import { type Connection, listen, run } from '../../../lib/index.ts';
import { certificate, noOpenssl } from '../../support/connection/certificates.ts';
import { connect, readAll, socketPath, until } from '../../support/connection/peers.ts';
import { ipAddresses, proxyLine, proxyV1, proxyV2 } from '../../support/network/proxy-headers.ts';
import { serving } from '../../support/connection/serving.ts';

const client = { host: '192.0.2.1', port: 56_324 };
const front = { host: '192.0.2.2', port: 443 };
const line = proxyV1('TCP4', client, front);
const [source, destination] = [Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 2)];
const block = proxyV2({ addresses: ipAddresses(source, destination, [56_324, 443]) });

/** Says whose it is, and what came. */
function* tell(conn: Connection) {
  const { remoteAddress, localAddress } = conn;
  for (let data; (data = yield* conn.readLine()) !== null;) {
    yield* conn.write(`${remoteAddress} ${localAddress} ${data}\n`);
  }
}

for (const [name, header] of Object.entries({ line, block })) {
  t.test(`the ${name} of a proxy says whose a connection is, however it is cut`, async (t) => {
    const server = await serving(tell, { proxyProtocol: true });
    const cuts = [header.length, 0, 1, 11, 12, 13, 15, 16, 17, header.length - 1, header.length + 2];
    for (const cut of cuts) {
      const proxy = await connect(server);
      const all = Buffer.concat([header, Buffer.from('hello\n')]);
      proxy.write(all.subarray(0, cut));
      await new Promise((resolve) => setTimeout(resolve, 5));
      proxy.end(all.subarray(cut));
      t.equal(
        String(await readAll(proxy)),
        '192.0.2.1:56324 192.0.2.2:443 hello\n',
        `cut after ${cut} bytes`,
      );
    }
    server.stop();
    await server.ended;
  });
}

t.test('a proxy that speaks for itself, or knows no addresses, has its own', async (t) => {
  const server = await serving(tell, { proxyProtocol: true });
  for (const header of [proxyLine('UNKNOWN'), proxyV2({ command: 0x20, transport: 0 })]) {
    const proxy = await connect(server);
    const from = `127.0.0.1:${proxy.localPort}`;
    proxy.end(Buffer.concat([header, Buffer.from('hello\n')]));
    t.equal(String(await readAll(proxy)), `${from} 127.0.0.1:${server.port} hello\n`);
  }
  server.stop();
  await server.ended;
});

t.test('on a Unix socket, a connection with the addresses of another network can be reset', async (t) => {
  const path = socketPath();
  const server = await serving(
    function* (conn) {
      t.equal(String(conn.remoteAddress), '192.0.2.1:56324');
      yield* conn.readLine();
      conn.reset();
    },
    { proxyProtocol: true, where: [{ path }] },
  );
  const proxy = await connect({ port: 0, path });
  proxy.write(Buffer.concat([line, Buffer.from('x\n')]));
  t.equal(String(await readAll(proxy)), '');
  proxy.destroy();
  server.stop();
  await server.ended;
});

t.test('the handshake of TLS comes behind the header', { skip: noOpenssl }, async (t) => {
  const { key, cert } = certificate();
  const server = await serving(tell, { proxyProtocol: true, tls: { key, cert } });
  for (const header of [line, block]) {
    const raw = await connect(server);
    raw.write(header);
    const secure = tls.connect({ socket: raw, rejectUnauthorized: false });
    await once(secure, 'secureConnect');
    secure.write('hello\n');
    t.equal(String((await once(secure, 'data'))[0]), '192.0.2.1:56324 192.0.2.2:443 hello\n');
    secure.destroy();
  }
  server.stop();
  await server.ended;
});

t.test('what is no header is refused and told with the address, and disturbs nobody', async (t) => {
  const errors: NodeJS.ErrnoException[] = [];
  const server = await serving(tell, {
    proxyProtocol: true,
    onError: (error) => errors.push(error as NodeJS.ErrnoException),
  });
  const good = await connect(server);
  good.write(Buffer.concat([block, Buffer.from('a\n')]));
  await once(good, 'data');
  const hostile = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from('PROXY TCP4 1.2.3.4\r\n'),
    Buffer.concat([block.subarray(0, 12), Buffer.from([0x31, 0x11, 0, 12])]),
    Buffer.concat([block.subarray(0, 14), Buffer.from([0xff, 0xff])]),
    Buffer.alloc(100_000, 'PROXY UNKNOWN '),
  ];
  for (const bytes of hostile) {
    const peer = net.connect(server.port, '127.0.0.1');
    peer.on('error', () => {});
    peer.write(bytes);
    peer.resume();
    let localPort: number | undefined;
    peer.once('connect', () => ({ localPort } = peer));
    await new Promise((resolve) => peer.once('close', resolve));
    await until(() => errors.length > 0, 'the error');
    t.match(errors.pop(), { code: 'ERR_PROTOCOL', port: localPort, message: /PROXY header: expected/ });
    good.write('b\n');
    t.match(String((await once(good, 'data'))[0]), / b\n$/);
  }
  const short = await connect(server);
  short.end(line.subarray(0, 20));
  await until(() => errors.length === 1, 'the error of a header that ended');
  t.match(errors[0], { code: 'ERR_PROTOCOL', message: /ended after 20 bytes/ });
  short.destroy();
  good.end();
  server.stop();
  await server.ended;
});

t.test('headers are taken from the proxies that are named, and nobody else is let in', async (t) => {
  const errors: NodeJS.ErrnoException[] = [];
  const server = await serving(tell, {
    where: ['0.0.0.0:0'],
    proxyProtocol: ['127.0.0.2', '127.1.0.0/16', '2001:db8::/32'],
    onError: (error) => errors.push(error as NodeJS.ErrnoException),
  });
  for (const localAddress of ['127.0.0.2', '127.1.2.3', '127.0.0.1', '127.0.0.3', '127.2.0.1']) {
    const peer = net.connect({ port: server.port, host: '127.0.0.1', localAddress });
    peer.on('error', () => {});
    const isNamed = localAddress === '127.0.0.2' || localAddress === '127.1.2.3';
    if (isNamed) peer.write(Buffer.concat([line, Buffer.from('hello\n')]));
    const heard = new Promise<string>((resolve) => {
      peer.once('data', (data) => resolve(String(data)));
      peer.once('close', () => resolve('refused'));
    });
    t.equal(await heard, isNamed ? '192.0.2.1:56324 192.0.2.2:443 hello\n' : 'refused', localAddress);
    if (!isNamed) {
      await until(() => errors.length > 0, 'the error');
      const message = /PROXY header: expected it from a source that proxyProtocol names/;
      t.match(errors.pop(), { code: 'ERR_PROTOCOL', address: localAddress, message });
    }
    peer.destroy();
  }
  t.same(errors, []);
  server.stop();
  await server.ended;
});

t.test('an acceptor that is closed tells nothing more of those it refuses', async (t) => {
  const errors: Error[] = [];
  const server = await serving(tell, { proxyProtocol: [], onError: (error) => errors.push(error as Error) });
  const peer = net.connect(server.port, '127.0.0.1');
  peer.on('error', () => {});
  await new Promise((resolve) => peer.once('close', resolve));
  server.stop();
  await server.ended;
  t.ok(errors.length <= 1);
});

t.test('proxyProtocol is true, false or a list of addresses and subnets', async (t) => {
  const malformed = [
    1,
    'localhost',
    ['localhost'],
    ['10.0.0.0/33'],
    ['10.0.0.0/'],
    ['::1/129'],
    ['::1/1/1'],
    [7],
    [''],
  ];
  for (const proxyProtocol of malformed) {
    const message = /^proxyProtocol should be true, false or a list of IP addresses and subnets/;
    await t.rejects(
      run(() => listen(0, { proxyProtocol: proxyProtocol as never })),
      { name: 'TypeError', message },
    );
  }
});
