// What was thrown, and how scopes were left: neither may stop the scheduler, orphan a child or lose an error.

import { AsyncLocalStorage } from 'node:async_hooks';
import * as vm from 'node:vm';
import t from 'tap';
import {
  after,
  all,
  allSettled,
  any,
  CancelledError,
  Channel,
  type Co,
  current,
  dump,
  forEach,
  iterate,
  local,
  never,
  pause,
  race,
  retry,
  run,
  Scheduler,
  scope,
  select,
  Semaphore,
  shield,
  sleep,
  spawn,
  suspend,
  timeout,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { runProgram } from '../../support/programs/program.ts';
import { rejectionOf, virtually } from '../../support/scheduler/virtual.ts';

/** Runs a program of a user's to its end; `output` has both streams. */
async function program(code: string): Promise<{ status: number | null; output: string }> {
  const started = runProgram(['--input-type=module', '--eval', code], { NODE_ENV: 'development' });
  const status = await started.exited;
  return { status, output: started.output() };
}

function refuse(): never {
  throw new Error('looked at');
}

/** Errors that do not want to be looked at or written to. */
const odd: Readonly<Record<string, () => unknown>> = {
  'a frozen error': () => Object.freeze(new Error('frozen')),
  'an error whose cause can only be read': () =>
    Object.defineProperty(new Error(), 'cause', { get: () => undefined }),
  'an error whose cause throws': () => Object.defineProperty(new Error(), 'cause', { get: refuse }),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable(new Error('revoked'), {});
    revoke();
    return proxy as unknown;
  },
  'a proxy that throws': () =>
    new Proxy(new Error('hidden'), { get: refuse, set: refuse, has: refuse, getPrototypeOf: refuse }),
  'an error of another realm': () => vm.runInNewContext('new Error("elsewhere")') as unknown,
  'an object without a prototype': () => Object.create(null) as unknown,
  undefined: () => undefined,
  'a symbol': () => Symbol('thrown'),
};

/** A promise that is fulfilled with such a thing would look at it. */
interface Thrown {
  readonly error: unknown;
}

const thrownBy = (promise: Promise<unknown>): Promise<Thrown> =>
  promise.then(
    () => ({ error: 'nothing was thrown' }),
    (error: unknown) => ({ error }),
  );

/** How it is thrown; each gives what the run was rejected with. */
const places: Readonly<Record<string, (error: unknown) => Promise<Thrown>>> = {
  'by a body': (error) =>
    thrownBy(
      run(function* () {
        yield* pause();
        throw error;
      }),
    ),
  'by an onError': (error) =>
    thrownBy(
      run(function* () {
        spawn(
          function* (): Co<void> {
            throw new Error('first');
          },
          {
            onError: () => {
              throw error;
            },
          },
        );
        yield* never;
      }),
    ),
  'during cancellation': (error) =>
    thrownBy(
      run(function* () {
        const worker = spawn(function* () {
          try {
            yield* never;
          } catch {
            throw error;
          }
        });
        yield* pause();
        worker.cancel();
        yield* never;
      }),
    ),
  'in cleanup after a deadline': (error) =>
    thrownBy(
      run(() =>
        timeout(1, function* () {
          try {
            yield* never;
          } catch {
            throw error;
          }
        }),
      ),
    ),
  'by a hook': (error) =>
    thrownBy(
      run(() =>
        timeout(1, () =>
          suspend(() => () => {
            throw error;
          }),
        ),
      ),
    ),
  'by a hook of a case that lost': (error) =>
    thrownBy(
      run(() =>
        select({
          lost: suspend(() => () => {
            throw error;
          }),
          won: sleep(1),
        }),
      ),
    ),
  'as the reason of a cancellation': (error) =>
    thrownBy(
      run(function* () {
        const worker = spawn(() => never);
        yield* pause();
        worker.cancel(error);
        const { cause } = yield* errorOf(worker.join());
        throw cause;
      }),
    ),
};

for (const [place, rejected] of Object.entries(places)) {
  t.test(`what is thrown ${place} comes through as it is, and the scheduler goes on`, async (t) => {
    for (const [what, make] of Object.entries(odd)) {
      // A hook of a losing case that throws this says nothing, as a write does that was handed over.
      if (what === 'undefined' && place.includes('lost')) continue;
      const error = make();
      t.ok(Object.is((await rejected(error)).error, error), what);
      t.equal(await run(() => settled(42)), 42);
    }
    t.strictSame(dump(), []);
  });
}

function* settled<T>(value: T): Co<T> {
  yield* sleep(0.1);
  return value;
}

t.test('an onError that throws on what it was given leaves no trace in it', async (t) => {
  const error = new Error('not mine');
  const rejected = await rejectionOf(
    run(function* () {
      const rethrow = (given: unknown): never => {
        throw given;
      };
      spawn(
        function* (): Co<void> {
          throw error;
        },
        { onError: rethrow },
      );
      yield* never;
    }),
  );
  t.equal(rejected, error);
  t.notOk('cause' in error);
});

t.test('an iterator that throws when it is asked for its value fails its coroutine', async (t) => {
  const broken = {
    next: () => Object.defineProperty({ done: true }, 'value', { get: refuse }),
  };
  t.match(await rejectionOf(run(() => broken as never)), { message: 'looked at' });
  t.equal(await run(() => settled(1)), 1);
});

t.test('a signal that throws when its listener is removed leaves the result of its run alone', async (t) => {
  const { signal } = new AbortController();
  signal.removeEventListener = refuse;
  t.equal(await run(() => settled('result'), { signal }), 'result');
  t.equal(await run(() => settled(1)), 1);
});

t.test('a process.emitWarning that throws stops no coroutine', async (t) => {
  const { status, output } = await program(`
    import { run, sleep } from 'skein';
    process.emitWarning = () => { throw new Error('no warnings here'); };
    await run(function* () {
      const until = performance.now() + 150;
      while (performance.now() < until);
      yield* sleep(1);
    }, { name: 'busy' });
    console.log(await run(function* () { yield* sleep(1); return 'goes on'; }));
  `);
  t.equal(status, 0);
  t.match(output, 'goes on');
  t.match(output, 'skein: the coroutine busy held the thread');
});

t.test('an error inside the library costs one coroutine, and is reported', async (t) => {
  const { status, output } = await program(`
    import { run, Scheduler, sleep, spawn, current } from 'skein';
    // What a bug of skein's would do: one of the functions that end a coroutine throws.
    const scheduler = new Scheduler();
    const ends = scheduler.run(function* victim() {
      current().isDrainedAfterBody = () => { throw new Error('a bug'); };
    }).catch((error) => error.message);
    const other = scheduler.run(function* () { yield* sleep(5); return 'the other goes on'; });
    console.log(await ends, '|', await other);
  `);
  t.equal(status, 0);
  t.match(output, 'a bug | the other goes on');
  t.match(output, /skein: an internal error while victim was run: Error: a bug/);
});

t.test('a timer that throws as it expires takes no other along', async (t) => {
  const { output } = await program(`
    import { run, Scheduler, sleep, timeout, current } from 'skein';
    const scheduler = new Scheduler();
    const hurt = scheduler.run(() => timeout(5, function* (scope) {
      scope.cancel = () => { throw new Error('a bug'); };
      yield* sleep(20);
      return 'not cut off';
    }));
    const other = scheduler.run(function* () { yield* sleep(5); yield* sleep(5); return 'the other too'; });
    console.log(await hurt, '|', await other);
  `);
  t.match(output, 'not cut off | the other too');
  t.match(output, 'an internal error when a timer expired');
});

/** Every word that opens a scope, with a child in it that lives until it is cancelled. */
const openers: Readonly<Record<string, (child: () => Co<void>) => Co<unknown>>> = {
  scope: (child) =>
    scope(function* () {
      spawn(child);
      yield* never;
    }),
  'scope, at its end': (child) =>
    scope(function* () {
      spawn(child);
    }),
  timeout: (child) =>
    timeout(60_000, function* () {
      spawn(child);
      yield* never;
    }),
  shield: (child) =>
    shield(
      function* () {
        spawn(child);
        yield* never;
      },
      { timeout: 60_000 },
    ),
  all: (child) => all([child, child]),
  allSettled: (child) => allSettled([child, child]),
  any: (child) => any([child, child]),
  race: (child) => race([child, child]),
  forEach: (child) => forEach([1, 2], { concurrency: 2 }, child),
  retry: (child) =>
    retry({ attempts: 2 }, function* () {
      spawn(child);
      yield* never;
    }),
};

/** How a generator is left that should have been waited for. */
const leavings: Readonly<Record<string, (generator: Co<unknown>) => Co<void>>> = {
  'by return': function* (generator) {
    generator.next();
    yield* sleep(1);
    generator.return(undefined);
  },
  'by destructuring': function* (generator) {
    const [one] = generator as Iterable<unknown>;
    void one;
    yield* sleep(1);
  },
  'and forgotten': function* (generator) {
    generator.next();
    yield* sleep(1);
  },
};

for (const [way, leave] of Object.entries(leavings)) {
  t.test(`a scope that is left ${way} is closed: nobody runs on, and its coroutine fails`, async (t) => {
    for (const [word, open] of Object.entries(openers)) {
      let live = 0;
      let begun = 0;
      const scheduler = new Scheduler();
      const work = function* careless(): Co<string> {
        yield* leave(
          open(function* () {
            begun++;
            live++;
            try {
              yield* never;
            } finally {
              yield* shield(() => sleep(1));
              live--;
            }
          }),
        );
        return 'ended as if nothing were';
      };
      const what = word.startsWith('scope') ? 'a scope' : `the scope of ${word}`;
      const error = await rejectionOf(scheduler.run(work));
      t.equal(error.message, `careless has left ${what} open: is yield* missing?`, word);
      t.ok(begun > 0, 'a child began');
      t.equal(live, 0, 'it was waited for');
      t.equal(scheduler.timers.live, 0, 'no deadline is left');
      t.strictSame(dump(), []);
    }
  });
}

t.test('scopes that are left in the wrong order leave their coroutine where it was', async (t) => {
  await virtually(function* () {
    const worker = spawn(
      function* worker(): Co<void> {
        const outer = scope(() => never);
        const inner = scope(function* () {
          spawn(() => never, { name: 'child' });
          yield* never;
        });
        outer.next();
        inner.next();
        outer.return(undefined as never);
        inner.return(undefined);
        yield* sleep(200);
      },
      { onError: () => {} },
    );
    t.match(yield* errorOf(worker.join()), { message: 'worker has left a scope open: is yield* missing?' });
    t.strictSame(
      dump().filter(({ name }) => name === 'child'),
      [],
    );
  });
});

t.test('cancel reaches a coroutine that stands outside of a scope it has begun', async (t) => {
  await virtually(function* () {
    const worker = spawn(function* () {
      const begun = scope(function* () {
        spawn(() => never, { name: 'child' });
      });
      begun.next();
      yield* never;
    });
    yield* sleep(1);
    worker.cancel();
    t.match(yield* errorOf(worker.join()), { name: 'AbortError' });
    t.notOk(dump().some(({ name }) => name === 'child'));
  });
});

t.test('a generator that somebody else ends wakes the coroutine that waits in it', async (t) => {
  const error = await rejectionOf(
    virtually(function* main() {
      const open = scope(() => sleep(60_000));
      spawn(function* () {
        yield* sleep(1);
        open.return(undefined as never);
      });
      yield* open;
      yield* never;
    }),
  );
  t.match(error, { message: 'main has left a scope open: is yield* missing?' });
});

const flattened = (error: unknown): unknown[] =>
  error instanceof AggregateError ? error.errors.flatMap(flattened) : [error];

for (const [word, open] of Object.entries({
  timeout: (body: () => Co<void>) => timeout(60_000, body),
  scope: (body: () => Co<void>) => scope(body),
  shield: (body: () => Co<void>) => shield(body, { timeout: 60_000 }),
})) {
  t.test(`a stack that overflows in nested calls of ${word} leaves nobody behind`, async (t) => {
    // The frames in between decide where in the library the stack ends.
    for (const frames of [0, 1, 2, 3, 5, 8]) {
      let live = 0;
      const scheduler = new Scheduler();
      const child = function* (): Co<void> {
        live++;
        try {
          yield* never;
        } finally {
          live--;
        }
      };
      const nested = (): Co<void> =>
        open(function* () {
          spawn(child);
          yield* padded(frames);
        });
      const padded = function* (count: number): Co<void> {
        yield* count > 0 ? padded(count - 1) : nested();
      };
      await scheduler.run(function* () {
        const error = yield* errorOf(nested());
        t.ok(flattened(error).every((one) => one instanceof RangeError));
        t.equal(yield* settled('goes on'), 'goes on');
      });
      t.equal(live, 0);
      t.equal(scheduler.timers.live, 0);
    }
    t.strictSame(dump(), []);
  });
}

t.test('a call of spawn that the stack has no room for leaves no child that never runs', async (t) => {
  let begun = 0;
  let spawned = 0;
  await run(function* () {
    const sink = (): void => {
      try {
        sink();
      } catch (error) {
        spawn(function* () {
          begun++;
        });
        spawned++;
        throw error;
      }
    };
    yield* pause();
    try {
      sink();
    } catch (error) {
      t.type(error, RangeError);
    }
  });
  t.ok(spawned > 0);
  t.ok(begun >= spawned, `${begun} began of ${spawned}`);
});

t.test('a cancellation that the stack has no room for can be done again', async (t) => {
  // The frames in between decide where in the library the stack ends: functions of so many arguments.
  for (let size = 0; size < 40; size++) {
    const padding = Array.from({ length: size });
    const padded = new Function('call', ...padding.map((_, index) => `_${index}`), 'call()');
    let ended = 0;
    await run(() =>
      scope(function* (jobs) {
        for (let index = 0; index < 30; index++) {
          spawn(function* () {
            try {
              yield* suspend(() => () => {});
            } finally {
              ended++;
            }
          });
        }
        yield* pause();
        const sink = (): void => {
          try {
            sink();
          } catch (error) {
            try {
              padded(() => jobs.cancel(), ...padding);
            } catch {
              // The next call has more room.
            }
            throw error;
          }
        };
        t.throws(sink, RangeError);
        jobs.cancel();
      }),
    ).catch((error: unknown) => {
      const errors = flattened(error);
      // A hook that has overflowed the stack fails, as any that throws.
      t.ok(errors.every((one) => one instanceof CancelledError || one instanceof RangeError));
    });
    t.equal(ended, 30);
  }
});

t.test('onError, hooks and listeners run in the context of their coroutine', async (t) => {
  const store = new AsyncLocalStorage<string>();
  const id = local('none');
  const log: string[] = [];
  const note = (what: string): void => void log.push(`${what}: ${store.getStore()} ${id.get()}`);
  const stand = (name: string): (() => Co<void>) =>
    function* () {
      id.set(name);
      current().signal.addEventListener('abort', () => note(`${name}'s listener`));
      try {
        yield* select({ never, hook: suspend(() => () => note(`${name}'s hook`)) });
      } finally {
        yield* shield(() => sleep(1));
      }
    };
  await store.run('server', () =>
    run(
      function* () {
        id.set('server');
        const victim = store.run('victim', () => spawn(stand('victim'), { name: 'victim' }));
        store.run('failing', () =>
          spawn(
            function* () {
              id.set('failing');
              store.run('grandchild', () => spawn(stand('grandchild')));
              yield* sleep(1);
              throw new Error('failed');
            },
            { onError: () => note('onError of failing') },
          ),
        );
        const loser = store.run('select', () =>
          spawn(function* () {
            id.set('select');
            yield* select({ won: sleep(2), lost: suspend(() => () => note('hook that lost')) });
          }),
        );
        yield* loser.join();
        store.run('canceller', () => victim.cancel());
        yield* sleep(5);
      },
      { asyncContext: true },
    ),
  );
  t.strictSame(log.toSorted(), [
    "grandchild's hook: grandchild grandchild",
    "grandchild's listener: grandchild grandchild",
    'hook that lost: select select',
    'onError of failing: failing failing',
    "victim's hook: victim victim",
    "victim's listener: victim victim",
  ]);
});

t.test('many coroutines that fail as they unwind cost as many errors, and no more', async (t) => {
  const cost = async (count: number): Promise<number> => {
    const begun = process.cpuUsage();
    const error = await rejectionOf(
      run(() =>
        scope(function* (inner) {
          for (let index = 0; index < count; index++) {
            inner.spawn(function* () {
              try {
                yield* never;
              } catch {
                throw new Error(`cleanup ${index}`);
              }
            });
          }
          yield* pause();
          throw new Error('first');
        }),
      ),
    );
    t.equal((error as AggregateError).errors.length, count + 1);
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / count;
  };
  await cost(1_000);
  const few = await cost(4_000);
  const many = await cost(40_000);
  t.ok(many < few * 4, `each of 40,000 costs ${many.toFixed(1)} us, each of 4,000 ${few.toFixed(1)} us`);
});

t.test(
  'an operation that is stepped by hand, and waited for by nobody, takes nothing from others',
  async (t) => {
    await virtually(function* () {
      const news = new Channel<string>();
      const permits = new Semaphore(1);
      const permit = yield* permits.acquire();
      t.throws(() => [...news.receive()], { code: 'ERR_BUSY', message: /is yield\* missing\?/ });
      t.throws(() => Array.from(permits.acquire()), { code: 'ERR_BUSY' });
      t.throws(() => new Set(sleep(60_000)), { code: 'ERR_BUSY' });
      t.throws(() => [...select({ news: news.receive(), late: after(60_000) })], { code: 'ERR_BUSY' });
      let isDisarmed = false;
      t.throws(() => [...suspend(() => () => (isDisarmed = true))], { code: 'ERR_BUSY' });
      t.ok(isDisarmed);
      t.notOk(news.trySend('lost'), 'nobody receives');
      permit[Symbol.dispose]();
      yield* timeout(10, () => permits.acquire());
    });
  },
);

t.test('iterate closes its source when it is left by return', async (t) => {
  for (const isAsync of [false, true]) {
    let isClosed = false;
    const close = (): { done: true; value: undefined } => {
      isClosed = true;
      return { done: true, value: undefined };
    };
    const next = (): { done: false; value: number } => ({ done: false, value: 1 });
    const source = isAsync
      ? { [Symbol.asyncIterator]: () => ({ next: async () => next(), return: async () => close() }) }
      : { [Symbol.iterator]: () => ({ next, return: close }) };
    await virtually(function* () {
      for (const _ of iterate(source as Iterable<number>, () => sleep(60_000))) break;
      yield* pause();
    });
    t.ok(isClosed);
  }
});

t.test('a generator that performs operations is no source of items', async (t) => {
  function* source(): Co<void> {
    yield* sleep(1);
  }
  const items = source as unknown as () => Iterable<number>;
  const message = /has performed an operation: a generator that waits is no iterable/;
  t.match(await rejectionOf(virtually(() => forEach(items(), { concurrency: 1 }, () => sleep(1)))), {
    message,
  });
  t.match(await rejectionOf(virtually(() => iterate(items(), () => sleep(1)))), { message });
});

t.test('a cancelled error of the same name is told from an error', async (t) => {
  const error = await rejectionOf(
    run(function* (): Co<void> {
      throw new CancelledError('made by hand');
    }),
  );
  t.match(error, { name: 'AbortError', cause: 'made by hand' });
});
