import t from 'tap';
import {
  CancelledError,
  Channel,
  type Co,
  Scheduler,
  scope,
  shield,
  sleep,
  spawn,
  timeout,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { everyPoint } from '../../support/scheduler/every-point.ts';
import { forever } from '../../support/scheduler/virtual.ts';

/** Waits for ever; when it is cut off, cleans up for some milliseconds. */
function* lingering(ms: number): Co<never> {
  try {
    yield* forever();
  } finally {
    yield* shield(() => sleep(ms));
  }
  throw new Error('not reached');
}

/** Throws what cuts it off, in words: "TimeoutError after 5". */
function* outcomeOf(clock: VirtualClock, body: Co<unknown>): Co<string> {
  try {
    return `${String(yield* body)} after ${clock.now()}`;
  } catch (error) {
    const { name, message, cause } = error as Error;
    return `${name} (${message}${cause === undefined ? '' : ` because ${String(cause)}`}) after ${clock.now()}`;
  }
}

function timed<T>(body: (clock: VirtualClock) => Co<T>): Promise<T> {
  const clock = new VirtualClock();
  return new Scheduler({ clock }).run(() => body(clock));
}

t.test('C10: an outer cancellation passes unchanged, also while the body unwinds', async (t) => {
  for (const [when, expected] of [
    [3, 'before the deadline'],
    [5, 'with it'],
    [8, 'in the cleanup that the deadline began'],
  ] as const) {
    await timed(function* () {
      const worker = spawn(() => timeout(5, () => lingering(10)), { onError: () => {} });
      yield* sleep(when);
      worker.cancel('outer');
      const error = yield* errorOf(worker.join());
      t.ok(error instanceof CancelledError, expected);
      t.equal(error.cause, 'outer', expected);
      t.equal(worker.state, 'cancelled');
    });
  }
});

t.test('C10: of nested timeouts, the one whose deadline comes first counts', async (t) => {
  await timed(function* (clock) {
    const log: string[] = [];
    function* nested(outer: number, inner: number, linger: number): Co<void> {
      const begun = clock.now();
      const ends = yield* outcomeOf(
        clock,
        timeout(outer, function* () {
          log.push(
            `inner: ${yield* outcomeOf(
              clock,
              timeout(inner, () => lingering(linger)),
            )}`,
          );
          yield* forever();
        }),
      );
      log.push(`outer: ${ends}, begun at ${begun}`);
    }
    yield* nested(20, 10, 1);
    yield* nested(10, 20, 1);
    yield* nested(10, 10, 1);
    yield* nested(20, 10, 15);
    t.strictSame(log, [
      'inner: TimeoutError (not done after 10 ms) after 11',
      'outer: TimeoutError (not done after 20 ms) after 20, begun at 0',
      'inner: AbortError (the operation was cancelled because TimeoutError: not done after 10 ms) after 31',
      'outer: TimeoutError (not done after 10 ms) after 31, begun at 20',
      'inner: AbortError (the operation was cancelled because TimeoutError: not done after 10 ms) after 42',
      'outer: TimeoutError (not done after 10 ms) after 42, begun at 31',
      'inner: AbortError (the operation was cancelled because TimeoutError: not done after 20 ms) after 67',
      'outer: TimeoutError (not done after 20 ms) after 67, begun at 42',
    ]);
  });
});

t.test('C10: deadlines that come in one moment from different times are the outer one', async (t) => {
  await timed(function* () {
    const log: string[] = [];
    const error = yield* errorOf(
      timeout(10, function* () {
        yield* sleep(4);
        try {
          yield* timeout(6, forever);
        } catch (inner) {
          log.push((inner as Error).name);
          throw inner;
        }
      }),
    );
    t.strictSame(log, ['AbortError']);
    t.equal(error.message, 'not done after 10 ms');
  });
});

t.test(
  'C10: when both deadlines were slept through, both cut off and the outer error is thrown',
  async (t) => {
    // The thread was held: the alarm comes late, for the inner deadline and then for the outer one.
    class Late extends VirtualClock {
      override setAlarm(deadline: number, onAlarm: () => void): void {
        super.setAlarm(deadline === Infinity ? deadline : deadline + 100, onAlarm);
      }
    }
    await new Scheduler({ clock: new Late() }).run(function* () {
      const seen: unknown[] = [];
      const error = yield* errorOf(
        timeout(7, () =>
          timeout(5, function* () {
            seen.push((yield* errorOf(forever())).cause);
            yield* forever();
          }),
        ),
      );
      t.match(seen, [{ message: 'not done after 5 ms' }]);
      t.match(error, { name: 'TimeoutError', message: 'not done after 7 ms' });
    });
  },
);

t.test(
  'C10: a timeout whose scope was cancelled by hand is none, however long the cleanup takes',
  async (t) => {
    await timed(function* (clock) {
      const error = yield* errorOf(
        timeout(5, function* () {
          // A child's parent is the scope of the timeout.
          const child = spawn(() => sleep(2));
          const { parent } = child;
          spawn(function* () {
            yield* child.join();
            parent?.cancel('enough');
          });
          yield* lingering(10);
        }),
      );
      t.match(error, { name: 'AbortError', cause: 'enough' });
      t.equal(clock.now(), 12);
    });
  },
);

t.test('C6: a timeout that is cancelled at any point ends, and leaves nothing armed', async (t) => {
  const endings = new Set<string>();
  function* program(): Co<string> {
    const jobs = new Channel<number>();
    const inner = yield* errorOf(
      scope(function* () {
        spawn(() => jobs.send(1), { daemon: true });
        yield* timeout(10, function* () {
          yield* jobs.receive();
          yield* timeout(3, () => lingering(2));
        });
      }),
    );
    if (inner instanceof CancelledError) throw inner;
    return inner.message;
  }
  const { failures, points } = await everyPoint(() => ({
    victims: [program],
    verify([ending]) {
      endings.add('value' in ending! ? (ending.value as string) : (ending!.error as Error).name);
      return undefined;
    },
  }));
  t.strictSame(failures, []);
  t.ok(points >= 8, `${points} points`);
  t.strictSame([...endings].toSorted(), ['AbortError', 'not done after 3 ms']);
});
