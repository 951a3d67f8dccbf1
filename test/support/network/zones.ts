// What a program sees of link-local addresses: run in a namespace whose v0 has one, which is its argument.

import { bindUdp, dial, listen, run } from 'skein';

const host = `${process.argv[2]}%v0`;

await run(function* () {
  const acceptor = yield* listen(`[${host}]:0`);
  console.log(`listening ${acceptor.address.host}`);
  const dialled = yield* dial(acceptor.address, { timeout: 5_000 });
  const accepted = yield* acceptor.accept();
  console.log(`dialled ${dialled.localAddress.host} ${dialled.remoteAddress.host}`);
  console.log(`accepted ${accepted.localAddress.host} ${accepted.remoteAddress.host}`);
  dialled.reset();
  acceptor.close();

  const everywhere = yield* listen('[::]:0', { proxyProtocol: ['fe80::/10'] });
  const proxy = yield* dial({ host, port: everywhere.address.port }, { timeout: 5_000 });
  yield* proxy.write('PROXY UNKNOWN\r\n');
  const proxied = yield* everywhere.accept();
  console.log(`proxied ${proxied.localAddress.host} ${proxied.remoteAddress.host}`);
  proxy.reset();
  everywhere.close();

  const one = yield* bindUdp(`[${host}]:0`);
  const other = yield* bindUdp(`[${host}]:0`);
  yield* one.send('ping', other.address);
  const { from } = yield* other.receive();
  yield* other.send('pong', from);
  const answer = yield* one.receive();
  console.log(`datagrams ${one.address.host} ${from.host} ${answer.from.host}`);
  one.close();
  other.close();
});
