import t from 'tap';
import {
  after,
  Channel,
  type Co,
  current,
  type Operation,
  pause,
  run,
  Scheduler,
  scope,
  shield,
  sleep,
  spawn,
  suspend,
  timeout,
  TimeoutError,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { Timer } from '../../../scheduler/kernel/timers.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, rejectionOf, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

function timed<T>(body: (clock: VirtualClock) => Co<T>): Promise<T> {
  const clock = new VirtualClock();
  return new Scheduler({ clock }).run(() => body(clock));
}

t.test('C10: a body that is not done when its deadline comes is cut off with a TimeoutError', async (t) => {
  const log: string[] = [];
  await timed(function* (clock) {
    const error = yield* errorOf(
      timeout(5, function* () {
        try {
          yield* sleep(10);
        } finally {
          log.push('cleaned up');
        }
      }),
    );
    t.match(error, { name: 'TimeoutError', code: 'ERR_TIMEOUT', message: 'not done after 5 ms' });
    t.ok(error instanceof TimeoutError);
    t.equal(clock.now(), 5);
    t.equal(current().cancelled, false, 'who waited goes on');
    yield* sleep(1);
  });
  t.strictSame(log, ['cleaned up']);
});

t.test('C10: a body that is done in time gives its value, and its timer is gone', async (t) => {
  const scheduler = new Scheduler({ clock: new VirtualClock() });
  await scheduler.run(function* () {
    t.equal(
      yield* timeout(5, function* () {
        yield* sleep(4);
        t.equal(scheduler.timers.live, 1);
        return 42;
      }),
      42,
    );
    t.equal(scheduler.timers.live, 0);
    const failure = new Error('body');
    t.equal(
      yield* errorOf(
        timeout(5, function* () {
          throw failure;
        }),
      ),
      failure,
    );
    t.equal(scheduler.timers.live, 0);
    t.equal(
      yield* timeout(5, () => suspend<string>((resume) => resume(null, 'an operation'))),
      'an operation',
    );
    yield* sleep(10);
  });
});

t.test('C6: a result that came in the moment of the deadline, and before it, stands', async (t) => {
  const scheduler = new Scheduler({ clock: new VirtualClock() });
  for (const isFirst of [true, false]) {
    await scheduler.run(function* () {
      let resume!: (error?: unknown, value?: string) => void;
      const timer = new Timer(scheduler.timers, () => resume(null, 'there'));
      if (isFirst) timer.start(5);
      const body = (): Operation<string> => suspend((give) => void (resume = give));
      const waits = spawn(() => timeout(5, body), { onError: () => {} });
      yield* pause();
      if (!isFirst) timer.start(5);
      if (isFirst) t.equal(yield* waits.join(), 'there');
      else t.match(yield* errorOf(waits.join()), { message: 'not done after 5 ms' });
    });
  }
});

t.test('C10: in cleanup the cause of the CancelledError is the TimeoutError', async (t) => {
  const causes: unknown[] = [];
  let child: unknown;
  await timed(function* () {
    const error = yield* errorOf(
      timeout(5, function* () {
        spawn(function* () {
          child = (yield* errorOf(forever())).cause;
        });
        for (let count = 0; count < 2; count++) causes.push((yield* errorOf(forever())).cause);
        yield* forever();
      }),
    );
    t.ok(error instanceof TimeoutError);
    t.strictSame(causes, [error, error]);
    t.equal(causes[0], error, 'the very same');
    t.equal(child, error);
  });
});

t.test('C10: a value that is returned after swallowing stands', async (t) => {
  await timed(function* (clock) {
    const value = yield* timeout(5, function* () {
      yield* errorOf(forever());
      return 'made do';
    });
    t.equal(value, 'made do');
    t.equal(clock.now(), 5);
    yield* sleep(1);
  });
});

t.test('C10: an error that is thrown in cleanup replaces it, of the body or of a child', async (t) => {
  const failure = new Error('cleanup');
  function* failing(): Co<void> {
    try {
      yield* forever();
    } finally {
      // oxlint-disable-next-line no-unsafe-finally -- an error of the cleanup is what is tried
      throw failure;
    }
  }
  await timed(function* () {
    t.equal(yield* errorOf(timeout(5, failing)), failure);
    t.equal(
      yield* errorOf(
        timeout(5, function* () {
          spawn(failing);
          yield* forever();
        }),
      ),
      failure,
    );
    const wrapped = yield* errorOf(
      timeout(5, function* () {
        const { cause } = yield* errorOf(forever());
        throw new Error('no answer', { cause });
      }),
    );
    t.equal(wrapped.message, 'no answer');
    t.ok(wrapped.cause instanceof TimeoutError);
    t.ok((yield* errorOf(timeout(5, rethrowCause))) instanceof TimeoutError);
  });
});

function* rethrowCause(): Co<never> {
  throw (yield* errorOf(forever())).cause;
}

t.test('T1: zero and less are deadlines that have passed; the first operation throws', async (t) => {
  for (const ms of [0, -0, -1, -Infinity]) {
    const log: string[] = [];
    await timed(function* (clock) {
      const error = yield* errorOf(
        timeout(ms, function* () {
          log.push('begun');
          yield* sleep(0);
          log.push('not reached');
        }),
      );
      t.ok(error instanceof TimeoutError);
      t.equal(clock.now(), 0);
      t.equal(yield* timeout(ms, noOperation), 'no operation');
      const child = yield* errorOf(
        timeout(ms, function* () {
          spawn(() => forever());
          yield* forever();
        }),
      );
      t.ok(child instanceof TimeoutError);
    });
    t.strictSame(log, ['begun']);
  }
});

function* noOperation(): Co<string> {
  return 'no operation';
}

t.test('T1: a deadline is absolute: what the body waits for does not push it back', async (t) => {
  await timed(function* (clock) {
    const news = new Channel<number>();
    spawn(
      function* () {
        for (let count = 0; ; count++) {
          yield* sleep(3);
          yield* news.send(count);
        }
      },
      { daemon: true },
    );
    const error = yield* errorOf(
      timeout(10, function* () {
        for (;;) yield* news.receive();
      }),
    );
    t.ok(error instanceof TimeoutError);
    t.equal(clock.now(), 10);
  });
});

t.test('T5: a timeout of more than 2^31-1 ms comes in its time; Infinity is none', async (t) => {
  const scheduler = new Scheduler({ clock: new VirtualClock() });
  await scheduler.run(function* () {
    const ms = 2 ** 32 + 5;
    const late = after(ms - 1);
    let isEarly = false;
    spawn(function* () {
      yield* late;
      isEarly = true;
    });
    t.match(yield* errorOf(timeout(ms, forever)), { message: `not done after ${ms} ms` });
    t.equal(isEarly, true);
    t.equal(scheduler.clock.now(), ms);
    yield* timeout(Infinity, function* () {
      yield* pause();
      t.equal(scheduler.timers.live, 0, 'no timer is armed for it');
    });
  });
});

t.test('T5: the timer of a long timeout does not go off at once on the clock of the system', async (t) => {
  await run(() => timeout(2 ** 31 + 1000, () => sleep(3)));
  t.pass();
});

t.test('timeout and shield refuse what is no number, when they are called', async (t) => {
  for (const [ms, words] of [
    [Number.NaN, 'NaN'],
    ['5', '"5"'],
    [undefined, 'undefined'],
    [null, 'null'],
  ] as const) {
    t.match(
      thrownBy(() => timeout(ms as number, noOperation)),
      { name: 'TypeError', message: `timeout expects milliseconds, got ${words}` },
    );
    if (ms === undefined) continue;
    t.match(
      thrownBy(() => shield(noOperation, { timeout: ms as number })),
      { name: 'TypeError', message: `shield expects milliseconds, got ${words}` },
    );
  }
  for (const [name, made] of Object.entries({
    timeout: timeout(5, noOperation),
    shield: shield(noOperation),
  })) {
    t.match(
      thrownBy(() => made.next()),
      { name: 'TypeError', message: `${name} needs a running coroutine: call it inside of run` },
    );
  }
});

t.test('C1: children of the body that outlive it are waited for and cut off by the deadline', async (t) => {
  const log: string[] = [];
  await timed(function* (clock) {
    const value = yield* timeout(10, function* () {
      spawn(function* () {
        try {
          yield* forever();
        } finally {
          log.push(`child cut off after ${clock.now()}`);
        }
      });
      spawn(() => sleep(3));
      return 'returned before';
    });
    t.equal(value, 'returned before', 'the body was not cut off');
    log.push(`timeout ended after ${clock.now()}`);
  });
  t.strictSame(log, ['child cut off after 10', 'timeout ended after 10']);
});

t.test('C2: a child that fails ends the timeout with its error, before the deadline', async (t) => {
  const failure = new Error('child');
  const error = await rejectionOf(
    timed(function* (clock) {
      try {
        yield* timeout(10, function* () {
          spawn(function* () {
            yield* sleep(2);
            throw failure;
          });
          yield* forever();
        });
      } finally {
        t.equal(clock.now(), 2);
      }
    }),
  );
  t.equal(error, failure);
});

t.test("the stack of a TimeoutError names the user's line", async (t) => {
  function* askTheOracle(): Co<void> {
    yield* timeout(5, forever);
  }
  const error = await rejectionOf(
    virtually(function* consult() {
      yield* askTheOracle();
    }),
  );
  t.match(
    error.stack,
    /^TimeoutError: not done after 5 ms\n(\s+at within\.next .*\n)?\s+at askTheOracle .*timeout\.test\.ts:/,
  );
  t.match(error.stack, /\n\s+at consult .*timeout\.test\.ts:/);
});

t.test('scope, timeout and shield refuse a body that is no generator function', async (t) => {
  await virtually(function* () {
    for (const [name, open] of Object.entries({
      scope,
      timeout: (body: never) => timeout(5, body),
      shield: (body: never) => shield(body),
    })) {
      t.match(yield* errorOf(open(undefined as never)), {
        name: 'TypeError',
        message: `${name} expects a generator function, got undefined`,
      });
      t.match(yield* errorOf(open((async () => {}) as never)), {
        name: 'TypeError',
        message: `${name} expects a generator function, but it returned an instance of Promise`,
      });
    }
  });
});
