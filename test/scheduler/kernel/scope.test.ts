import t from 'tap';
import {
  CancelledError,
  ClosedError,
  type Co,
  type Coroutine,
  current,
  DeadlockError,
  pause,
  scope,
  type Scope,
  sleep,
  spawn,
  suspend,
} from '../../../scheduler/index.ts';
import { forever, rejectionOf, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

/** A coroutine that fails with the error after some milliseconds. */
function failing(error: unknown, ms = 1): () => Co<never> {
  return function* () {
    yield* sleep(ms);
    throw error;
  };
}

t.test('C1 a coroutine ends after its children, and join returns after that', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const parent = spawn(function* () {
      spawn(function* () {
        yield* sleep(10);
        log.push('child');
      });
      log.push('body');
      return 42;
    });
    yield* sleep(1);
    t.equal(parent.state, 'suspended');
    t.equal(parent.describe(), 'waiting for a child');
    t.equal(yield* parent.join(), 42);
    log.push('joined');
    t.equal(parent.state, 'done');
    t.equal(parent.describe(), undefined);
  });
  t.strictSame(log, ['body', 'child', 'joined']);
});

t.test("C1 join throws a child's error even when the body had returned", async (t) => {
  const failure = new Error('child');
  await virtually(function* () {
    const parent = spawn(
      function* () {
        spawn(failing(failure));
        return 42;
      },
      { onError: () => {} },
    );
    try {
      yield* parent.join();
      t.fail('join returned');
    } catch (error) {
      t.equal(error, failure);
    }
    t.equal(parent.state, 'failed');
  });
});

t.test('C1 the wait for children cannot be cancelled, but the children can', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const parent = spawn(function* () {
      spawn(function* () {
        try {
          yield* forever();
        } finally {
          log.push('child cut off');
        }
      });
      return 'kept';
    });
    yield* pause();
    yield* pause();
    parent.cancel();
    t.equal(parent.state, 'suspended');
    t.equal(yield* parent.join(), 'kept');
  });
  t.strictSame(log, ['child cut off']);
});

t.test('C1 spawn goes into the innermost open scope', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    yield* scope(function* () {
      spawn(function* () {
        yield* sleep(5);
        log.push('inner');
      });
      yield* scope(function* () {
        spawn(function* () {
          yield* sleep(3);
          log.push('innermost');
        });
      });
      log.push('innermost scope ended');
    });
    log.push('inner scope ended');
    spawn(function* () {
      log.push('outer');
    });
  });
  t.strictSame(log, ['innermost', 'innermost scope ended', 'inner', 'inner scope ended', 'outer']);
});

t.test('C1 spawn into an ended scope is a ClosedError', async (t) => {
  let ended!: Scope;
  await virtually(function* () {
    yield* scope(function* (inner) {
      ended = inner;
    });
    t.match(
      thrownBy(() => ended.spawn(() => sleep(0))),
      { name: 'ClosedError', code: 'ERR_CLOSED' },
    );
    const child = spawn(function* () {});
    yield* child.join();
    t.throws(() => child.spawn(() => sleep(0)), ClosedError);
    child.cancel();
    t.equal(child.cancelled, false, 'cancelling what has ended does nothing');
  });
});

t.test('C1 a callback spawns through the scope while it is open', async (t) => {
  const log: string[] = [];
  await virtually(() =>
    scope(function* (jobs) {
      yield* suspend<void>((resume) => {
        setImmediate(() => {
          jobs.spawn(function* () {
            log.push('from a callback');
          });
          resume();
        });
      });
      log.push('body');
    }),
  );
  t.strictSame(log.toSorted(), ['body', 'from a callback']);
});

t.test('C1 100,000 nested spawns end without overflow', async (t) => {
  const depth = 100_000;
  let deepest = 0;
  function* nest(level: number): Co<void> {
    deepest = level;
    if (level < depth) spawn(() => nest(level + 1));
  }
  await virtually(() => nest(1));
  t.equal(deepest, depth);
});

t.test('C1 100,000 nested coroutines are cancelled without overflow', async (t) => {
  const depth = 100_000;
  let cut = 0;
  function* nest(level: number): Co<void> {
    if (level < depth) spawn(() => nest(level + 1));
    try {
      yield* forever();
    } finally {
      cut++;
    }
  }
  await virtually(function* () {
    const top = spawn(() => nest(1));
    yield* sleep(1);
    top.cancel();
  });
  t.equal(cut, depth);
});

t.test('C2 a failing child gives its error to its joiners, then cancels siblings and body', async (t) => {
  const failure = new Error('child');
  const log: string[] = [];
  const error = await rejectionOf(
    virtually(function* () {
      const child = spawn(failing(failure));
      spawn(function* () {
        try {
          yield* sleep(1000);
        } catch (thrown) {
          t.ok(thrown instanceof CancelledError);
          t.equal((thrown as CancelledError).cause, failure, 'the reason is the error');
          log.push('sibling');
        }
      });
      try {
        yield* child.join();
      } catch (thrown) {
        t.equal(thrown, failure);
        log.push('joined');
      }
      try {
        yield* sleep(1000);
      } catch (thrown) {
        t.ok(thrown instanceof CancelledError, 'the one who caught it is cancelled all the same');
        log.push('body');
        throw thrown;
      }
    }),
  );
  t.equal(error, failure);
  t.strictSame(log, ['joined', 'body', 'sibling']);
});

t.test('C2 the error is thrown after all have ended', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    try {
      yield* scope(function* () {
        spawn(failing(new Error('first')));
        spawn(function* () {
          try {
            yield* forever();
          } finally {
            log.push('cleanup');
          }
        });
        yield* forever();
      });
    } catch (error) {
      log.push((error as Error).message);
    }
    yield* sleep(1);
    log.push('the outer scope goes on');
  });
  t.strictSame(log, ['cleanup', 'first', 'the outer scope goes on']);
});

t.test('C2 several errors become an AggregateError in the order of their coming', async (t) => {
  const errors = [new Error('one'), new Error('two'), new Error('three')];
  const error = await rejectionOf(
    virtually(function* () {
      for (const each of errors) spawn(failing(each));
      yield* forever();
    }),
  );
  t.ok(error instanceof AggregateError);
  t.strictSame((error as AggregateError).errors, errors);
  t.match(error.message, /^3 coroutines/);
});

t.test('C2 the same error twice counts once', async (t) => {
  const failure = new Error('shared');
  const error = await rejectionOf(
    virtually(function* () {
      const child = spawn(failing(failure));
      spawn(failing(failure));
      yield* child.join();
    }),
  );
  t.equal(error, failure);
});

t.test('C2 the same AggregateError twice counts once', async (t) => {
  const errors = [new Error('one'), new Error('two')];
  const error = await rejectionOf(
    virtually(function* () {
      const child = spawn(function* () {
        for (const each of errors) spawn(failing(each));
      });
      yield* child.join();
    }),
  );
  t.ok(error instanceof AggregateError);
  t.strictSame((error as AggregateError).errors, errors);
});

t.test('C2 whatever is thrown is an error, undefined too', async (t) => {
  const outcome = await virtually(function* () {
    spawn(failing(undefined));
    yield* forever();
  }).then(
    () => 'fulfilled',
    (error: unknown) => ({ error }),
  );
  t.strictSame(outcome, { error: undefined });
});

t.test('C2a with onError the error goes there and no further', async (t) => {
  const log: unknown[] = [];
  await virtually(function* () {
    const child = spawn(failing('reset'), { onError: (error) => log.push(error) });
    spawn(function* () {
      yield* sleep(5);
      log.push('sibling');
    });
    try {
      yield* child.join();
    } catch (error) {
      log.push(`joined: ${String(error)}`);
    }
    t.equal(child.state, 'failed');
    yield* sleep(10);
    log.push('body');
  });
  t.strictSame(log, ['reset', 'joined: reset', 'sibling', 'body']);
});

t.test("C2a an error thrown in onError is the child's", async (t) => {
  const failure = new Error('in onError');
  let joined: unknown;
  const error = await rejectionOf(
    virtually(function* () {
      const child = spawn(failing(new Error('first')), {
        onError: () => {
          throw failure;
        },
      });
      try {
        yield* child.join();
      } catch (thrown) {
        joined = thrown;
      }
    }),
  );
  t.equal(error, failure);
  t.equal(joined, failure);
});

t.test('C2a onError is not called for one that ends well or is cancelled', async (t) => {
  let calls = 0;
  await virtually(function* () {
    const onError = (): void => void calls++;
    spawn(() => sleep(1), { onError });
    const cancelled = spawn(forever, { onError });
    yield* pause();
    cancelled.cancel();
    yield* sleep(5);
    t.equal(cancelled.state, 'cancelled');
  });
  t.equal(calls, 0);
});

t.test('C3 daemons are cancelled when body and all others have ended, and waited for', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const daemon = spawn(
      function* () {
        try {
          for (;;) {
            yield* sleep(2);
            log.push('tick');
          }
        } finally {
          log.push('daemon cut off');
        }
      },
      { daemon: true },
    );
    spawn(function* () {
      yield* sleep(5);
      log.push('child');
    });
    log.push(`body, daemon ${daemon.state}`);
  });
  t.strictSame(log, ['body, daemon ready', 'tick', 'tick', 'child', 'daemon cut off']);
});

t.test('C3 a scope that has only daemons left keeps the value of its body', async (t) => {
  const value = await virtually(function* () {
    const inner = yield* scope(function* () {
      spawn(forever, { daemon: true });
      yield* sleep(1);
      return 42;
    });
    yield* sleep(1);
    return inner;
  });
  t.equal(value, 42);
});

t.test("C3 a daemon's error counts like any child's", async (t) => {
  const failure = new Error('daemon');
  const first = virtually(function* () {
    spawn(failing(failure), { daemon: true });
    yield* forever();
  });
  t.equal(await rejectionOf(first), failure);
  const cleanup = virtually(function* () {
    spawn(
      function* () {
        try {
          yield* forever();
        } finally {
          // oxlint-disable-next-line no-unsafe-finally -- an error of the cleanup is what is tried
          throw failure;
        }
      },
      { daemon: true },
    );
    yield* sleep(1);
    return 42;
  });
  t.equal(await rejectionOf(cleanup), failure);
});

t.test('scope gives what its body returns and throws what it throws', async (t) => {
  await virtually(function* () {
    t.equal(
      yield* scope(function* () {
        return 42;
      }),
      42,
    );
    t.equal(yield* scope(() => suspend<string>((resume) => resume(null, 'value'))), 'value');
    const failure = new Error('body');
    try {
      yield* scope(failing(failure));
      t.fail('scope returned');
    } catch (error) {
      t.equal(error, failure);
    }
  });
});

t.test('scope needs a running coroutine', async (t) => {
  const generator = scope(function* () {});
  t.match(
    thrownBy(() => generator.next()),
    { name: 'TypeError', message: /^scope needs a running/ },
  );
});

t.test('scope describes its wait for children', async (t) => {
  await virtually(function* () {
    const parent: Coroutine<void> = spawn(() =>
      scope(function* () {
        spawn(() => sleep(5));
        spawn(() => sleep(5), { daemon: true });
      }),
    );
    yield* sleep(1);
    t.equal(parent.describe(), 'waiting for 2 children');
    parent.cancel();
    t.equal(parent.state, 'suspended', 'that wait cannot be cancelled');
    yield* parent.join();
    t.equal(parent.state, 'done');
    t.equal(current().state, 'running');
  });
});

t.test('C8 joining oneself or an ancestor is a DeadlockError', async (t) => {
  await virtually(function* () {
    const root = current();
    function* caught(target: Coroutine<unknown>): Co<string> {
      try {
        yield* target.join();
      } catch (error) {
        t.ok(error instanceof DeadlockError);
        return (error as Error).message;
      }
      return 'joined';
    }
    t.match(yield* caught(root), /joins itself/);
    const child = spawn(function* child() {
      yield* scope(function* () {
        spawn(function* grandchild() {
          t.match(yield* caught(root), /^grandchild joins its ancestor/);
          const sibling = spawn(() => sleep(1));
          t.equal(yield* caught(sibling), 'joined', 'a child can be joined');
        });
      });
    });
    yield* child.join();
    t.equal(yield* caught(child), 'joined');
  });
});
