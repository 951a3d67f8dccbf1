import t from 'tap';
import {
  type Co,
  type Coroutine,
  local,
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
import { thrownBy, virtually } from '../../support/scheduler/virtual.ts';

t.test('a local has its initial value where nobody has set it', async (t) => {
  const plain = local<number>();
  const named = local('initial');
  t.equal(plain.get(), undefined);
  t.equal(named.get(), 'initial', 'outside of coroutines, too');
  await virtually(function* () {
    t.equal(plain.get(), undefined);
    t.equal(named.get(), 'initial');
    named.set('set');
    plain.set(1);
    t.equal(named.get(), 'set');
    t.equal(plain.get(), 1);
  });
  t.equal(named.get(), 'initial');
  await virtually(function* () {
    t.equal(named.get(), 'initial', 'another run has nothing of it');
  });
});

t.test('undefined and null are values like any other', async (t) => {
  const value = local<string | undefined | null>('initial');
  await virtually(function* () {
    value.set(undefined);
    t.equal(value.get(), undefined);
    const child = spawn(function* () {
      t.equal(value.get(), undefined);
      value.set(null);
      t.equal(value.get(), null);
    });
    yield* child.join();
  });
});

t.test('a child inherits the values at its spawn, and what either sets later is its own', async (t) => {
  const first = local('none');
  const second = local('none');
  const log: string[] = [];
  const look = (who: string): void => void log.push(`${who}: ${first.get()} ${second.get()}`);
  await virtually(function* () {
    first.set('parent');
    const child = spawn(function* () {
      look('child');
      second.set('child');
      const grandchild = spawn(function* () {
        look('grandchild');
        first.set('grandchild');
        yield* sleep(1);
        look('grandchild');
      });
      second.set('child later');
      yield* grandchild.join();
      look('child');
    });
    first.set('parent later');
    look('parent');
    yield* child.join();
    look('parent');
    spawn(function* () {
      look('second child');
    });
  });
  t.strictSame(log, [
    'parent: parent later none',
    'child: parent none',
    'grandchild: parent child',
    'grandchild: grandchild child',
    'child: parent child later',
    'parent: parent later none',
    'second child: parent later none',
  ]);
});

t.test('siblings are independent, however they take turns', async (t) => {
  const id = local(-1);
  await virtually(function* () {
    id.set(100);
    const wrong: unknown[] = [];
    const siblings = Array.from({ length: 20 }, (_, index) =>
      spawn(function* () {
        if (id.get() !== 100) wrong.push(id.get());
        if (index % 3 === 0) return;
        id.set(index);
        for (let round = 0; round < 5; round++) {
          yield* index % 2 === 0 ? pause() : sleep(index);
          if (id.get() !== index) wrong.push([index, id.get()]);
          const child = spawn(function* () {
            yield* pause();
            return id.get();
          });
          if ((yield* child.join()) !== index) wrong.push([index, 'child']);
        }
      }),
    );
    for (const sibling of siblings) yield* sibling.join();
    t.strictSame(wrong, []);
    t.equal(id.get(), 100);
  });
});

t.test('a value belongs to the coroutine, not to the scope that is open', async (t) => {
  const depth = local(0);
  await virtually(function* () {
    yield* scope(function* () {
      depth.set(1);
      yield* shield(function* () {
        t.equal(depth.get(), 1);
        depth.set(2);
        yield* timeout(10, function* () {
          spawn(function* () {
            t.equal(depth.get(), 2);
          });
          yield* sleep(1);
        });
      });
    });
    t.equal(depth.get(), 2, 'it stays');
  });
});

t.test('a callback that spawns into a scope hands on the values of its coroutine', async (t) => {
  const id = local('none');
  const seen: unknown[] = [];
  await run(() =>
    scope(function* (jobs: Scope) {
      id.set('owner');
      setTimeout(() => {
        t.equal(id.get(), 'none', 'the callback itself is no coroutine');
        jobs.spawn(function* () {
          seen.push(id.get());
        });
      }, 1);
      yield* sleep(5);
    }),
  );
  t.strictSame(seen, ['owner']);
});

t.test('who spawns into the scope of another hands on its own values', async (t) => {
  const id = local('none');
  let child: Coroutine<string> | undefined;
  await virtually(function* () {
    const jobs = spawn(function* jobs() {
      id.set('owner');
      yield* sleep(5);
    });
    yield* sleep(1);
    spawn(function* () {
      id.set('spawner');
      child = jobs.spawn(function* () {
        return id.get();
      });
    });
    yield* sleep(1);
    t.equal(yield* child!.join(), 'spawner');
    yield* jobs.join();
  });
});

t.test('what is yielded bare, and a run inside, inherit as if they were spawned', async (t) => {
  const id = local('none');
  function* name(): Co<string> {
    yield* pause();
    const inherited = id.get();
    id.set('changed');
    return inherited;
  }
  await run(function* () {
    id.set('outer');
    t.equal(yield name, 'outer');
    t.strictSame(yield [name(), name], ['outer', 'outer']);
    t.equal(yield* wait(run(name)), 'outer');
    t.equal(id.get(), 'outer');
    t.equal(yield* name(), 'outer');
    t.equal(id.get(), 'changed', 'a generator that is delegated to is the same coroutine');
  });
});

t.test('onError and what starts an operation run with the values of their coroutine', async (t) => {
  const id = local('none');
  const seen: string[] = [];
  await virtually(function* () {
    id.set('parent');
    spawn(
      function* () {
        id.set('child');
        yield* suspend<void>((resume) => {
          seen.push(id.get());
          resume();
        });
        throw new Error('child');
      },
      { onError: () => seen.push(id.get()) },
    );
    yield* sleep(1);
    seen.push(id.get());
  });
  t.strictSame(seen, ['child', 'child', 'parent']);
});

t.test('setting a local outside of a coroutine is a TypeError', async (t) => {
  const id = local('none');
  t.match(
    thrownBy(() => id.set('value')),
    { name: 'TypeError', message: 'a local value needs a running coroutine: set it inside of run' },
  );
  t.equal(id.get(), 'none');
});
