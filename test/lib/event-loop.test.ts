import t from 'tap';
import { Acceptor, type Connection, Connector, EventLoop } from '../../lib/index.ts';
import { connect, readAll, until } from '../support/connection/peers.ts';
import { runProgram } from '../support/programs/program.ts';

interface World {
  event: EventLoop;
  acceptor: Acceptor;
  conns: Connection[];
}

/** An event loop with an acceptor that runs; its connections are not added. */
async function world(onConnection: (conn: Connection) => void = () => {}): Promise<World> {
  const event = new EventLoop();
  const acceptor = new Acceptor(0);
  const conns: Connection[] = [];
  event.add(acceptor, (conn) => {
    conns.push(conn);
    onConnection(conn);
  });
  event.loop();
  await until(() => acceptor.address.port !== 0, 'the port');
  return { event, acceptor, conns };
}

function end({ event, acceptor, conns }: World): void {
  acceptor.close();
  for (const conn of conns) conn.reset();
  event.stop();
}

t.test('the callback server answers once and closes', async (t) => {
  const event = new EventLoop();
  function onNewClient(conn: Connection) {
    event.add(conn);
    conn.recv((data, error) => {
      if (error || data === null) {
        event.del(conn);
        conn.close();
        return;
      }
      conn.send(data, () => {
        event.del(conn);
        conn.close();
      });
    });
  }
  const acceptor = new Acceptor(0);
  event.add(acceptor, onNewClient);
  event.loop();
  event.loop();
  await until(() => acceptor.address.port !== 0);
  const peer = await connect(acceptor.address);
  peer.write('hello');
  t.equal(String(await readAll(peer)), 'hello');
  peer.end();
  const silent = await connect(acceptor.address);
  silent.end();
  t.equal(String(await readAll(silent)), '');
  acceptor.close();
  event.stop();
  event.stop();
});

t.test('N13 a connection of an event loop is delivered only while it is added', async (t) => {
  const made = await world();
  const peer = await connect(made.acceptor.address);
  await until(() => made.conns.length === 1);
  const conn = made.conns[0]!;
  const log: string[] = [];
  conn.recv((data) => log.push(String(data)));
  peer.write('one');
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.same(log, [], 'not added yet');
  made.event.add(conn);
  t.same(log, [], 'no callback inside of add');
  await until(() => log.length === 1);
  conn.recv((data) => log.push(String(data)));
  made.event.del(conn);
  peer.write('two');
  let isSent = false;
  conn.send('x', () => (isSent = true));
  await until(() => isSent, 'the send callback, which comes all the same');
  t.same(log, ['one']);
  made.event.add(conn);
  await until(() => log.length === 2);
  made.event.stop();
  conn.recv((data) => log.push(String(data)));
  peer.write('three');
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.same(log, ['one', 'two'], 'stopped');
  made.event.loop();
  await until(() => log.length === 3);
  end(made);
  peer.destroy();
});

t.test('N13 an acceptor that was deleted accepts nobody until it is added again', async (t) => {
  const made = await world();
  made.event.del(made.acceptor);
  const peer = await connect(made.acceptor.address);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(made.conns.length, 0);
  made.event.add(made.acceptor, (conn) => made.conns.push(conn));
  await until(() => made.conns.length === 1);
  end(made);
  peer.destroy();
});

t.test('a callback never runs inside the call that registered it', async (t) => {
  const made = await world();
  const peer = await connect(made.acceptor.address);
  await until(() => made.conns.length === 1);
  const conn = made.conns[0]!;
  made.event.add(conn);
  peer.write('ab');
  const first = await new Promise((resolve) => conn.recv((data) => resolve(String(data))));
  t.equal(first, 'ab');
  peer.end();
  await new Promise<void>((resolve) => conn.recv(() => resolve()));
  let calls = 0;
  conn.recv(() => calls++);
  conn.send('', () => calls++);
  t.equal(calls, 0, 'not even when the answer is there');
  await until(() => calls === 2);
  conn.close();
  const error = await new Promise((resolve) => conn.recv((_, failure) => resolve(failure)));
  t.match(error, { code: 'ERR_CLOSED' });
  t.match(await new Promise((resolve) => conn.send('x', resolve)), { code: 'ERR_CLOSED' });
  made.event.add(conn);
  end(made);
  peer.destroy();
});

t.test('recv can be taken back', async (t) => {
  const made = await world();
  const peer = await connect(made.acceptor.address);
  await until(() => made.conns.length === 1);
  const conn = made.conns[0]!;
  made.event.add(conn);
  const log: string[] = [];
  const cancel = conn.recv(() => log.push('cancelled'));
  cancel();
  conn.recv((data) => log.push(String(data)));
  cancel();
  peer.write('x');
  await until(() => log.length > 0);
  t.same(log, ['x']);
  t.throws(() => conn.recv(5 as never), TypeError);
  end(made);
  peer.destroy();
});

t.test('N12 a callback that throws is uncaught, and the rest still run', async (t) => {
  const uncaught: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error));
  const made = await world(() => {
    throw new Error('onConnection');
  });
  const peers = [await connect(made.acceptor.address), await connect(made.acceptor.address)];
  await until(() => made.conns.length === 2 && uncaught.length === 2);
  const conn = made.conns[0]!;
  made.event.add(conn);
  const log: string[] = [];
  for (const name of ['first', 'second']) {
    conn.send(name, () => {
      log.push(name);
      throw new Error(name);
    });
  }
  await until(() => uncaught.length === 4);
  t.same(log, ['first', 'second']);
  t.same(uncaught.map((error) => (error as Error).message).toSorted(), [
    'first',
    'onConnection',
    'onConnection',
    'second',
  ]);
  process.removeAllListeners('uncaughtException');
  for (const listener of listeners) process.on('uncaughtException', listener);
  end(made);
  for (const peer of peers) peer.destroy();
});

t.test('N13 errors of binding go to onError', async (t) => {
  const made = await world();
  const second = new Acceptor(made.acceptor.address);
  const error = await new Promise((resolve) => made.event.add(second, () => {}, resolve));
  t.match(error, { code: 'EADDRINUSE', syscall: 'listen' });
  t.ok(second.isClosed);
  t.throws(() => made.event.add(second, () => {}), { code: 'ERR_CLOSED' });
  const third = new Acceptor(0);
  made.event.add(third, () => {}, t.fail);
  third.close();
  const fourth = new Acceptor(0);
  made.event.add(fourth, () => {}, t.fail);
  made.event.del(fourth);
  await until(() => fourth.address.port !== 0);
  fourth.close();
  end(made);
});

t.test('N13 without onError an error of binding is uncaught', async (t) => {
  const made = await world();
  const program = `
    import { Acceptor, EventLoop } from 'skein';
    new EventLoop().add(new Acceptor(${made.acceptor.address.port}), () => {});
  `;
  const { exited, output } = runProgram(['--input-type=module', '-e', program]);
  t.equal(await exited, 1);
  t.match(output(), 'EADDRINUSE');
  end(made);
});

t.test('what is neither acceptor nor connection cannot be added', async (t) => {
  const event = new EventLoop();
  t.throws(() => event.add({} as never), {
    name: 'TypeError',
    message: 'add expects an Acceptor or a Connection, got an object',
  });
  t.throws(() => event.add(new Acceptor(0), 5 as never), TypeError);
  event.del(new Acceptor(0));
});

t.test('a connector calls back once, with a connection or an error', async (t) => {
  const made = await world();
  const connector = new Connector(made.acceptor.address);
  const conn = await new Promise<Connection>((resolve) => connector.connect((result) => resolve(result!)));
  await until(() => made.conns.length === 1);
  made.event.add(conn);
  const data = new Promise((resolve) => conn.recv((bytes) => resolve(String(bytes))));
  made.conns[0]!.send('hi');
  t.equal(await data, 'hi');
  conn.reset();
  const { port } = made.acceptor.address;
  end(made);
  await until(() => made.acceptor.isClosed);
  const error = await new Promise((resolve) => new Connector(port).connect((_, failure) => resolve(failure)));
  t.match(error, { code: 'ECONNREFUSED', address: '127.0.0.1', port });
  t.throws(() => connector.connect(5 as never), TypeError);
  t.throws(() => new Connector(1, { timeout: -1 }), TypeError);
});

t.test('an attempt that was ended calls nobody', async (t) => {
  const made = await world();
  let calls = 0;
  new Connector(made.acceptor.address, { timeout: 20 }).connect(() => calls++)();
  await new Promise((resolve) => setTimeout(resolve, 40));
  t.equal(calls, 0);
  end(made);
});
