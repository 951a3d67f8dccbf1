import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import {
  after,
  Channel,
  type Co,
  type CoroutineInfo,
  current,
  dump,
  every,
  forEach,
  formatDump,
  Latch,
  Mutex,
  never,
  once,
  type Operation,
  retry,
  run,
  scope,
  select,
  Semaphore,
  shield,
  sleep,
  spawn,
  suspend,
  timeout,
  wait,
} from '../../../scheduler/index.ts';
import { withPair } from '../../support/connection/pair.ts';
import { forever, virtually } from '../../support/scheduler/virtual.ts';

/** What a dump says of the coroutine of a name. */
function infoOf(name: string): CoroutineInfo {
  const found = dump().filter((info) => info.name === name);
  if (found.length !== 1) throw new Error(`expected one coroutine ${name}, got ${found.length}`);
  return found[0]!;
}

/** The functions of a stack, innermost first. */
function functionsOf({ stack }: CoroutineInfo): (string | undefined)[] {
  return stack.map((frame) => /^at (\S+) \(/.exec(frame)?.[1]);
}

t.test('I1: each operation describes its wait', async (t) => {
  const jobs = new Channel<number>(0, { name: 'jobs' });
  const results = new Channel<number>(0, { name: 'results' });
  function askServer(): void {}
  const fetchPage = () => new Promise<void>(() => {});
  await virtually(function* main() {
    const mutex = new Mutex({ name: 'the till' });
    yield* mutex.lock();
    const slots = new Semaphore(1, { name: 'slots' });
    yield* slots.acquire();
    const waits: [wait: Operation<unknown>, words: string][] = [
      [sleep(20), 'sleeping for 20 ms'],
      [after(30), 'waiting for 29 ms more'],
      [every(40), 'waiting for 39 ms more'],
      [never, 'waiting for ever'],
      [jobs.receive(), 'receiving from jobs'],
      [results.send(1), 'sending to results (2 waiting)'],
      [results.send(2), 'sending to results (2 waiting)'],
      [
        select({ a: new Channel(0, { name: 'a' }).receive(), b: sleep(5) }),
        'selecting: receiving from a, sleeping for 5 ms',
      ],
      [select({ none: never }), 'waiting for no case of select'],
      [spawn(() => never, { name: 'other', daemon: true }).join(), 'joining other'],
      [suspend(askServer), 'suspended in askServer'],
      [wait(new Promise(() => {})), 'waiting for a promise'],
      [wait(fetchPage), 'waiting for the promise of fetchPage'],
      [once(new EventEmitter(), 'close'), 'waiting for the event close'],
      [mutex.lock(), 'locking the till (held by main)'],
      [new Latch(2, { name: 'the start' }).wait(), 'waiting for the start (2 to go)'],
      [slots.acquire(), 'acquiring 1 of slots (0 of 1 available)'],
    ];
    const spawned = waits.map(([operation], index) => spawn(() => operation, { name: `wait ${index}` }));
    yield* sleep(1);
    for (const [index, [, words]] of waits.entries()) {
      t.equal(infoOf(`wait ${index}`).waitingFor, words);
    }
    for (const coroutine of spawned) coroutine.cancel();
  });
});

t.test('I1: waits for the network say whom they wait for', (t) =>
  run(() =>
    withPair(function* ({ acceptor, conn, peer }) {
      const far = `127.0.0.1:${peer.localPort}`;
      const waits = new Map<() => Operation<unknown>, RegExp>([
        [() => conn.read(), new RegExp(`^reading from ${far}$`)],
        [() => conn.write(Buffer.alloc(50_000_000)), new RegExp(`^writing to ${far}$`)],
        [() => conn.flush(), new RegExp(`^flushing to ${far}$`)],
        [() => acceptor.accept(), new RegExp(`^accepting on ${acceptor.address}$`)],
      ]);
      peer.pause();
      for (const [start, words] of waits) {
        const waiter = spawn(start, { name: 'waiter', onError: () => {} });
        yield* sleep(5);
        t.match(infoOf('waiter').waitingFor, words);
        waiter.cancel();
        yield* sleep(1);
      }
    }),
  ),
);

t.test('a dump is data: parents come first, with ids, names, states and ages', async (t) => {
  await virtually(function* root() {
    const worker = spawn(function* work() {
      yield* sleep(30);
      spawn(forever, { name: 'inner', daemon: true });
      yield* sleep(1000);
    });
    yield* sleep(100);
    spawn(() => sleep(1), { name: 'not started' });
    const all = dump();
    const main = current();
    const inner = all.find(({ name }) => name === 'inner')!;
    t.match(all, [
      {
        id: main.id,
        name: 'root',
        state: 'running',
        age: 100,
        waitingFor: undefined,
        parent: undefined,
        stack: [],
      },
      {
        id: worker.id,
        name: 'work',
        state: 'suspended',
        age: 100,
        waitingFor: 'sleeping for 1000 ms',
        parent: main.id,
      },
      {
        id: inner.id,
        name: 'inner',
        state: 'suspended',
        age: 70,
        waitingFor: 'waiting for a callback',
        parent: worker.id,
      },
      { name: 'not started', state: 'ready', age: 0, waitingFor: undefined, parent: main.id, stack: [] },
    ]);
    t.equal(all.length, 4);
  });
  t.strictSame(dump(), [], 'those that have ended are gone');
  t.equal(formatDump(), '0 coroutines\n');
});

const source = readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n');

function* five(): Co<void> {
  yield* never; // level 1
}
function* four(): Co<void> {
  yield* five(); // level 2
}
function* three(): Co<void> {
  yield* four(); // level 3
}
function* two(): Co<void> {
  yield* three(); // level 4
}
function* chain(): Co<void> {
  yield* two(); // level 5
}

t.test('I2: a stack names the line at every level of yield*, and only the lines of the user', async (t) => {
  await virtually(function* () {
    const nested = spawn(chain, { name: 'nested' });
    const around = spawn(function* around() {
      yield* scope(() => timeout(50, () => shield(() => retry({}, () => inside()))));
    });
    function* inside(): Co<void> {
      yield* forEach([1], { concurrency: 1 }, item);
    }
    function* item(): Co<void> {
      yield* sleep(10);
    }
    yield* sleep(1);
    const { stack } = infoOf('nested');
    t.strictSame(functionsOf(infoOf('nested')), ['five', 'four', 'three', 'two', 'chain']);
    for (const [index, frame] of stack.entries()) {
      const [, file, line] = /\((?:file:\/\/)?(.*):(\d+):\d+\)$/.exec(frame)!;
      t.equal(file, fileURLToPath(import.meta.url));
      t.match(source[Number(line) - 1], `// level ${index + 1}`, frame);
    }
    t.strictSame(functionsOf(infoOf('around')), ['inside', 'around']);
    t.strictSame(functionsOf(infoOf('item')), ['item']);
    nested.cancel();
    around.cancel();
  });
});

t.test('I2: a coroutine that is no suspended generator is listed without a stack', async (t) => {
  await virtually(function* () {
    const resume: (() => void)[] = [];
    const names = ['bare', 'draining', 'operation', 'woken'];
    spawn(
      function* bare(): Co<void> {
        yield sleep(20);
      },
      { daemon: true },
    );
    spawn(function* draining() {
      spawn(() => sleep(20), { name: 'child' });
    });
    spawn(() => sleep(20), { name: 'operation' });
    spawn(function* woken() {
      yield* suspend((go) => resume.push(go));
    });
    yield* sleep(1);
    resume[0]!();
    for (const name of names) t.strictSame(infoOf(name).stack, [], name);
    t.equal(infoOf('bare').waitingFor, 'sleeping for 20 ms');
    t.match(infoOf('draining').waitingFor, 'waiting for a child');
    t.match(infoOf('woken'), { state: 'ready', waitingFor: undefined });
  });
});

t.test('I2: dumping ten thousand coroutines, nested five deep, takes no long time', async (t) => {
  await virtually(function* () {
    const many = Array.from({ length: 10_000 }, () => spawn(chain));
    yield* sleep(1);
    const begun = performance.now();
    const coroutines = dump();
    const dumped = performance.now();
    const text = formatDump(coroutines);
    const formatted = performance.now();
    t.comment(`dump ${(dumped - begun).toFixed()} ms, formatDump ${(formatted - dumped).toFixed()} ms`);
    t.ok(formatted - begun < 20_000, 'ten times what it may take on a machine of its own');
    t.equal(coroutines.filter(({ stack }) => stack.length === 5).length, 10_000);
    t.equal(text.split('\n').length, 2 + 1 + 5 + 1, 'all are folded into one');
    for (const coroutine of many) coroutine.cancel();
  });
});
