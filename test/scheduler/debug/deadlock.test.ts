// I3: what a process with coroutines does at its end, and on a signal. Each program runs in a process of
// its own; its output goes to pipes.

import t from 'tap';
import { until } from '../../support/connection/peers.ts';
import { outcome, start } from '../../support/programs/lines.ts';

/** The reports among what was printed to stderr. */
function reportsOf(err: string): string[] {
  return err.match(/^deadlock: .*\n(?:\d.*\n(?:(?!deadlock).*#\d.*\n|[ │]+at .*\n)+)/gm) ?? [];
}

t.test('I3: two coroutines that wait for each other are reported by name, wait and place', async (t) => {
  const { status, out, err } = await outcome(`
    const left = new Channel(0, { name: 'left' });
    const right = new Channel(0, { name: 'right' });
    await run(function* main() {
      spawn(function* first() {
        yield* left.receive();
        yield* right.send(1);
      });
      spawn(function* second() {
        try {
          yield* right.receive();
        } finally {
          console.log('finally');
        }
        yield* left.send(1);
      });
    });`);
  t.equal(status, 2);
  t.equal(out, 'finally\n');
  const [report, ...more] = reportsOf(err);
  t.strictSame(more, []);
  t.match(
    report!.replaceAll(/\d+ ms old/g, '… old').replaceAll(/\(\S*\[eval1\]/g, '([eval1]'),
    `deadlock: nothing is left that could wake these coroutines
3 coroutines
main #1, suspended, … old: waiting for 2 children
├─ first #2, suspended, … old: receiving from left
│     at first ([eval1]:7:21)
└─ second #3, suspended, … old: receiving from right
      at second ([eval1]:12:24)
`,
  );
  t.match(err, /DeadlockError: main waits for ever: waiting for 2 children[^]*ERR_DEADLOCK/);
});

const forgotten = `function* forgotten() {
      yield* suspend(function answer() {});
    }`;

t.test('I3: the status is 2, whether run is awaited, left alone or caught', async (t) => {
  const programs = new Map([
    ['awaited', `await run(${forgotten});`],
    ['left alone', `run(${forgotten});`],
    ['caught', `run(${forgotten}).catch(() => {});`],
    [
      'caught beside a promise that never settles',
      `run(${forgotten}).catch(() => {}); await new Promise(() => {});`,
    ],
  ]);
  await Promise.all(
    [...programs].map(async ([name, program]) => {
      const { status, err } = await outcome(program);
      t.equal(status, 2, name);
      t.match(
        err,
        /^forgotten #1, suspended, \d+ ms old: suspended in answer\n +at forgotten \(.*\[eval1\]:3:\d+\)$/m,
      );
      if (name.startsWith('caught')) return;
      t.match(
        err,
        /^DeadlockError: forgotten waits for ever: suspended in answer\n +at forgotten/m,
        'it has a stack',
      );
    }),
  );
});

t.test('I3: a program that catches the DeadlockError goes on, and may decide on its status', async (t) => {
  const { status, out } = await outcome(`
    for (let round = 1; round <= 12; round++) await run(${forgotten}).catch((error) => console.log(error.code));
    await run(() => sleep(1));
    console.log(process.exitCode, formatDump());
    process.exitCode = 0;`);
  t.equal(status, 0);
  t.equal(out, `${'ERR_DEADLOCK\n'.repeat(12)}2 0 coroutines\n\n`);
});

t.test('I3: cleaning up may take its time, and operations', async (t) => {
  const { status, out, err } = await outcome(`
    await run(function* main() {
      try {
        yield* never;
      } finally {
        yield* shield(() => sleep(20));
        console.log('cleaned up');
      }
    }).catch((error) => console.log(error.message));`);
  t.equal(status, 2);
  t.equal(out, 'cleaned up\nmain waits for ever: waiting for ever\n');
  t.equal(reportsOf(err).length, 1);
});

t.test('I3: a coroutine that waits on in a shield is given up', async (t) => {
  const { status, out, err } = await outcome(`
    await run(function* main() {
      const child = spawn(function* stuck() {
        yield* shield(() => never);
      });
      yield* child.join();
    }).catch((error) => console.log(error.message));
    console.log(await run(function* () { yield* sleep(1); return 'goes on'; }));`);
  t.equal(status, 2);
  t.equal(out, 'main waits for ever: waiting for a child\ngoes on\n');
  const [first, second] = reportsOf(err);
  t.match(first, /nothing is left that could wake[^]*stuck #2, suspended, .*\n +at stuck/);
  t.match(second, /were cancelled, and wait on; they are given up[^]*stuck #2, suspended/);
});

t.test('I3: a coroutine that swallows its cancellation does not hold the process up', async (t) => {
  const { status, out } = await outcome(`
    await run(function* stubborn() {
      for (let round = 1; round <= 3; round++) try { yield* never; } catch { console.log(round); }
    });`);
  t.equal(status, 2);
  t.equal(out, '1\n2\n3\n');
});

t.test('I3: each run is rejected, also one that is not to blame', async (t) => {
  const { status, out, err } = await outcome(`
    const mine = run(() => never, { name: 'mine' });
    const yours = run(() => new Channel().receive(), { name: 'yours' });
    for (const one of await Promise.allSettled([mine, yours])) console.log(one.reason.message);`);
  t.equal(status, 2);
  t.equal(out, 'mine waits for ever: waiting for ever\nyours waits for ever: receiving from a channel\n');
  t.match(reportsOf(err)[0], /2 coroutines\nmine #1.*\nyours #2/);
});

t.test('I3: whoever else hears of the end may wake the coroutines', async (t) => {
  const listeners = new Map([
    ['at once', 'stop.close()'],
    ['later', 'setTimeout(() => stop.close(), 5)'],
  ]);
  for (const [when, code] of listeners) {
    const { status, out, err } = await outcome(`
      const stop = new Channel();
      const running = run(() => stop.receive());
      process.once('beforeExit', () => { ${code} });
      await running;
      console.log('ended');`);
    t.strictSame([status, out, err], [0, 'ended\n', ''], when);
  }
});

const lively = `
  await run(function* main() {
    spawn(function* worker() {
      yield* sleep(3_600_000);
    }, { daemon: true });
    process.stdin.once('data', () => stop.close());
    const stop = new Channel(0, { name: 'stop' });
    console.log('ready');
    yield* stop.receive();
    console.log('goes on');
    process.stdin.unref();
  });`;

t.test('SIGUSR2 prints the dump if SKEIN_DUMP is 1, and the program goes on', async (t) => {
  const program = start(lively, { SKEIN_DUMP: '1' });
  await until(() => program.output() === 'ready\n', 'the program');
  for (let count = 1; count <= 2; count++) {
    program.child.kill('SIGUSR2');
    await until(() => program.errors().split('2 coroutines').length === count + 1, `dump ${count}`);
  }
  t.match(
    program.errors(),
    /^2 coroutines\nmain #1, suspended, .* old: receiving from stop\n│ {2}at main \(.*\n└─ worker #2, suspended, .* old: sleeping for 3600000 ms\n {6}at worker \(/,
  );
  program.child.stdin!.end('stop');
  t.equal(await program.exited, 0);
  t.match(program.output(), 'goes on');
});

t.test('SIGUSR2 keeps its meaning if SKEIN_DUMP is not 1', async (t) => {
  const program = start(lively, { SKEIN_DUMP: '0' });
  await until(() => program.output() === 'ready\n', 'the program');
  t.equal(await program.end('SIGUSR2'), null);
  t.equal(program.child.signalCode, 'SIGUSR2');
  t.equal(program.errors(), '');
});
