// R16 and R17 as tests: what a host stands for, and datagrams. Every reactor runs them.

import t from 'tap';
import type { DatagramOptions, DatagramSocket, Endpoint, Reactor } from '../../lib/reactor/contract.ts';
import { until } from '../support/connection/peers.ts';

const anyPort: Endpoint = { host: '127.0.0.1', port: 0, path: '' };

/** A bound socket, and what has come to it. */
class Bound {
  readonly socket: DatagramSocket;
  readonly datagrams: string[] = [];
  readonly senders: Endpoint[] = [];

  constructor(socket: DatagramSocket) {
    this.socket = socket;
    socket.owner = this;
  }

  onDatagram(data: Buffer, from: Endpoint): void {
    this.datagrams.push(String(data));
    this.senders.push(from);
  }

  onError(error: Error): void {
    throw error;
  }

  close(): void {
    this.socket.close();
  }

  send(text: string | Buffer, to: Endpoint): Promise<Error | null> {
    return new Promise((resolve) => {
      let isInside = true;
      this.socket.send(Buffer.from(text as string), to, (error) =>
        resolve(isInside ? new Error('inside of the call') : error),
      );
      isInside = false;
    });
  }
}

function bound(reactor: Reactor, to = anyPort, options: DatagramOptions = {}): Promise<Bound> {
  return new Promise((resolve, reject) => {
    let isInside = true;
    reactor.bind(to, options, {
      onBound: (socket) => (isInside ? reject(new Error('inside')) : resolve(new Bound(socket))),
      onBindError: reject,
    });
    isInside = false;
  });
}

function found(
  reactor: Reactor,
  to: Partial<Endpoint>,
  lookup?: Parameters<Reactor['resolve']>[2],
): Promise<Endpoint[]> {
  return new Promise((resolve, reject) =>
    reactor.resolve(
      { host: '', port: 0, path: '', ...to },
      (error, addresses) => (error === null ? resolve(addresses) : reject(error)),
      lookup,
    ),
  );
}

export function datagrams(reactor: Reactor): void {
  t.test('R17 datagrams come whole, with their sender, in both directions', async (t) => {
    const [one, other] = [await bound(reactor), await bound(reactor)];
    t.not(one.socket.address.port, other.socket.address.port);
    t.equal(await one.send('ping', other.socket.address), null);
    t.equal(await one.send('', other.socket.address), null);
    await until(() => other.datagrams.length === 2, 'both');
    t.same(other.datagrams, ['ping', '']);
    t.same(other.senders[0], one.socket.address);
    t.equal(await other.send(Buffer.alloc(20_000, 'x'), other.senders[0]!), null);
    await until(() => one.datagrams.length === 1, 'the answer');
    t.equal(one.datagrams[0]!.length, 20_000);
    one.socket.close();
    other.socket.close();
  });

  t.test('R17 a datagram that is too long is not sent; one that nobody waits for is', async (t) => {
    const one = await bound(reactor);
    t.match(await one.send(Buffer.alloc(65_508), one.socket.address), { code: 'EMSGSIZE', syscall: 'send' });
    const gone = await bound(reactor);
    const { address } = gone.socket;
    gone.socket.close();
    t.equal(await one.send('hello?', address), null);
    t.same(gone.datagrams, []);
    one.socket.close();
  });

  t.test('R17 an address is bound once, and free again after close', async (t) => {
    const one = await bound(reactor);
    const { address } = one.socket;
    await t.rejects(bound(reactor, address), { code: 'EADDRINUSE', syscall: 'bind' });
    one.socket.close();
    const again = await bound(reactor, address);
    t.same(again.socket.address, address);
    again.socket.close();
  });

  t.test('R17 a socket that was closed, or not bound yet, hears of nothing', async (t) => {
    let calls = 0;
    const end = reactor.bind(anyPort, {}, { onBound: () => calls++, onBindError: () => calls++ });
    end();
    end();
    const [one, other] = [await bound(reactor), await bound(reactor)];
    await other.send('late', one.socket.address);
    one.socket.close();
    const { length } = one.datagrams;
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(one.datagrams.length, length);
    t.equal(calls, 0);
    other.socket.close();
  });

  t.test('R16 an address and a path stand for themselves, later', async (t) => {
    for (const to of [
      { host: '127.0.0.1', port: 80, path: '' },
      { host: '::1', port: 80, path: '' },
      { host: '', port: 0, path: '/run/app.sock' },
    ]) {
      let isInside = true;
      const heard = new Promise((resolve) =>
        reactor.resolve(to, (error, addresses) => resolve(isInside ? 'inside' : (error ?? addresses))),
      );
      isInside = false;
      t.same(await heard, [to]);
    }
  });

  t.test('R16 localhost is this machine, with the port that was asked for; * is every address', async (t) => {
    const local = await found(reactor, { host: 'localhost', port: 80 });
    t.ok(local.length > 0);
    for (const { host, port, path } of local) {
      t.ok(host === '127.0.0.1' || host === '::1', host);
      t.same([port, path], [80, '']);
    }
    const all = await found(reactor, { host: '*', port: 80 });
    t.ok(all.every(({ host, port }) => (host === '::' || host === '0.0.0.0') && port === 80));
  });

  t.test(
    'R16 a name that nobody knows is an error; so is what a resolver of the user gives wrong',
    async (t) => {
      const unknown = await found(reactor, { host: 'no-such-host.invalid' }).catch((error: unknown) => error);
      t.match(unknown, { syscall: 'getaddrinfo' });
      t.same(
        await found(reactor, { host: 'db', port: 5 }, (_, __, callback) =>
          callback(null, [{ address: '127.0.0.7', family: 4 }]),
        ),
        [{ host: '127.0.0.7', port: 5, path: '' }],
      );
      await t.rejects(
        found(reactor, { host: 'db' }, (_, __, callback) => callback(null, 'nonsense')),
        { name: 'TypeError', message: /expected lookup to give/ },
      );
    },
  );
}
