import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import {
  after,
  Channel,
  closed,
  type Co,
  every,
  Mutex,
  never,
  type Operation,
  pause,
  Scheduler,
  select,
  sleep,
  spawn,
  suspend,
  trySelect,
  VirtualClock,
  wait,
} from '../../../scheduler/index.ts';
import { virtually } from '../../support/scheduler/virtual.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Runs a body whose chance is known. */
function seeded<T>(seed: number, body: () => Co<T>): Promise<T> {
  return new Scheduler({ clock: new VirtualClock(), seed }).run(body);
}

t.test('select waits for the first of its cases and gives its key and its value', async (t) => {
  await virtually(function* () {
    const jobs = new Channel<string>();
    const spare = new Channel<string>();
    spawn(function* () {
      yield* sleep(5);
      yield* jobs.send('sweep');
    });
    const first = yield* select({ job: jobs.receive(), spare: spare.receive(), late: after(100) });
    t.strictSame(first, { key: 'job', value: 'sweep' });
    t.notOk(spare.trySend('nobody waits there any more'));
  });
});

t.test('H4: any kind of operation can be a case', async (t) => {
  await virtually(function* () {
    const full = new Channel<number>(1);
    full.trySend(1);
    const mutex = new Mutex();
    const lock = mutex.tryLock()!;
    const child = spawn(function* () {
      yield* sleep(5);
      return 'ended';
    });
    const soon = new Promise<string>((resolve) => setImmediate(resolve, 'resolved'));
    let signal: AbortSignal | undefined;
    const kinds: [string, () => Operation<unknown>, unknown, (() => void)?][] = [
      ['send', () => full.send(2), undefined, () => full.tryReceive()],
      ['receive', () => new Channel<number>().receive(), closed],
      ['join', () => child.join(), 'ended'],
      ['sleep', () => sleep(5), undefined],
      ['after', () => after(5), undefined],
      ['every', () => every(5), undefined],
      ['a promise', () => wait(soon), 'resolved'],
      ['a function', () => wait((given) => ((signal = given), Promise.resolve('worked'))), 'worked'],
      ['suspend', () => suspend<string>((resume) => void setImmediate(resume, null, 'resumed')), 'resumed'],
      ['pause', () => pause(), undefined],
      ['select', () => spawn(() => select({ inner: sleep(5) })).join(), { key: 'inner', value: undefined }],
      ['lock', () => mutex.lock(), undefined, () => lock.unlock()],
    ];
    for (const [kind, make, value, serve] of kinds) {
      const operation = kind === 'receive' ? closing() : make();
      const waiting = spawn(() => select({ idle: new Channel().receive(), off: never, operation }));
      yield* pause();
      serve?.();
      const first = yield* waiting.join();
      t.equal(first.key, 'operation', kind);
      if (kind === 'lock') (first.value as Disposable)[Symbol.dispose]();
      else t.strictSame(first.value, value, kind);
    }
    t.equal(mutex.isLocked, false);
    t.equal(signal?.aborted, false);
  });

  function closing(): Operation<unknown> {
    const channel = new Channel<number>();
    setImmediate(() => channel.close());
    return channel.receive();
  }
});

t.test('a case that is ready is taken without waiting, and the others are not touched', async (t) => {
  await virtually(function* () {
    const [first, second] = [new Channel<number>(1), new Channel<number>(1)];
    first.trySend(1);
    let started = 0;
    const starter = suspend(() => started++);
    const others = { soon: sleep(1), starter, tick: every(1), off: never };
    t.strictSame(yield* select({ got: first.receive(), ...others }), { key: 'got', value: 1 });
    t.strictSame(yield* select({ put: second.send(2), ...others }), { key: 'put', value: undefined });
    t.equal(started, 0);
    t.equal(second.length, 1);
  });
});

t.test('H4: operations that start something do so only if nothing else is ready', async (t) => {
  await virtually(function* () {
    const log: string[] = [];
    const channel = new Channel<number>(1);
    const cases = () => ({
      starter: suspend<void>((resume) => (log.push('started'), resume())),
      work: wait(() => (log.push('worked'), new Promise<void>(() => {}))),
      value: channel.receive(),
    });
    channel.trySend(1);
    t.equal((yield* select(cases())).key, 'value');
    t.strictSame(log, []);
    t.equal((yield* select(cases())).key, 'starter');
    t.strictSame(log, ['started'], 'the first was ready when it was started: the second is not');
  });
});

t.test('H4: serving one disarms the others on the spot; their hooks run, their signals abort', async (t) => {
  await virtually(function* () {
    const log: string[] = [];
    const [news, others] = [new Channel<number>(), new Channel<number>()];
    const waiting = spawn(() =>
      select({
        hook: suspend(() => () => log.push('taken back')),
        work: wait(
          (signal) => new Promise(() => signal.addEventListener('abort', () => log.push('aborted'))),
        ),
        news: news.receive(),
        get: others.receive(),
        put: others.send(5),
      }),
    );
    yield* pause();
    news.trySend(1);
    t.strictSame(log, ['taken back', 'aborted']);
    t.notOk(others.trySend(1));
    t.type(others.tryReceive(), 'symbol');
    t.strictSame(yield* waiting.join(), { key: 'news', value: 1 });
  });
});

t.test('H4: one channel may be a sender and a receiver in one select; it never meets itself', async (t) => {
  await virtually(function* () {
    const channel = new Channel<string>();
    const both = (name: string) => spawn(() => select({ put: channel.send(name), got: channel.receive() }));
    const first = both('first');
    yield* pause();
    yield* pause();
    t.equal(first.state, 'suspended', 'alone it waits');
    const second = both('second');
    const results = [yield* first.join(), yield* second.join()];
    const receiver = results.findIndex(({ key }) => key === 'got');
    t.equal(results[receiver]?.value, receiver === 0 ? 'second' : 'first');
    t.equal(results[1 - receiver]?.key, 'put');
    t.notOk(channel.trySend('nobody waits'));
  });
});

t.test('one operation may stand under two keys', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>(1);
    const receive = channel.receive();
    const twice = { one: receive, other: receive };
    channel.trySend(1);
    t.strictSame(yield* select(twice), { key: 'one', value: 1 });
    const waiting = spawn(() => select(twice));
    yield* pause();
    t.equal(waiting.describe(), 'selecting: receiving from a channel');
    channel.trySend(2);
    t.strictSame(yield* waiting.join(), { key: 'one', value: 2 });
    const start = suspend<number>((resume) => void setImmediate(resume, null, 3));
    t.strictSame(yield* select({ one: start, other: start }), { key: 'one', value: 3 });
  });
});

t.test('a select may be performed again', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>();
    const either = select({ got: channel.receive(), late: sleep(10) });
    t.equal((yield* either).key, 'late');
    spawn(() => channel.send(1));
    t.equal((yield* either).key, 'got');
    t.equal((yield* either).key, 'late');
  });
});

t.test('without a case that can end it waits until it is cancelled', async (t) => {
  await virtually(function* () {
    const waiting = spawn(() => select({ off: never }));
    const empty = spawn(() => select({}));
    yield* sleep(1e6);
    t.equal(waiting.describe(), 'waiting for no case of select');
    t.equal(empty.state, 'suspended');
    waiting.cancel();
    empty.cancel();
  });
});

t.test('trySelect performs what is ready now, and starts nothing', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>(1);
    let started = 0;
    const cases = { got: channel.receive(), starter: suspend(() => started++), late: sleep(1) };
    t.equal(trySelect(cases), undefined);
    channel.trySend(1);
    t.strictSame(trySelect(cases), { key: 'got', value: 1 });
    t.equal(trySelect(cases), undefined);
    t.equal(trySelect({}), undefined);
    t.equal(started, 0);
    t.notOk(channel.trySend(2) && channel.trySend(3), 'nobody was left waiting there');
  });
});

/** How far counts are from being equal: Pearson's chi-square. */
function chiSquare(counts: number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** The keys that are chosen from cases that are always ready, with idle ones in between. */
function choices(seed: number, ready: string[], count: number): Promise<string[]> {
  return seeded(seed, function* () {
    const source = new Channel<number>();
    source.close();
    const idle = new Channel<number>();
    const cases: Record<string, Operation<unknown>> = { x: idle.receive(), y: idle.receive() };
    for (const key of ready) cases[key] = source.receive();
    cases['z'] = idle.receive();
    const keys: string[] = [];
    while (keys.length < count) keys.push((yield* select(cases)).key);
    return keys;
  });
}

t.test('H4: among those that are ready chance is fair, also behind cases that are idle', async (t) => {
  const ready = ['a', 'b', 'c', 'd'];
  for (const seed of [1, 2, 3]) {
    const keys = await choices(seed, ready, 8_000);
    const counts = ready.map((key) => keys.filter((one) => one === key).length);
    // One in a thousand exceeds it, for three degrees of freedom; the seeds are fixed, so it is no gamble.
    t.ok(chiSquare(counts) < 16.3, counts.join(' '));
    const pairs = ready.flatMap((key) =>
      ready.map((next) => keys.filter((one, at) => one === key && keys[at + 1] === next).length),
    );
    t.ok(chiSquare(pairs) < 37.7, `in a row: ${pairs.join(' ')}`);
  }
});

t.test('H4: the first choice is fair over neighbouring seeds', async (t) => {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 2_000; seed++) {
    const [key] = await choices(seed, ['a', 'b', 'c', 'd'], 1);
    counts.set(key!, (counts.get(key!) ?? 0) + 1);
  }
  t.ok(chiSquare([...counts.values()]) < 16.3, [...counts.values()].join(' '));
});

t.test('H4: the same seed gives the same choices', async (t) => {
  const keys = (seed: number) => choices(seed, ['a', 'b', 'c'], 200);
  t.strictSame(await keys(7), await keys(7));
  t.notSame(await keys(7), await keys(8));
});

const TURNS = 60_000;

/** How much the heap grows in many turns of a body, in bytes. */
async function growth(body: (turns: number) => Co<void>): Promise<number> {
  await seeded(1, () => body(10_000));
  collect();
  const before = process.memoryUsage().heapUsed;
  await seeded(1, () => body(TURNS));
  collect();
  return process.memoryUsage().heapUsed - before;
}

t.test('H4: losers leave no memory where they waited, nor with a promise that is pending', async (t) => {
  const idle = new Channel<number>();
  const pending = new Promise<never>(() => {});
  const grown = await growth(function* (turns) {
    const [there, back] = [new Channel<number>(), new Channel<number>()];
    const eternal = spawn(() => never, { daemon: true });
    function* answer(): Co<void> {
      for (;;) {
        yield* there.receive();
        // The other one has to wait, with all its cases.
        yield* pause();
        yield* back.send(1);
      }
    }
    spawn(answer, { daemon: true });
    const stop = after(1e9);
    for (let turn = 0; turn < turns; turn++) {
      yield* there.send(turn);
      const got = yield* select({
        back: back.receive(),
        idle: idle.receive(),
        pending: wait(pending),
        end: eternal.join(),
        late: sleep(1e6),
        stop,
        hook: suspend(() => () => {}),
      });
      if (got.key !== 'back') throw new Error(got.key);
    }
    // It ends with the body, and would take along whatever stood there.
    t.equal(eternal.joiners?.length, 0);
  });
  t.ok(grown < 5 * TURNS, `${grown} bytes`);
});
