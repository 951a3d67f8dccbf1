import t from 'tap';
import {
  CancelledError,
  type Co,
  current,
  pause,
  scope,
  sleep,
  spawn,
  suspend,
} from '../../../scheduler/index.ts';
import { forever, rejectionOf, virtually } from '../../support/scheduler/virtual.ts';

t.test('C4 cancelling disarms at once and queues the coroutine', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const child = spawn(function* () {
      try {
        yield* suspend<void>(() => () => log.push('disarmed'));
      } catch (error) {
        log.push((error as Error).name);
      }
    });
    yield* pause();
    child.cancel();
    log.push(child.state);
    yield* child.join();
  });
  t.strictSame(log, ['disarmed', 'ready', 'AbortError']);
});

t.test('C4 cancellation is thrown at any depth of yield* and passes a finally that yields', async (t) => {
  const log: string[] = [];
  function* inner(): Co<void> {
    try {
      yield* forever();
    } finally {
      log.push('inner');
      try {
        yield* sleep(1);
      } catch (error) {
        log.push((error as Error).name);
      }
    }
  }
  function* outer(): Co<void> {
    try {
      yield* inner();
      log.push('not reached');
    } finally {
      log.push('outer');
    }
  }
  await virtually(function* () {
    const child = spawn(outer);
    yield* pause();
    child.cancel();
  });
  t.strictSame(log, ['inner', 'AbortError', 'outer']);
});

t.test('C4 a CancelledError has a reason and no stack', async (t) => {
  const limit = Error.stackTraceLimit;
  const error = new CancelledError('because');
  t.equal(error.cause, 'because');
  t.equal(error.name, 'AbortError');
  t.equal(error.code, 'ABORT_ERR');
  t.notMatch(error.stack, /\n\s+at /);
  t.equal(Error.stackTraceLimit, limit);
  t.notOk('cause' in new CancelledError());
});

t.test('C5 a swallowed cancellation comes back at every later operation', async (t) => {
  let swallowed = 0;
  await virtually(function* () {
    const other = spawn(() => sleep(1));
    const child = spawn(function* () {
      while (swallowed < 5) {
        try {
          yield* [forever(), sleep(0), pause(), sleep(10), other.join()][swallowed]!;
          t.fail('an operation went through');
        } catch (error) {
          t.ok(error instanceof CancelledError);
          swallowed++;
        }
      }
      return 'ended by itself';
    });
    yield* pause();
    child.cancel();
    t.equal(child.cancelled, true);
    t.equal(yield* child.join(), 'ended by itself');
    t.equal(child.state, 'done');
  });
  t.equal(swallowed, 5);
});

t.test('C5 cancellation reaches every descendant and those born later', async (t) => {
  const log: string[] = [];
  function* leaf(name: string): Co<void> {
    try {
      yield* forever();
    } finally {
      log.push(name);
    }
  }
  await virtually(function* () {
    const top = spawn(function* () {
      spawn(() => leaf('child'));
      yield* scope(function* () {
        spawn(function* () {
          spawn(() => leaf('deep'));
        });
        try {
          yield* forever();
        } finally {
          spawn(() => leaf('born later'));
          t.ok(current().cancelled);
        }
      });
    });
    const other = spawn(() => sleep(5));
    yield* sleep(1);
    top.cancel();
    yield* sleep(1);
    t.equal(top.state, 'cancelled');
    t.equal(other.state, 'suspended', 'no one else is touched');
  });
  t.strictSame(log.toSorted(), ['born later', 'child', 'deep']);
});

t.test('C5 cancelling twice keeps the first reason', async (t) => {
  await virtually(function* () {
    const child = spawn(forever);
    yield* pause();
    child.cancel('first');
    child.cancel('second');
    const error = yield* caught(child);
    t.equal(error.cause, 'first');
  });
});

function* caught(target: { join(): ReturnType<typeof forever> }): Co<Error> {
  try {
    yield* target.join();
  } catch (error) {
    return error as Error;
  }
  throw new Error('join returned');
}

t.test('C5 a scope is cancelled without its surroundings', async (t) => {
  await virtually(function* () {
    try {
      yield* scope(function* (inner) {
        spawn(function* () {
          yield* sleep(1);
          inner.cancel('enough');
          t.equal(inner.cancelled, true);
        });
        yield* forever();
      });
      t.fail('scope returned');
    } catch (error) {
      t.ok(error instanceof CancelledError);
      t.equal((error as Error).cause, 'enough');
    }
    yield* sleep(1);
    t.equal(current().cancelled, false);
  });
});

t.test('C6 a result that has arrived wins over a cancellation that comes after it', async (t) => {
  const log: unknown[] = [];
  await virtually(function* () {
    let resume!: (error?: unknown, value?: string) => void;
    const child = spawn(function* () {
      log.push(
        yield* suspend<string>((give) => {
          resume = give;
          return () => log.push('taken back');
        }),
      );
      yield* sleep(0);
      log.push('not reached');
    });
    yield* pause();
    resume(null, 'result');
    child.cancel();
    yield* caught(child);
    t.equal(child.state, 'cancelled');
  });
  t.strictSame(log, ['result']);
});

t.test('C6 an error that has arrived wins, too', async (t) => {
  const failure = new Error('arrived');
  const errors: unknown[] = [];
  await virtually(function* () {
    let resume!: (error?: unknown) => void;
    const child = spawn(
      () =>
        suspend<void>((give) => {
          resume = give;
        }),
      { onError: (error) => errors.push(error) },
    );
    yield* pause();
    resume(failure);
    child.cancel();
    yield* sleep(1);
    t.equal(child.state, 'failed');
  });
  t.strictSame(errors, [failure]);
});

t.test('C6 one whom the end of another has woken gets its value though it is cancelled then', async (t) => {
  await virtually(function* () {
    const target = spawn(function* () {
      yield* sleep(5);
      return 42;
    });
    const watcher = spawn(function* () {
      yield* target.join();
      t.equal(joiner.state, 'ready', 'woken, and it has not run yet');
      joiner.cancel();
    });
    const joiner = spawn(function* () {
      return yield* target.join();
    });
    yield* watcher.join();
    t.equal(yield* joiner.join(), 42);
    t.equal(joiner.state, 'done');
  });
});

t.test('joiners that are cancelled leave the others in their order', async (t) => {
  for (const gone of [0, 1, 2, 3]) {
    const log: number[] = [];
    await virtually(function* () {
      const target = spawn(() => sleep(5));
      const joiners = [0, 1, 2, 3].map((index) =>
        spawn(function* () {
          yield* target.join();
          log.push(index);
        }),
      );
      yield* sleep(1);
      joiners[gone]!.cancel();
      yield* sleep(1);
      t.equal(joiners[gone]!.state, 'cancelled');
    });
    t.strictSame(
      log,
      [0, 1, 2, 3].filter((index) => index !== gone),
    );
  }
});

t.test('C8 cancelling oneself throws at the next operation', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const child = spawn(function* () {
      current().cancel();
      log.push('goes on');
      yield* sleep(0);
      log.push('not reached');
    });
    yield* caught(child);
    t.equal(child.state, 'cancelled');
  });
  t.strictSame(log, ['goes on']);
});

t.test('C8 cancelling oneself while an operation starts ends the wait', { timeout: 5000 }, async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const child = spawn(() =>
      suspend<void>(() => {
        child.cancel();
        return () => log.push('disarmed');
      }),
    );
    // Rescued by hand if it hangs, so that the test fails and the file goes on.
    yield* sleep(10);
    const { state } = child;
    t.equal(state, 'cancelled');
    if (state === 'suspended') child.interrupt();
  });
  t.strictSame(log, ['disarmed']);
});

t.test('C8 a coroutine that is cancelled before it started throws at its first operation', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const child = spawn(function* () {
      log.push('started');
      yield* sleep(0);
      log.push('not reached');
    });
    child.cancel();
    const simple = spawn(function* () {
      return 42;
    });
    simple.cancel();
    yield* caught(child);
    t.equal(yield* simple.join(), 42, 'a body without operations is not touched');
  });
  t.strictSame(log, ['started']);
});

t.test('C9 joining what was cancelled throws once and cancels nobody', async (t) => {
  await virtually(function* () {
    const child = spawn(forever);
    yield* pause();
    child.cancel('reason');
    const error = yield* caught(child);
    t.ok(error instanceof CancelledError);
    t.equal(error.cause, 'reason');
    yield* sleep(1);
    t.equal(current().cancelled, false);
  });
});

t.test('C9 a cancelled child is no error of its parent', async (t) => {
  const value = await virtually(function* () {
    const child = spawn(forever);
    yield* pause();
    child.cancel();
    yield* sleep(1);
    t.equal(child.state, 'cancelled');
    return 'unharmed';
  });
  t.equal(value, 'unharmed');
});

t.test('C9 a CancelledError that leaves one who is not cancelled is a failure', async (t) => {
  const error = await rejectionOf(
    virtually(function* () {
      const child = spawn(forever);
      const joiner = spawn(() => child.join());
      yield* pause();
      yield* pause();
      child.cancel();
      try {
        yield* sleep(5);
      } finally {
        t.equal(joiner.state, 'failed');
        t.equal(child.state, 'cancelled');
      }
    }),
  );
  t.ok(error instanceof CancelledError);
});

t.test('C9 another error that is thrown in cleanup is a failure', async (t) => {
  const failure = new Error('cleanup');
  const error = await rejectionOf(
    virtually(function* () {
      const child = spawn(function* () {
        try {
          yield* forever();
        } catch {
          throw failure;
        }
      });
      yield* pause();
      child.cancel();
    }),
  );
  t.equal(error, failure);
});

t.test('C11 a disarm hook that throws fails its coroutine, and the others are cancelled', async (t) => {
  const failure = new Error('hook');
  const states: string[] = [];
  await virtually(function* () {
    const jobs = spawn(
      function* () {
        const bad = spawn(() =>
          suspend<void>(() => () => {
            throw failure;
          }),
        );
        const good = spawn(forever);
        try {
          yield* forever();
        } finally {
          states.push(bad.state, good.state);
        }
      },
      { onError: (error) => t.equal(error, failure) },
    );
    yield* sleep(1);
    jobs.cancel();
    t.equal(yield* caught(jobs as never), failure);
    t.equal(jobs.state, 'failed');
  });
  t.strictSame(states, ['ready', 'ready']);
});

t.test('C11 disarm hooks run after the whole tree was marked', async (t) => {
  const seen: boolean[] = [];
  await virtually(function* () {
    const jobs = spawn(function* () {
      const hooked = (): Co<void> | ReturnType<typeof forever> =>
        suspend<void>(() => () => {
          for (const each of all) seen.push(each.cancelled);
        });
      const all = [jobs, spawn(hooked), spawn(hooked)];
      yield* forever();
    });
    yield* sleep(1);
    jobs.cancel();
  });
  t.strictSame(
    seen,
    Array.from({ length: 6 }, () => true),
  );
});

t.test('C11 a disarm hook may spawn into a scope that waits for its children', async (t) => {
  const log: string[] = [];
  await virtually(() =>
    scope(function* (jobs) {
      spawn(
        () =>
          suspend<void>(() => () => {
            jobs.spawn(function* () {
              log.push('spawned by a hook');
            });
          }),
        { daemon: true },
      );
      yield* sleep(1);
    }),
  );
  t.strictSame(log, ['spawned by a hook']);
});
