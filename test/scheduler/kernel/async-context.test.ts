import { AsyncLocalStorage } from 'node:async_hooks';
import t from 'tap';
import {
  Channel,
  type Co,
  type Coroutine,
  pause,
  run,
  scope,
  type Scope,
  shield,
  sleep,
  spawn,
  suspend,
  timeout,
  wait,
} from '../../../scheduler/index.ts';
import { runProgram } from '../../support/programs/program.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever } from '../../support/scheduler/virtual.ts';

const store = new AsyncLocalStorage<string>();

/** Runs a body that keeps contexts, in one whose store is `name`. */
function within<T>(name: string, body: () => Co<T>): Promise<T> {
  return store.run(name, () => run(body, { asyncContext: true }));
}

/** Something of every kind that a coroutine can wait for, each woken from outside of its context. */
function* everyWait(news: Channel<string>): Co<string[]> {
  const seen: (string | undefined)[] = [];
  const look = (): void => void seen.push(store.getStore());
  look();
  yield* pause();
  look();
  yield* sleep(1);
  look();
  yield* news.receive();
  look();
  yield* news.send('back');
  look();
  yield* wait(new Promise((resolve) => setTimeout(resolve, 1)));
  look();
  yield* wait(async () => look());
  look();
  yield Promise.resolve();
  look();
  yield [Promise.resolve(), sleep(1)];
  look();
  yield function* () {
    yield* sleep(1);
    look();
  };
  look();
  yield* suspend<void>((resume) => {
    look();
    setImmediate(() => store.run('waker', resume));
  });
  look();
  yield* spawn(() => sleep(1)).join();
  look();
  yield* errorOf(timeout(1, forever));
  look();
  yield* scope(function* () {
    yield* shield(() => sleep(1));
    look();
  });
  look();
  return seen.map(String);
}

/** Serves the channel of `everyWait`, in another context. */
function serve(name: string, news: Channel<string>): Promise<void> {
  return within(name, function* () {
    yield* news.send('news');
    yield* news.receive();
  });
}

t.test('a coroutine keeps the store of its spawner across whatever it waits for', async (t) => {
  const news = new Channel<string>();
  const [seen] = await Promise.all([within('request', () => everyWait(news)), serve('waker', news)]);
  t.strictSame([...new Set(seen)], ['request']);
  t.ok(seen.length > 15);
  t.equal(store.getStore(), undefined, 'nothing is left outside');
});

t.test("without the option no store is seen: neither the caller's nor the waker's", async (t) => {
  const news = new Channel<string>();
  const seen = await store.run('caller', async () => {
    const running = run(() => everyWait(news));
    await serve('waker', news);
    return running;
  });
  t.strictSame([...new Set(seen)], ['undefined']);
});

t.test('a waker that has a store does not hand it on, be it a timer, a promise or a callback', async (t) => {
  const seen: unknown[] = [];
  for (const options of [{}, { asyncContext: true }]) {
    let resume!: () => void;
    let resolve!: () => void;
    const promise = new Promise<void>((fulfil) => (resolve = fulfil));
    const running = run(function* () {
      const children = [
        () => suspend((give) => (resume = give)),
        () => wait(promise),
        () => sleep(2),
        function* () {
          yield promise;
        },
      ].map((body) =>
        spawn(function* () {
          yield* body();
          seen.push(store.getStore());
        }),
      );
      for (const child of children) yield* child.join();
      seen.push(store.getStore());
    }, options);
    store.run('waker', () => {
      setTimeout(() => resume(), 1);
      setTimeout(() => resolve(), 1);
      // It arms a timer, so that the alarm of all of them is set in its turn.
      void run(() => sleep(1), { asyncContext: true });
    });
    await running;
  }
  t.strictSame(seen, Array.from({ length: 10 }));
});

t.test('several runs keep apart', async (t) => {
  const names = ['a', 'b', 'c', 'd'];
  const baton = new Channel<string>();
  const results = await Promise.all(
    names.map((name) =>
      within(name, function* () {
        const seen = new Set<string | undefined>();
        for (let round = 0; round < 5; round++) {
          // Whoever sends wakes the one who receives: each is woken by all others.
          const child = spawn(function* () {
            yield* baton.send(name);
            seen.add(store.getStore());
          });
          yield* baton.receive();
          seen.add(store.getStore());
          yield* child.join();
          seen.add(store.getStore());
        }
        return [...seen];
      }),
    ),
  );
  t.strictSame(
    results,
    names.map((name) => [name]),
  );
});

t.test('a spawn inside of `als.run` gives the child that store, and its children, too', async (t) => {
  const seen: unknown[] = [];
  function* grandparent(name: string): Co<void> {
    yield* sleep(1);
    seen.push([name, store.getStore()]);
    spawn(function* () {
      yield* sleep(1);
      seen.push([`${name}'s child`, store.getStore()]);
    });
  }
  await within('request', function* () {
    const inner = store.run('inner', () => spawn(() => grandparent('inner')));
    const outer = spawn(() => grandparent('outer'));
    seen.push(['spawner', store.getStore()]);
    yield* inner.join();
    yield* outer.join();
    yield* store.exit(() => spawn(() => grandparent('exited'))).join();
    seen.push(['spawner', store.getStore()]);
  });
  t.strictSame(seen, [
    ['spawner', 'request'],
    ['inner', 'inner'],
    ['outer', 'request'],
    ["inner's child", 'inner'],
    ["outer's child", 'request'],
    ['exited', undefined],
    ["exited's child", undefined],
    ['spawner', 'request'],
  ]);
});

t.test('a spawn from a plain callback has the store of the callback', async (t) => {
  let jobs!: Scope;
  const seen: unknown[] = [];
  await within('request', () =>
    scope(function* (inner) {
      jobs = inner;
      store.run('callback', () => {
        setTimeout(() => {
          jobs.spawn(function* () {
            yield* sleep(1);
            seen.push(store.getStore());
          });
        }, 1);
      });
      yield* sleep(3);
    }),
  );
  t.strictSame(seen, ['callback']);
});

t.test('a run inside of a coroutine keeps its context; a scope and a shield are no spawners', async (t) => {
  const seen: unknown[] = [];
  await within('request', function* () {
    yield* wait(
      run(function* () {
        yield* sleep(1);
        seen.push(store.getStore());
      }),
    );
    yield* scope(function* () {
      yield* store.run('inner', () => shield(() => sleep(1)));
      seen.push(store.getStore());
    });
  });
  t.strictSame(seen, ['request', 'request']);
});

t.test('cancelling, cleanup and errors keep the store', async (t) => {
  const seen: unknown[] = [];
  await within('request', function* () {
    const worker = spawn(
      function* (): Co<void> {
        try {
          yield* forever();
        } finally {
          seen.push(store.getStore());
          yield* shield(() => sleep(1));
          seen.push(store.getStore());
        }
      },
      { onError: () => seen.push(store.getStore()) },
    );
    yield* sleep(1);
    setImmediate(() => store.run('canceller', () => worker.cancel()));
    yield* errorOf(worker.join());
    const failing: Coroutine<void> = spawn(
      function* () {
        yield* sleep(1);
        throw new Error('body');
      },
      { onError: () => seen.push(`onError ${store.getStore()}`) },
    );
    yield* errorOf(failing.join());
  });
  t.strictSame(seen, ['request', 'request', 'onError request']);
});

t.test('a store that is entered in a coroutine does not come out in others', async (t) => {
  const entered = new AsyncLocalStorage<string>();
  await run(function* () {
    entered.enterWith('leak');
    yield* sleep(1);
  });
  await run(function* () {
    t.equal(entered.getStore(), undefined);
    yield* sleep(1);
    t.equal(entered.getStore(), undefined);
  });
  await within('request', function* () {
    const other = new AsyncLocalStorage<string>();
    const child = spawn(function* () {
      other.enterWith('child');
      yield* pause();
    });
    yield* child.join();
    t.equal(other.getStore(), undefined);
  });
});

t.test('a store of whoever imports skein first is not that of all coroutines', async (t) => {
  const program = `
    import { AsyncLocalStorage } from 'node:async_hooks';
    const store = new AsyncLocalStorage();
    const { run, sleep } = await store.run('first request', () => import('skein/scheduler'));
    await run(function* () {
      console.log(store.getStore());
      yield* sleep(1);
      console.log(store.getStore());
    });
    const kept = () => run(function* () {
      yield* sleep(1);
      console.log(store.getStore());
    }, { asyncContext: true });
    await store.run('second request', kept);
  `;
  const { exited, output } = runProgram(['--input-type=module', '-e', program]);
  t.equal(await exited, 0);
  t.strictSame(output().trim().split('\n'), ['undefined', 'undefined', 'second request']);
});

t.test(
  'a store that is current where skein is loaded, in whichever way, is seen by no coroutine',
  async (t) => {
    const body = `
    const seen = [];
    await run(function* () {
      seen.push(store.getStore());
      yield* wait(Promise.resolve());
      seen.push(store.getStore());
      yield* sleep(1);
      seen.push(store.getStore());
    });
    console.log(seen.map(String).join());
  `;
    const ways = [
      `store.enterWith('entered'); const { run, sleep, wait } = await import('skein/scheduler');`,
      `const { run, sleep, wait } = await store.run('run', async () => { await null; return import('skein/scheduler'); });`,
      `const { run, sleep, wait } = await new Promise((resolve) => store.run('timer', () => setTimeout(() => resolve(import('skein/scheduler')), 1)));`,
    ];
    for (const way of ways) {
      const program = `import { AsyncLocalStorage } from 'node:async_hooks';
      const store = new AsyncLocalStorage();\n${way}\n${body}`;
      const { exited, output } = runProgram(['--input-type=module', '-e', program]);
      t.equal(await exited, 0);
      t.equal(output().trim(), 'undefined,undefined,undefined', way);
    }
  },
);

t.test('the first store of a process, entered in a coroutine, is gone with the turn', async (t) => {
  const program = `
    import { AsyncLocalStorage } from 'node:async_hooks';
    import { pause, run, sleep, spawn, wait } from 'skein/scheduler';
    const store = new AsyncLocalStorage();
    const seen = [];
    await run(function* () {
      yield* sleep(1);
      store.enterWith('leak');
      yield* wait(Promise.resolve());
      seen.push(store.getStore());
      store.enterWith('leak');
      yield* sleep(1);
      seen.push(store.getStore());
      store.enterWith('leak');
      yield* wait(new Promise((resolve) => setImmediate(resolve)));
      seen.push(store.getStore());
    });
    await run(function* () { seen.push(store.getStore()); });
    console.log(seen.map(String).join());
  `;
  const { exited, output } = runProgram(['--input-type=module', '-e', program]);
  t.equal(await exited, 0);
  t.equal(output().trim(), 'undefined,undefined,undefined,undefined');
});
