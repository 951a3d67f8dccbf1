import t from 'tap';
import {
  Acceptor,
  Connector,
  dial,
  EventLoop,
  listen,
  run,
  Scheduler,
  type SchedulerOptions,
  spawn,
  VirtualClock,
  wait,
} from '../../../lib/index.ts';
import { networkOf, sharedReactor } from '../../../lib/common/current-reactor.ts';
import { currentScheduler, defaultScheduler } from '../../../scheduler/kernel/scheduler.ts';
import { until } from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';

t.test('W1 a network is an object, and one that has sockets', async (t) => {
  for (const network of [1, 'net', null, () => {}]) {
    t.throws(() => new Scheduler({ network } as unknown as SchedulerOptions), {
      name: 'TypeError',
      message: /^Scheduler expects a network as its network, got /,
    });
  }
  const scheduler = new Scheduler({ network: {} });
  await t.rejects(
    scheduler.run(() => listen(0)),
    { name: 'TypeError', message: /^Scheduler expects a network such as memoryNetwork\(\), got / },
  );
});

t.test('W1 schedulers without a network share the one of the thread', async (t) => {
  const one = new Scheduler();
  t.equal(one.network, null, 'none before it is asked for');
  t.equal(networkOf(one), sharedReactor());
  t.equal(networkOf(new Scheduler()), networkOf(one));
  t.equal(networkOf(defaultScheduler), networkOf(one));
});

t.test('W1 a program that uses no socket opens no descriptor', async (t) => {
  const program = `
    import { readdirSync, readlinkSync } from 'node:fs';
    const linkOf = (number) => {
      try {
        return readlinkSync('/proc/self/fd/' + number);
      } catch {
        return '';
      }
    };
    const polls = () => readdirSync('/proc/self/fd').filter((number) => linkOf(number).includes('eventpoll')).length;
    const before = process.platform === 'linux' ? polls() : 0;
    const { arrayBuffers } = process.memoryUsage();
    const listeners = process.listenerCount('exit');
    const { listen, run, sleep } = await import('skein');
    await run(() => sleep(1));
    console.log('polls', process.platform === 'linux' ? polls() - before : 0);
    console.log('a slab', process.memoryUsage().arrayBuffers - arrayBuffers > 200_000);
    console.log('listeners', process.listenerCount('exit') - listeners);
    await run(function* () {
      for (let count = 0; count < 3; count++) (yield* listen(0)).close();
    });
    console.log('listeners', process.listenerCount('exit') - listeners);
  `;
  const { child, output } = runProgram(['--input-type=module', '-e', program]);
  await new Promise((resolve) => child.once('close', resolve));
  t.equal(output(), 'polls 0\na slab false\nlisteners 0\nlisteners 1\n');
});

t.test('W1 a callback runs with the scheduler of its object as the current one', async (t) => {
  const own = new Scheduler({ clock: new VirtualClock() });
  const seen: string[] = [];
  const see = (what: string): void =>
    void seen.push(`${what} ${currentScheduler() === own ? 'own' : 'default'}`);
  const acceptor = await own.run(function* () {
    const loop = new EventLoop();
    const made = new Acceptor(0, { onListening: () => see('listening') });
    loop.add(made, (conn) => {
      see('connection');
      loop.add(conn);
      conn.recv((data) => {
        see(`recv ${data}`);
        conn.send('pong', () => see('sent'));
        conn.close();
        loop.stop();
        made.close();
      });
    });
    loop.loop();
    return made;
  });
  await until(() => seen.length === 1);
  await run(function* () {
    const conn = yield* dial(acceptor.address);
    yield* conn.write('ping');
    t.equal(String(yield* conn.read()), 'pong');
    conn.close();
  });
  await until(() => seen.length === 4);
  t.same(seen.toSorted(), ['connection own', 'listening own', 'recv ping own', 'sent own']);
  t.equal(currentScheduler(), defaultScheduler);
});

t.test('a callback that throws leaves no scheduler behind', async (t) => {
  const own = new Scheduler();
  const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
  await own.run(function* () {
    const acceptor = yield* listen(0);
    const connected = new Promise<void>((resolve) => {
      new Connector(acceptor.address).connect((conn) => {
        conn?.close();
        resolve();
        throw new Error('thrown on purpose');
      });
    });
    spawn(function* () {
      (yield* acceptor.accept()).close();
      acceptor.close();
    });
    yield* wait(connected);
  });
  t.match(await thrown, { message: 'thrown on purpose' });
  t.equal(currentScheduler(), defaultScheduler);
});
