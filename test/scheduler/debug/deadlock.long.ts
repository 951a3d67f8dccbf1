// I3: what a process with coroutines does at its end, and on a signal. Each program runs in a process of
// its own; its output goes to pipes.

import t from 'tap';
import { until } from '../../support/connection/peers.ts';
import { outcome, start } from '../../support/programs/lines.ts';

t.test('I3: a process that something keeps alive is never called deadlocked', async (t) => {
  const keepers = [
    'setInterval(() => {}, 1000);',
    "(await import('node:net')).createServer().listen(0, '127.0.0.1');",
    'void run(function* () { const acceptor = yield* listen(0); yield* acceptor.accept(); });',
    'void run(() => serve(0, function* () {}));',
    'void run(() => sleep(3_600_000));',
    'void run(() => sleep(Infinity));',
  ];
  await Promise.all(
    keepers.map(async (keeper) => {
      const program = start(`void run(() => never);\n${keeper}\nconsole.log('ready');`);
      await until(() => program.output() !== '', 'the program');
      await new Promise((resolve) => setTimeout(resolve, 100));
      t.equal(program.output(), 'ready\n', keeper);
      t.equal(await program.end('SIGTERM'), null);
    }),
  );
});

t.test('I3: a long report arrives whole, though nobody reads it at first', async (t) => {
  const { status, err } = await outcome(
    `await run(function* main() {
      for (let one = 0; one < 20_000; one++) spawn(() => new Channel(0, { name: 'channel ' + one }).receive());
    });`,
    500,
  );
  t.equal(status, 2);
  t.match(err, /^20,001 coroutines\n/m);
  t.ok(err.length > 1_000_000, `${err.length} characters`);
  t.match(err.slice(-2000), /^└─ coroutine #20001, suspended, .* old: receiving from channel 19999\n/m);
  t.match(err.slice(-2000), 'DeadlockError');
});
