// I2: a dump changes nothing. Whoever asks, whenever, the program goes on as if nobody had.

import { EventEmitter } from 'node:events';
import t from 'tap';
import {
  after,
  Channel,
  closed,
  type Co,
  dump,
  every,
  forEach,
  formatDump,
  Mutex,
  never,
  once,
  pause,
  run,
  Scheduler,
  select,
  shield,
  sleep,
  spawn,
  suspend,
  timeout,
  VirtualClock,
  wait,
} from '../../../scheduler/index.ts';
import { withPair } from '../../support/connection/pair.ts';
import { virtually } from '../../support/scheduler/virtual.ts';

t.test('I2: a dump from a disarm hook, and one whose stacks cannot be written, harm nobody', async (t) => {
  const { prepareStackTrace } = Error;
  t.teardown(() => (Error.prepareStackTrace = prepareStackTrace));
  const log: string[] = [];
  await virtually(function* () {
    const hooked = spawn(function* hooked() {
      yield* suspend(() => () => log.push(`hook: ${dump().find(({ name }) => name === 'hooked')?.state}`));
    });
    const sleeper = spawn(function* sleeper() {
      yield* sleep(5);
      return 'slept well';
    });
    yield* sleep(1);
    hooked.cancel();
    Error.prepareStackTrace = () => {
      throw new Error('no stacks today');
    };
    try {
      dump();
    } catch (error) {
      log.push((error as Error).message);
    }
    Error.prepareStackTrace = prepareStackTrace;
    log.push(yield* sleeper.join());
  });
  t.strictSame(log, ['hook: suspended', 'no stacks today', 'slept well']);
});

/** A program that meets all kinds of waits; `look` is called wherever code of a user runs. */
function* program(log: string[], look: () => void): Co<void> {
  const note = (line: string): void => {
    look();
    log.push(line);
  };
  const jobs = new Channel<number>(1, { name: 'jobs' });
  const done = new Channel<string>();
  const mutex = new Mutex();
  const emitter = new EventEmitter();
  function* worker(name: string): Co<void> {
    for (let job; (job = yield* jobs.receive()) !== closed;) {
      note(`${name} has ${job}`);
      const lock = yield* mutex.lock();
      yield* sleep(job);
      lock.unlock();
      yield* pause();
      yield* done.send(`${name} did ${job}`);
    }
  }
  function* interrupted(): Co<void> {
    try {
      yield* select({
        never,
        asleep: sleep(1000),
        hooked: suspend(() => () => note('hook')),
        event: once(emitter, 'no such event'),
      });
    } finally {
      yield* shield(() => sleep(3));
      note('unwound');
    }
  }
  spawn(() => worker('a'));
  spawn(() => worker('b'));
  spawn(() => interrupted(), { daemon: true });
  const failing = spawn(
    function* failing(): Co<void> {
      yield sleep(2);
      yield [sleep(1), wait(Promise.resolve(1))];
      yield* wait(async () => {
        await Promise.resolve();
        note('promised');
      });
      throw new Error('out of order');
    },
    { onError: (error) => note((error as Error).message) },
  );
  spawn(function* feed() {
    for (let job = 1; job <= 20; job++) yield* jobs.send(job);
    jobs.close();
  });
  const late = after(70);
  const tick = every(10);
  for (let left = 20; left > 0;) {
    const next = yield* select({ done: done.receive(), late: log.includes('late') ? never : late, tick });
    if (next.key === 'done') left--;
    note(next.key === 'done' ? String(next.value) : next.key);
  }
  try {
    yield* timeout(5, () => forEach([1, 2, 3], { concurrency: 2 }, () => sleep(4)));
  } catch (error) {
    note((error as Error).message);
  }
  yield* failing.join();
}

t.test('I2: a program with dumps at every step goes as it goes without', async (t) => {
  const logs: string[][] = [];
  for (const isDumping of [false, true]) {
    let dumps = 0;
    const look = (): void => {
      if (!isDumping) return;
      formatDump();
      dumps++;
    };
    const log: string[] = [];
    const scheduler = new Scheduler({ clock: new VirtualClock(), seed: 42 });
    const { ready } = scheduler;
    // Whenever somebody is woken, too, and in each round of the loop.
    scheduler.ready = (coroutine) => (ready.call(scheduler, coroutine), look());
    const timer = setInterval(look, 0);
    const error = await scheduler.run(() => program(log, look)).catch((failure: Error) => failure.message);
    clearInterval(timer);
    log.push(String(error));
    logs.push(log);
    if (isDumping) t.ok(dumps > 200, `${dumps} dumps`);
  }
  t.strictSame(logs[1], logs[0]);
  t.ok(logs[0]!.length > 50, `${logs[0]!.length} lines`);
  const expected = ['promised', 'out of order', 'late', 'tick', 'not done after 5 ms', 'hook', 'unwound'];
  for (const line of expected) t.ok(logs[0]!.includes(line), line);
});

t.test('I2: a reader goes on after dumps', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const reader = spawn(function* () {
        let text = '';
        for (let data; (data = yield* conn.read()) !== null;) text += String(data);
        return text;
      });
      for (const word of ['one ', 'two ', 'three']) {
        yield* sleep(2);
        t.match(formatDump(), 'reading from');
        peer.write(word);
        t.match(formatDump(), 'reading from');
      }
      yield* sleep(2);
      peer.end();
      t.equal(yield* reader.join(), 'one two three');
    }),
  ),
);
