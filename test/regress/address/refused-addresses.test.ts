// Addresses that were refused, or lost a part.

import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { bindUdp, dial, listen, reactorName, run } from '../../../lib/index.ts';
import { proxySources } from '../../../lib/listen/proxy-header.ts';
import { Namespace, noNamespaces } from '../../support/network/namespaces.ts';

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ family }) => family === 'IPv6'),
);

t.test("the host '*' is every address of this machine, to listen on and to dial", (t) =>
  run(function* () {
    const acceptor = yield* listen('*:0');
    t.equal(acceptor.address.host, hasIPv6 ? '::' : '0.0.0.0');
    for (const host of ['127.0.0.1', '*', ...(hasIPv6 ? ['[::1]', '::1', '[::1%lo]'] : [])]) {
      const conn = yield* dial({ host, port: acceptor.address.port });
      const accepted = yield* acceptor.accept();
      t.ok(net.isIP(conn.remoteAddress.host), `${host} is ${conn.remoteAddress}`);
      conn.reset();
      accepted.reset();
    }
    acceptor.close();
    const socket = yield* bindUdp('*:0');
    yield* socket.send('x', { host: '*', port: socket.address.port });
    t.equal(String((yield* socket.receive()).data), 'x');
    socket.close();
  }),
);

t.test('an IPv6 host may stand in brackets', { skip: !hasIPv6 && 'no IPv6' }, (t) =>
  run(function* () {
    const acceptor = yield* listen({ host: '[::1]', port: 0 }, { ipv6Only: true });
    t.equal(String(acceptor.address), `[::1]:${acceptor.address.port}`);
    (yield* dial({ host: '[::1]', port: acceptor.address.port })).reset();
    acceptor.close();
  }),
);

t.test(
  'a link-local address keeps its zone, and can be dialled as it is',
  { skip: noNamespaces },
  async (t) => {
    const namespace = new Namespace('fe80::1/64');
    t.teardown(() => namespace.delete());
    const script = fileURLToPath(new URL('../../support/network/zones.ts', import.meta.url));
    const program = namespace.run([script, 'fe80::1'], { SKEIN_REACTOR: reactorName() });
    await program.exited;
    const host = 'fe80::1%v0';
    t.same(program.lines(), [
      `listening ${host}`,
      `dialled ${host} ${host}`,
      `accepted ${host} ${host}`,
      `proxied ${host} ${host}`,
      `datagrams ${host} ${host} ${host}`,
    ]);
  },
);

t.test('a list of proxies has no zones, and a peer with one is looked up without it', async (t) => {
  const isProxy = proxySources(['fe80::1', '10.0.0.0/8'])!;
  const from = (host: string): boolean => isProxy({ host, port: 1, path: '' });
  t.ok(from('fe80::1%eth0'));
  t.notOk(from('fe80::2%eth0'));
  t.throws(() => proxySources(['fe80::1%eth0']), {
    name: 'TypeError',
    message: /^proxyProtocol should be .* got /,
  });
});
