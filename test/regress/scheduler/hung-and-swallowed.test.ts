// One test for each bug of the concurrency that was fixed, named after it.

import { EventEmitter } from 'node:events';
import t from 'tap';
import { dial, listen, serve } from '../../../lib/index.ts';
import {
  CancelledError,
  Channel,
  closed,
  type Co,
  dump,
  empty,
  forEach,
  Latch,
  once,
  type Operation,
  pause,
  RealClock,
  run,
  Scheduler,
  scope,
  select,
  shield,
  singleflight,
  sleep,
  spawn,
  suspend,
  timeout,
  trySelect,
  VirtualClock,
  wait,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { runProgram } from '../../support/programs/program.ts';
import { rejectionOf, virtually } from '../../support/scheduler/virtual.ts';

t.test('a cancelled coroutine that catches errors in a loop let nothing else run', async (t) => {
  const { exited, output } = runProgram([
    '--input-type=module',
    '--eval',
    `import { run, sleep } from 'skein';
     setTimeout(() => { console.log('alive'); process.exit(0); }, 100);
     await run(function* stubborn() {
       for (;;) try { yield* sleep(1e6); } catch {}
     }, { signal: AbortSignal.timeout(10) });`,
  ]);
  t.equal(await exited, 0);
  t.match(output(), /stubborn was cancelled, and has caught the error again and again/);
  t.match(output(), 'alive');
});

t.test(
  'a select that was served lost its value when a hook of a loser cancelled its coroutine',
  async (t) => {
    await virtually(function* () {
      const channel = new Channel<number>();
      const got: unknown[] = [];
      const receiver = spawn(function* () {
        got.push(yield* select({ value: channel.receive(), other: suspend(() => () => receiver.cancel()) }));
      });
      yield* pause();
      t.ok(channel.trySend(5));
      yield* receiver.join();
      t.strictSame(got, [{ key: 'value', value: 5 }]);
    });
  },
);

t.test('a dump ended a coroutine whose iterator does not hand on what it is sent', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>();
    const operation = channel.receive();
    const deaf = { [Symbol.iterator]: () => ({ next: () => operation.next() }) };
    const child = spawn(function* (): Co<unknown> {
      return yield* deaf as Operation<number>;
    });
    yield* pause();
    t.ok(dump().some(({ id, stack }) => id === child.id && stack.length > 0));
    yield* channel.send(3);
    t.equal(yield* child.join(), 3);
  });
});

t.test('singleflight began its body for a caller that was cancelled', async (t) => {
  await virtually(function* () {
    let begun = 0;
    const load = singleflight(function* () {
      begun++;
      yield* sleep(10);
    });
    const one = spawn(() => load('key'));
    yield* pause();
    one.cancel();
    const two = spawn(() => load('key'));
    two.cancel();
    yield* errorOf(one.join());
    yield* errorOf(two.join());
    t.equal(begun, 1);
  });
});

t.test('a pause as a case of select let nobody run', async (t) => {
  await virtually(function* () {
    let others = 0;
    const other = spawn(function* () {
      for (;;) {
        others++;
        yield* pause();
      }
    });
    const silent = new Channel<never>();
    for (let round = 0; round < 5; round++) {
      t.equal((yield* select({ never: silent.receive(), turn: pause() })).key, 'turn');
    }
    t.ok(others >= 5 && others < 20, `${others} turns`);
    other.cancel();
  });
});

t.test('run with a signal that is none left its body running unheard', async (t) => {
  let hasRun = false;
  const controller = new AbortController();
  const error = await rejectionOf(
    run(
      function* () {
        hasRun = true;
      },
      { signal: controller as unknown as AbortSignal },
    ),
  );
  t.match(error, {
    name: 'TypeError',
    message: /run expects an AbortSignal .* got an instance of AbortController/,
  });
  t.notOk(hasRun);
});

t.test('an onError that is a generator function swallowed the error', async (t) => {
  const fails = function* (): Co<void> {
    throw new Error('the cause');
  };
  const error = await rejectionOf(
    run(function* () {
      spawn(fails, {
        // oxlint-disable-next-line require-yield -- it is the mistake
        *onError() {},
      });
    }),
  );
  t.match(error, { name: 'TypeError', cause: { message: 'the cause' } });
  await t.rejects(
    run(function* () {
      spawn(fails, { onError: 'log' as unknown as () => void });
    }),
    { name: 'TypeError', message: /onError, got "log"/ },
  );
});

t.test('the handle of an ended coroutine kept its ancestors', async (t) => {
  await virtually(function* () {
    const child = spawn(() => pause());
    t.ok(child.parent);
    yield* child.join();
    t.equal(child.parent, null);
  });
});

t.test('serve closed a connection under what its handler had spawned', { timeout: 10_000 }, async (t) => {
  await run(function* () {
    const acceptor = yield* listen(0);
    const server = spawn(() =>
      serve(acceptor, function* (conn) {
        spawn(function* () {
          yield* sleep(5);
          yield* conn.write('from a child');
        });
      }),
    );
    const conn = yield* dial(acceptor.address);
    t.equal(String(yield* conn.read()), 'from a child');
    conn.close();
    server.cancel();
    t.ok((yield* errorOf(server.join())) instanceof CancelledError);
  });
});

t.test('the signal of wait aborts with the reason of the cancellation', async (t) => {
  await virtually(function* () {
    let reason: unknown;
    const child = spawn(() =>
      wait((signal) => new Promise(() => signal.addEventListener('abort', () => (reason = signal.reason)))),
    );
    yield* pause();
    child.cancel('enough');
    t.match(reason, { name: 'AbortError', cause: 'enough' });
    yield* errorOf(child.join());
  });
});

t.test('a scope that was begun and left behind hung its coroutine', async (t) => {
  await virtually(function* () {
    const log: string[] = [];
    const child = spawn(
      function* () {
        const begun = scope(function* () {
          spawn(function* () {
            try {
              yield* sleep(1000);
            } finally {
              log.push('cancelled');
            }
          });
          yield* timeout(500, () => pause());
        });
        begun.next();
        yield* pause();
      },
      { name: 'forgetful', onError: (error) => log.push((error as Error).message) },
    );
    t.match(yield* errorOf(child.join()), { name: 'TypeError' });
    t.strictSame(log, ['cancelled', 'forgetful has left a scope open: is yield* missing?']);
  });
  // The same, left while it waits for its children.
  const error = await rejectionOf(
    run(function* () {
      const begun = scope(function* () {
        spawn(() => sleep(60_000));
        yield* pause();
      });
      for (let step = 0; step < 2; step++) begun.next();
    }),
  );
  t.match(error, { message: /has left a scope open/ });
});

t.test('ending a scope that was left behind made its coroutine forget its children', async (t) => {
  await virtually(function* () {
    const log: string[] = [];
    let begun: Co<void>;
    const child = spawn(
      function* () {
        spawn(function* cleaner() {
          try {
            yield* sleep(60_000);
          } finally {
            yield* shield(() => sleep(100));
            log.push('a child has cleaned up');
          }
        });
        begun = scope(() => sleep(60_000));
        begun.next();
        yield* pause();
      },
      { onError: () => log.push('it has ended') },
    );
    yield* sleep(50);
    begun!.return();
    t.ok(
      dump().some(({ name }) => name === 'cleaner'),
      'a dump still finds it',
    );
    t.match(yield* errorOf(child.join()), { name: 'TypeError' });
    t.strictSame(log, ['a child has cleaned up', 'it has ended']);
  });
});

// A coroutine that had to give way armed its operation only when it was resumed, and the event had come meanwhile.

t.test('an event that comes while a coroutine gives way is not lost', (t) =>
  run(function* () {
    const emitter = new EventEmitter();
    const gate = new Latch(0);
    for (let before = 0; before < 200; before++) {
      yield* pause();
      for (let count = 0; count < before; count++) yield* gate.wait();
      queueMicrotask(() => emitter.emit('go', before));
      t.same(yield* timeout(10_000, () => once(emitter, 'go')), [before]);
    }
    t.equal(emitter.listenerCount('go'), 0);
  }),
);

t.test('S3 a coroutine whose callbacks come at once gives way', (t) =>
  run(function* () {
    let others = 0;
    const other = spawn(
      function* () {
        for (;;) {
          others++;
          yield* pause();
        }
      },
      { daemon: true },
    );
    for (let count = 0; count < 1_000; count++) {
      t.equal(yield* suspend<number>((resume) => resume(null, count)), count);
    }
    t.ok(others >= 5, `${others} turns of the other`);
    other.cancel();
  }),
);

t.test('a channel took its own symbols for values, which ended its receivers', async (t) => {
  await virtually(function* () {
    for (const capacity of [0, 1, Infinity]) {
      const channel = new Channel<unknown>(capacity, { name: 'news' });
      const receiver = spawn(() => channel.receive());
      yield* pause();
      for (const value of [closed, empty]) {
        const refused = { name: 'TypeError', message: /^news expects a value to send, got Symbol/ };
        t.match(yield* errorOf(scope(() => channel.send(value))), refused);
        t.throws(() => channel.trySend(value), refused);
        t.throws(() => select({ news: channel.send(value) }), refused);
        t.throws(() => trySelect({ news: channel.send(value) }), refused);
      }
      t.equal(channel.length, 0);
      t.equal(receiver.state, 'suspended');
      yield* channel.send(Symbol.for('another'));
      t.equal(yield* receiver.join(), Symbol.for('another'));
    }
  });
});

t.test('forEach refused to work on all items at once', async (t) => {
  await virtually(function* () {
    let most = 0;
    let now = 0;
    yield* forEach(Array.from({ length: 300 }).keys(), { concurrency: Infinity }, function* () {
      most = Math.max(most, ++now);
      yield* sleep(1);
      now--;
    });
    t.same([most, now], [300, 0]);
    const failure = new Error('of an item');
    const failing = forEach([1, 2, 3], { concurrency: Infinity }, function* (item) {
      yield* sleep(item);
      if (item === 2) throw failure;
    });
    t.equal(yield* errorOf(failing), failure);
  });
});

t.test('of two schedulers with one clock only the last to sleep was woken', async (t) => {
  const clock = new VirtualClock();
  const log: string[] = [];
  function* steps(name: string, ms: number, count: number): Co<void> {
    for (let step = 0; step < count; step++) {
      yield* sleep(ms);
      log.push(`${name} ${clock.now()}`);
    }
  }
  const runs = [
    new Scheduler({ clock }).run(() => steps('a', 100, 3)),
    new Scheduler({ clock }).run(() => steps('b', 150, 2)),
    // One that has no timer must not take away those of the others.
    new Scheduler({ clock }).run(function* () {
      for (let round = 0; round < 300; round++) yield* pause();
      log.push(`c ${clock.now()}`);
    }),
    new Scheduler({ clock })
      .run(() => timeout(250, () => sleep(Infinity)))
      .catch(({ name }) => log.push(name)),
  ];
  await Promise.all(runs);
  t.same(log, ['c 0', 'a 100', 'b 150', 'a 200', 'TimeoutError', 'b 300', 'a 300']);
  t.equal(clock.now(), 300);
  await new Scheduler({ clock }).run(() => steps('late', 50, 1));
  t.equal(log.at(-1), 'late 350');

  const real = new RealClock();
  const begun = performance.now();
  const order: string[] = [];
  await Promise.all(
    [30, 10, 20].map((ms) =>
      new Scheduler({ clock: real }).run(() => sleep(ms)).then(() => order.push(`${ms}`)),
    ),
  );
  t.same(order, ['10', '20', '30']);
  t.ok(performance.now() - begun >= 30);
});
