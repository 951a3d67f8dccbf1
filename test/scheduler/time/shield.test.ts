import t from 'tap';
import {
  CancelledError,
  Channel,
  type Co,
  type Coroutine,
  current,
  pause,
  Scheduler,
  scope,
  type Scope,
  shield,
  sleep,
  spawn,
  timeout,
  TimeoutError,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { everyPoint } from '../../support/scheduler/every-point.ts';
import { forever, rejectionOf, virtually } from '../../support/scheduler/virtual.ts';

/** Runs a body in a coroutine that is cancelled after a millisecond; its errors are the test's to look at. */
function* cancelled<T>(body: () => Co<T>): Co<Coroutine<T>> {
  const worker = spawn(body, { onError: () => {} });
  yield* sleep(1);
  worker.cancel('outside');
  return worker;
}

t.test('C5: cancelling stops at a shield, and what is below it goes on', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const worker = yield* cancelled(function* () {
      yield* shield(function* () {
        spawn(function* () {
          yield* scope(function* (deep) {
            yield* sleep(5);
            log.push(`grandchild ${deep.cancelled}`);
          });
        });
        yield* sleep(3);
        t.equal(current().cancelled, true, 'the coroutine itself is cancelled');
        log.push('body');
      });
      log.push('behind it');
      yield* sleep(0);
      log.push('not reached');
    });
    t.equal(worker.state, 'suspended');
    const error = yield* errorOf(worker.join());
    t.match(error, { name: 'AbortError', cause: 'outside' });
    t.equal(worker.state, 'cancelled');
  });
  t.strictSame(log, ['body', 'grandchild false', 'behind it']);
});

t.test('C5: what stands beside a shield in the cancelled tree is reached', async (t) => {
  const log: string[] = [];
  function* watched(name: string): Co<void> {
    try {
      yield* sleep(5);
      log.push(`${name} ended`);
    } catch {
      log.push(`${name} cut off`);
    }
  }
  await virtually(function* () {
    yield* cancelled(function* () {
      spawn(() => watched('elder'));
      spawn(() => shield(() => watched('shielded')));
      spawn(() => scope(() => watched('scoped')));
      spawn(() => watched('younger'));
      yield* shield(() => watched('body'));
    });
  });
  t.strictSame(log.slice(0, 3).toSorted(), ['elder cut off', 'scoped cut off', 'younger cut off']);
  t.strictSame(log.slice(3).toSorted(), ['body ended', 'shielded ended']);
});

t.test('C7: finally cleans up with operations in a shield; after it the next one throws', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const worker = yield* cancelled(function* () {
      try {
        yield* forever();
      } finally {
        log.push(yield* shield(goodbye));
        log.push((yield* errorOf(sleep(0))).name);
        log.push(yield* shield(goodbye));
        log.push((yield* errorOf(pause())).name);
      }
    });
    t.match(yield* errorOf(worker.join()), { cause: 'outside' });
  });
  t.strictSame(log, ['goodbye', 'AbortError', 'goodbye', 'AbortError']);
});

function* goodbye(): Co<string> {
  const line = new Channel<string>();
  const peer = spawn(() => line.send('goodbye'));
  yield* sleep(1);
  const said = yield* line.receive();
  yield* peer.join();
  return String(said);
}

t.test('C7: children that are spawned in a shield are shielded and waited for', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const worker = yield* cancelled(function* () {
      try {
        yield* forever();
      } finally {
        yield* shield(function* () {
          for (const ms of [2, 1]) {
            spawn(function* () {
              yield* sleep(ms);
              log.push(`child ${ms} ${current().cancelled}`);
              spawn(() => sleep(5));
            });
          }
        });
        log.push('shield ended');
      }
    });
    yield* errorOf(worker.join());
  });
  t.strictSame(log, ['child 1 false', 'child 2 false', 'shield ended']);
});

t.test('C7: a shield may bear a timeout, which throws a TimeoutError', async (t) => {
  const clock = new VirtualClock();
  await new Scheduler({ clock }).run(function* () {
    const seen: unknown[] = [];
    const worker = yield* cancelled(function* () {
      try {
        yield* forever();
      } finally {
        try {
          yield* shield(
            function* () {
              const child = spawn(forever);
              seen.push((yield* errorOf(child.join())).cause);
              yield* forever();
            },
            { timeout: 5 },
          );
        } catch (error) {
          seen.push(error);
        }
      }
    });
    yield* errorOf(worker.join());
    t.equal(clock.now(), 6);
    t.equal(worker.state, 'cancelled');
    t.match(seen[1], { name: 'TimeoutError', message: 'not done after 5 ms' });
    t.equal(seen[0], seen[1], 'it is the cause inside');
    for (const options of [{}, { timeout: undefined }, { timeout: Infinity }, { timeout: 10 }]) {
      t.equal(yield* shield(goodbye, options), 'goodbye');
    }
    t.ok((yield* errorOf(shield(forever, { timeout: 0 }))) instanceof TimeoutError);
  });
});

t.test(
  'C7: a TimeoutError that leaves a finally replaces the cancellation and fails the coroutine',
  async (t) => {
    const error = await rejectionOf(
      virtually(function* () {
        const worker = spawn(function* () {
          try {
            yield* forever();
          } finally {
            yield* shield(forever, { timeout: 5 });
          }
        });
        yield* sleep(1);
        worker.cancel();
      }),
    );
    t.ok(error instanceof TimeoutError);
  },
);

t.test(
  'C7: a timeout inside a shield works in a cancelled coroutine, one outside does not reach in',
  async (t) => {
    const clock = new VirtualClock();
    await new Scheduler({ clock }).run(function* () {
      const log: string[] = [];
      const worker = yield* cancelled(() =>
        shield(function* () {
          yield* sleep(1);
          log.push((yield* errorOf(timeout(5, forever))).name);
        }),
      );
      yield* worker.join();
      t.equal(clock.now(), 6);
      const error = yield* errorOf(
        timeout(5, function* () {
          yield* shield(() => sleep(20), { timeout: 30 });
          log.push(`shield ended after ${clock.now()}`);
          yield* sleep(0);
        }),
      );
      t.match(error, { message: 'not done after 5 ms' });
      const value = yield* timeout(5, () =>
        shield(function* () {
          yield* sleep(20);
          return 'took its time';
        }),
      );
      t.equal(value, 'took its time', 'nothing was cut off');
      t.strictSame(log, ['TimeoutError', 'shield ended after 26']);
    });
  },
);

t.test('C7: shields inside each other: each keeps away only what comes from outside of it', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const worker = yield* cancelled(() =>
      shield(
        function* () {
          try {
            yield* shield(function* () {
              yield* sleep(10);
              log.push('inner ended');
            });
            yield* sleep(0);
            log.push('not reached');
          } catch (error) {
            log.push(`outer cut off: ${(error as Error).cause}`);
            throw error;
          }
        },
        { timeout: 5 },
      ),
    );
    log.push((yield* errorOf(worker.join())).name);
  });
  t.strictSame(log, ['inner ended', 'outer cut off: TimeoutError: not done after 5 ms', 'TimeoutError']);
});

t.test('C5: what stands in a shield can be cancelled by itself, and by its own scope', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const worker = yield* cancelled(() =>
      shield(function* () {
        const child = spawn(forever);
        yield* sleep(3);
        child.cancel('by name');
        log.push(String((yield* errorOf(child.join())).cause));
        // The own scope of a shield is reached through what is spawned in it.
        const own = spawn(() => sleep(1)).parent as Scope;
        const sibling = spawn(forever);
        own.cancel('by its scope');
        t.equal(sibling.state, 'ready');
        t.equal(own.cancelled, true);
        log.push(String((yield* errorOf(sleep(0))).cause));
        yield* sleep(0);
      }),
    );
    const error = yield* errorOf(worker.join());
    t.ok(error instanceof CancelledError);
    log.push(String(error.cause));
  });
  t.strictSame(log, ['by name', 'by its scope', 'by its scope']);
});

t.test('C8: cancelling oneself inside a shield takes effect after it', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const worker = spawn(function* () {
      yield* shield(function* () {
        current().cancel('oneself');
        yield* sleep(1);
        log.push('inside');
      });
      log.push('behind');
      yield* pause();
      log.push('not reached');
    });
    t.match(yield* errorOf(worker.join()), { cause: 'oneself' });
  });
  t.strictSame(log, ['inside', 'behind']);
});

t.test(
  'C2: a child that fails in a shield cancels what is inside, and its error leaves the shield',
  async (t) => {
    const failure = new Error('child');
    await virtually(function* () {
      const worker = yield* cancelled(() =>
        shield(function* () {
          spawn(function* () {
            yield* sleep(3);
            throw failure;
          });
          yield* forever();
        }),
      );
      t.equal(yield* errorOf(worker.join()), failure);
      t.equal(worker.state, 'failed');
    });
  },
);

t.test('C9: a body in a shield that had returned keeps its value in a cancelled coroutine', async (t) => {
  await virtually(function* () {
    const worker = yield* cancelled(() => shield(goodbye));
    t.equal(yield* worker.join(), 'goodbye');
    t.equal(worker.state, 'done');
    t.equal(worker.cancelled, true);
  });
});

t.test('C3: daemons in a shield end with it', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    yield* shield(function* () {
      spawn(
        function* () {
          try {
            yield* forever();
          } finally {
            log.push('daemon cut off');
          }
        },
        { daemon: true },
      );
      yield* sleep(1);
    });
    log.push('shield ended');
  });
  t.strictSame(log, ['daemon cut off', 'shield ended']);
});

t.test(
  'C7: cleanup in a shield is done entirely, at whatever point its coroutine is cancelled',
  async (t) => {
    let log: string[] = [];
    let shieldSteps = 0;
    function* program(): Co<void> {
      log = [];
      try {
        yield* sleep(3);
        yield* goodbye();
        log.push('worked');
      } finally {
        log.push(yield* shield(goodbye, { timeout: 100 }));
        shieldSteps++;
      }
      yield* sleep(0);
    }
    const { failures } = await everyPoint(() => {
      log = ['not begun'];
      return {
        victims: [program],
        verify([ending]) {
          const expected = 'value' in ending! ? 'worked goodbye' : /^(not begun|(worked )?goodbye)$/;
          const text = log.join(' ');
          return text.match(expected)?.[0] === text ? undefined : `did ${text}`;
        },
      };
    });
    t.strictSame(failures, []);
    t.ok(shieldSteps > 10);
  },
);
