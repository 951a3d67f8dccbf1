import { getEventListeners } from 'node:events';
import t from 'tap';
import {
  type Body,
  CancelledError,
  type Co,
  current,
  pause,
  run,
  Scheduler,
  sleep,
  spawn,
  suspend,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { forever, rejectionOf, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

t.test('S1 ready coroutines run in FIFO order', async (t) => {
  const log: string[] = [];
  await run(function* () {
    for (const name of ['a', 'b', 'c']) {
      spawn(function* () {
        log.push(`${name}1`);
        yield* pause();
        log.push(`${name}2`);
        yield* pause();
        log.push(`${name}3`);
      });
    }
    log.push('root');
  });
  t.strictSame(log, ['root', 'a1', 'b1', 'c1', 'a2', 'b2', 'c2', 'a3', 'b3', 'c3']);
});

t.test('S1 coroutines that are woken run in the order of their waking', async (t) => {
  const log: number[] = [];
  const resumes: (() => void)[] = [];
  await run(function* () {
    for (let index = 0; index < 4; index++) {
      spawn(function* () {
        yield* suspend<void>((resume) => {
          resumes[index] = resume;
        });
        log.push(index);
      });
    }
    yield* pause();
    for (const index of [2, 0, 3, 1]) resumes[index]!();
  });
  t.strictSame(log, [2, 0, 3, 1]);
});

t.test('S1 a spawned coroutine comes after those that were ready before', async (t) => {
  const log: string[] = [];
  await run(function* () {
    spawn(function* () {
      log.push('first');
      spawn(function* () {
        log.push('grandchild');
      });
    });
    spawn(function* () {
      log.push('second');
    });
  });
  t.strictSame(log, ['first', 'second', 'grandchild']);
});

t.test("S2 waking queues and never runs the other on the waker's stack", async (t) => {
  const log: string[] = [];
  let resume!: () => void;
  await run(function* () {
    const sleeper = spawn(function* () {
      yield* suspend<void>((wake) => {
        resume = wake;
      });
      log.push('woken');
    });
    yield* pause();
    t.equal(sleeper.state, 'suspended');
    resume();
    t.equal(sleeper.state, 'ready');
    log.push('waker goes on');
    yield* sleeper.join();
    t.equal(sleeper.state, 'done');
  });
  t.strictSame(log, ['waker goes on', 'woken']);
});

t.test('S2 run and spawn start nothing on the spot', async (t) => {
  const log: string[] = [];
  const promise = run(function* () {
    log.push('body');
  });
  log.push('after run');
  await promise;
  t.strictSame(log, ['after run', 'body']);
});

t.test('S2 a callback outside of coroutines wakes without running', async (t) => {
  const log: string[] = [];
  await run(function* () {
    yield* suspend<void>((resume) => {
      setImmediate(() => {
        resume();
        log.push('callback ends');
      });
    });
    log.push('coroutine goes on');
  });
  t.strictSame(log, ['callback ends', 'coroutine goes on']);
});

t.test('S3 a coroutine whose operations are always ready gives way after 128 of them', async (t) => {
  // oxlint-disable no-unmodified-loop-condition -- others modify it
  let done = 0;
  const seen: number[] = [];
  await virtually(function* () {
    spawn(function* () {
      for (; done < 1000; done++) yield* sleep(0);
    });
    spawn(function* () {
      while (done < 1000) {
        seen.push(done);
        yield* pause();
      }
    });
  });
  const steps = seen.map((count, index) => count - (seen[index - 1] ?? 0));
  t.equal(Math.max(...steps), 128, 'it has its 128 completions');
  t.ok(seen.length >= 7, 'and gives way each time');
});

t.test('S3 a sleeper wakes beside two million operations that are always ready', async (t) => {
  let late = Infinity;
  let operations = 0;
  await run(function* () {
    spawn(function* () {
      const start = performance.now();
      yield* sleep(10);
      late = performance.now() - start - 10;
      t.ok(operations < 2_000_000, 'it does not wait for the end of the others');
    });
    spawn(function* () {
      const ready = sleep(0);
      for (; operations < 2_000_000; operations++) yield* ready;
    });
  });
  t.equal(operations, 2_000_000);
  t.ok(late >= 0, 'never early');
});

t.test('S4 timers, immediates and promises go on while coroutines are always ready', async (t) => {
  const seen = new Set<string>();
  let isOver = false;
  const promises = (async () => {
    await new Promise((resolve) => setImmediate(resolve));
    for (let count = 0; count < 100; count++) await Promise.resolve();
    seen.add('promise');
  })();
  setTimeout(() => seen.add('timeout'), 1);
  setImmediate(() => seen.add('immediate'));
  const deadline = performance.now() + 10_000;
  await run(function* () {
    for (let index = 0; index < 3; index++) {
      spawn(function* () {
        while (seen.size < 3 && performance.now() < deadline) yield* index === 0 ? sleep(0) : pause();
        isOver = true;
      });
    }
  });
  t.ok(isOver);
  t.strictSame([...seen].toSorted(), ['immediate', 'promise', 'timeout']);
  await promises;
});

t.test('S4 resolved promises in a row do not hold up the timers', async (t) => {
  let fired = false;
  setTimeout(() => (fired = true), 1);
  const deadline = performance.now() + 10_000;
  await run(function* () {
    while (!fired && performance.now() < deadline) yield Promise.resolve();
  });
  t.ok(fired);
});

t.test('S4 a turn is limited even if the clock stands still', async (t) => {
  let wasImmediate = false;
  setImmediate(() => (wasImmediate = true));
  let count = 0;
  await virtually(function* () {
    for (; count < 1_000_000 && !wasImmediate; count++) yield* sleep(0);
  });
  t.ok(wasImmediate, `an immediate came after ${count} operations`);
});

t.test('S4 what becomes ready while the turn is spent runs in the next', async (t) => {
  const log: string[] = [];
  await run(function* () {
    spawn(function* () {
      const end = performance.now() + 25;
      while (performance.now() < end) yield* sleep(0);
      log.push('busy');
    });
    let resume!: () => void;
    queueMicrotask(() => setImmediate(() => resume()));
    yield* suspend<void>((wake) => {
      resume = wake;
    });
    log.push('woken by an immediate');
  });
  t.strictSame(log.toSorted(), ['busy', 'woken by an immediate']);
});

t.test('S5 an error that nobody handles rejects run', async (t) => {
  const failure = new Error('from three levels down');
  const error = await rejectionOf(
    virtually(function* () {
      spawn(function* () {
        spawn(function* () {
          yield* sleep(1);
          throw failure;
        });
      });
      yield* forever();
    }),
  );
  t.equal(error, failure);
});

t.test('S5 an error before the first operation rejects run', async (t) => {
  await t.rejects(
    run(() => {
      throw new RangeError('no generator at all');
    }),
    { name: 'RangeError' },
  );
  await t.rejects(
    run(function* () {
      throw new RangeError('at once');
    }),
    { message: 'at once' },
  );
});

t.test('run gives what the body returns, from a generator or an operation', async (t) => {
  t.equal(
    await run(function* () {
      yield* pause();
      return 42;
    }),
    42,
  );
  t.equal(await run(() => suspend<string>((resume) => resume(null, 'value'))), 'value');
  t.equal(await virtually(() => sleep(5)), undefined);
});

t.test('run inside of a coroutine starts a tree of its own in the same scheduler', async (t) => {
  const scheduler = new Scheduler({ clock: new VirtualClock() });
  let inner: Promise<number> | undefined;
  await scheduler.run(function* () {
    inner = run(function* () {
      yield* sleep(1000);
      return scheduler.clock.now();
    });
  });
  t.equal(scheduler.clock.now(), 0, 'the outer one does not wait for it');
  t.equal(await inner, 1000);
});

t.test('two schedulers run beside each other', async (t) => {
  const one = new Scheduler({ clock: new VirtualClock() });
  const two = new Scheduler({ clock: new VirtualClock() });
  const results = await one.run(function* () {
    yield* sleep(5);
    const inner = two.run(function* () {
      yield* sleep(7);
      return two.clock.now();
    });
    return [one.clock.now(), yield inner] as const;
  });
  t.strictSame(results, [5, 7]);
});

t.test('run with a signal cancels everything inside when it aborts', async (t) => {
  const controller = new AbortController();
  const log: string[] = [];
  function* waiter(name: string): Co<void> {
    try {
      yield* forever();
    } finally {
      log.push(name);
    }
  }
  const promise = run(
    function* () {
      spawn(() => waiter('child'));
      yield* waiter('body');
    },
    { signal: controller.signal, name: 'server' },
  );
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(getEventListeners(controller.signal, 'abort').length, 1);
  const reason = new Error('shutting down');
  controller.abort(reason);
  const error = await rejectionOf(promise);
  t.ok(error instanceof CancelledError);
  t.equal(error.cause, reason);
  t.strictSame(log.toSorted(), ['body', 'child']);
});

t.test('run with a signal lets go of it at the end', async (t) => {
  const controller = new AbortController();
  const { signal } = controller;
  t.equal(await run(() => suspend<number>((resume) => resume(null, 1)), { signal }), 1);
  t.equal(getEventListeners(signal, 'abort').length, 0);
  await t.rejects(
    run(
      function* () {
        throw new Error('failed');
      },
      { signal },
    ),
  );
  t.equal(getEventListeners(signal, 'abort').length, 0);
});

t.test('run with a signal that has aborted rejects and does not start the body', async (t) => {
  let isStarted = false;
  const promise = run(
    function* () {
      isStarted = true;
      yield* sleep(0);
    },
    { signal: AbortSignal.abort('too late') },
  );
  await t.rejects(promise, { name: 'AbortError', code: 'ABORT_ERR', cause: 'too late' });
  t.notOk(isStarted);
});

function* noop(): Co<void> {}

t.test('a body that is no function is a TypeError which says what came', async (t) => {
  const body = noop;
  const cases: [unknown, RegExp][] = [
    [undefined, /got undefined$/],
    [null, /got null$/],
    [5, /got 5$/],
    [12n, /got 12$/],
    [true, /got true$/],
    ['text', /got "text"$/],
    ['x'.repeat(100), /got "x{60}…"$/],
    [Symbol('here'), /got Symbol\(here\)$/],
    [[], /got an array$/],
    [{}, /got an object$/],
    [Object.create(null), /got an object$/],
    [new Map(), /got an instance of Map$/],
    [body(), /got a generator; write `\(\) => body\(\)`$/],
    [sleep(1), /got an operation; write/],
  ];
  for (const [value, message] of cases) {
    await t.rejects(run(value as Body<void>), { name: 'TypeError', message });
  }
  await run(function* () {
    t.match(
      thrownBy(() => spawn(body() as unknown as Body<void>)),
      { name: 'TypeError' },
    );
  });
});

t.test('a body that returns no generator is a TypeError which says what came', async (t) => {
  const cases: [unknown, RegExp][] = [
    [undefined, /returned undefined$/],
    [7, /returned 7$/],
    [Promise.resolve(), /returned an instance of Promise$/],
    [() => {}, /returned a function$/],
    [noop, /returned the function noop$/],
  ];
  for (const [value, message] of cases) {
    await t.rejects(
      run(() => value as Co<void>),
      { name: 'TypeError', message },
    );
  }
  await t.rejects(
    run(() => 1 as unknown as Co<void>, { name: 'server' }),
    { message: /the body of server / },
  );
});

t.test('a coroutine has a name, a number of its own and a state', async (t) => {
  await run(
    function* () {
      t.equal(current().name, 'root');
      t.equal(current().state, 'running');
      const named = spawn(function* work() {});
      const arrow = spawn(() => sleep(0));
      const given = spawn(function* work() {}, { name: 'worker' });
      t.equal(named.name, 'work');
      t.equal(arrow.name, `coroutine-${arrow.id}`);
      t.equal(given.name, 'worker');
      t.ok(named.id < arrow.id && arrow.id < given.id);
      t.equal(named.state, 'ready');
      yield* named.join();
      t.equal(named.state, 'done');
    },
    { name: 'root' },
  );
});

t.test('spawn and current outside of a coroutine are a TypeError', async (t) => {
  t.match(
    thrownBy(() => spawn(() => sleep(1))),
    { name: 'TypeError', message: /^spawn needs a running/ },
  );
  t.match(thrownBy(current), { name: 'TypeError', message: /^current needs a running/ });
  await run(() => sleep(0));
  t.throws(current, TypeError, 'after a run, too');
});
