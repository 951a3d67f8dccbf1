import co from 'co';
import t from 'tap';
import {
  BusyError,
  CancelledError,
  type Co,
  type Coroutine,
  current,
  type Operation,
  pause,
  run,
  sleep,
  spawn,
  suspend,
} from '../../../scheduler/index.ts';
import { kind } from '../../../scheduler/kernel/operation.ts';
import { Leaf } from '../../../scheduler/kernel/operation.ts';
import { stackOf } from '../../../scheduler/debug/stack.ts';
import { forever, rejectionOf, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

type Resume<T> = (error?: unknown, value?: T) => void;

/** Taking from it is an operation with the least there is, which is ready when there are values. */
class Box {
  values: number[] = [];
  calls: string[] = [];
  take = new Leaf<number, Box, undefined>(TAKE, this, undefined);
}

const TAKE = kind<number, Box>({
  poll(operation) {
    const { values } = operation.target;
    if (values.length === 0) return false;
    operation.value = values.shift();
    return true;
  },
  arm: ({ target }) => target.calls.push('arm'),
  disarm: ({ target }) => target.calls.push('disarm'),
  describe: () => 'taking from a box',
});

t.test('a leaf that is ready completes without suspending', async (t) => {
  const { take, values, calls } = new Box();
  values.push(1, 2);
  const log: unknown[] = [];
  await virtually(function* () {
    spawn(function* () {
      log.push('other');
    });
    log.push(yield* take, yield* take);
  });
  t.strictSame(log, [1, 2, 'other']);
  t.strictSame(calls, []);
});

t.test('an operation may be performed again after it has finished or failed', async (t) => {
  let round = 0;
  const operation = suspend<number>((resume) => {
    round++;
    if (round === 2) resume(new Error('second'));
    else setImmediate(resume, null, round);
  });
  await virtually(function* () {
    t.equal(yield* operation, 1);
    try {
      yield* operation;
      t.fail('it did not fail');
    } catch (error) {
      t.match(error, { message: 'second' });
    }
    t.equal(yield* operation, 3);
  });
});

t.test('an operation may be performed again after it was cancelled', async (t) => {
  const { take, values, calls } = new Box();
  await virtually(function* () {
    const child = spawn(() => take);
    yield* pause();
    child.cancel();
    t.strictSame(calls, ['arm', 'disarm']);
    yield* pause();
    values.push(7);
    t.equal(yield* take, 7);
  });
});

t.test('performing an armed operation is a BusyError, and the first one is not disturbed', async (t) => {
  let resume!: Resume<string>;
  await virtually(function* () {
    const operation = suspend<string>(function answer(give) {
      resume = give;
    });
    const first = spawn(() => operation);
    yield* pause();
    try {
      yield* operation;
      t.fail('it was performed twice');
    } catch (error) {
      t.match(error, { code: 'ERR_BUSY', name: 'BusyError', message: /suspended in answer already/ });
      t.ok(error instanceof BusyError);
    }
    resume(null, 'for the first');
    t.throws(() => operation.next(), BusyError, 'nor can another take its result');
    t.equal(yield* first.join(), 'for the first');
  });
});

t.test('one that was notified for nothing waits on, and is cut off by a cancellation', async (t) => {
  const { take, values, calls } = new Box();
  await virtually(function* () {
    const child = spawn(() => take);
    yield* pause();
    take.notify();
    t.equal(child.state, 'ready');
    yield* pause();
    t.equal(child.state, 'suspended');
    t.strictSame(calls, ['arm', 'arm']);
    take.notify();
    child.cancel();
    yield* pause();
    t.equal(child.state, 'cancelled');
    take.fire(1);
    values.push(2);
    t.equal(yield* take, 2, 'what fires unarmed is without effect');
  });
});

t.test('[...operation] does not loop', async (t) => {
  t.throws(() => [...forever()], BusyError, 'outside of coroutines');
  await virtually(function* () {
    t.throws(() => [...forever()], BusyError);
    t.strictSame([...sleep(0)], []);
    t.equal([...pause()].length, 1);
  });
});

t.test('[...operation] does not loop when the coroutine should give way', async (t) => {
  await virtually(function* () {
    const ready = sleep(0);
    let longest = 0;
    for (let count = 0; count < 300; count++) {
      let steps = 0;
      while (ready.next().done !== true && steps < 1000) steps++;
      longest = Math.max(longest, steps);
    }
    t.ok(longest < 1000, `${longest} steps`);
  });
});

t.test('throw and return disarm', (t) => {
  const failure = new Error('thrown in');
  const { take, calls } = new Box();
  take.next();
  t.equal(
    thrownBy(() => take.throw(failure)),
    failure,
  );
  t.strictSame(calls, ['arm', 'disarm']);
  take.next();
  t.strictSame(take.return(3), { done: true, value: 3 });
  t.strictSame(calls, ['arm', 'disarm', 'arm', 'disarm']);
  t.strictSame(take.return(4), { done: true, value: 4 });
  t.equal(calls.length, 4, 'only once');
  t.end();
});

t.test('generator.return on a suspended generator disarms its leaf', (t) => {
  const { take, calls } = new Box();
  const generator = (function* (): Co<number> {
    return yield* take;
  })();
  t.equal(generator.next().done, false);
  generator.return(0);
  t.strictSame(calls, ['arm', 'disarm']);
  t.end();
});

t.test('suspend: resume at once, later, with an error, without a value', async (t) => {
  const failure = new Error('given');
  await virtually(function* () {
    t.equal(yield* suspend<number>((resume) => resume(null, 1)), 1);
    t.equal(yield* suspend<number>((resume) => resume(undefined, 2)), 2);
    t.equal(yield* suspend<void>((resume) => resume()), undefined);
    t.equal(yield* suspend<number>((resume) => void setImmediate(() => resume(null, 3))), 3);
    for (const start of [
      (resume: Resume<void>) => resume(failure),
      (resume: Resume<void>) => setImmediate(() => resume(failure)),
      () => {
        throw failure;
      },
    ]) {
      try {
        yield* suspend<void>(start);
        t.fail('no error');
      } catch (error) {
        t.equal(error, failure);
      }
    }
  });
});

t.test('suspend: only the first resume counts, and only in its own performance', async (t) => {
  const resumes: Resume<string>[] = [];
  await virtually(function* () {
    const operation = suspend<string>((resume) => {
      resumes.push(resume);
    });
    const child = spawn(function* () {
      return [yield* operation, yield* operation];
    });
    yield* pause();
    resumes[0]!(null, 'first');
    resumes[0]!(null, 'again');
    resumes[0]!(new Error('too late'));
    yield* pause();
    resumes[0]!(null, 'of an earlier performance');
    t.equal(child.state, 'suspended');
    resumes[1]!(null, 'second');
    t.strictSame(yield* child.join(), ['first', 'second']);
  });
});

t.test('suspend: the hook is called once when cancelled, and not after a result', async (t) => {
  const log: string[] = [];
  let resume!: Resume<void>;
  const start = (name: string) => (give: Resume<void>) => {
    resume = give;
    return () => {
      log.push(name);
      give(new Error('without effect'));
    };
  };
  await virtually(function* () {
    yield* suspend<void>((give) => {
      give();
      return () => log.push('answered on the spot');
    });
    const cancelled = spawn(() => suspend<void>(start('cancelled')));
    yield* pause();
    cancelled.cancel();
    resume();
    yield* pause();
    t.equal(cancelled.state, 'cancelled');
    const answered = spawn(() => suspend<void>(start('answered')));
    yield* pause();
    resume();
    answered.cancel();
    yield* answered.join();
  });
  t.strictSame(log, ['cancelled']);
});

t.test('suspend: what is no function is a TypeError', (t) => {
  t.match(
    thrownBy(() => suspend(5 as never)),
    { name: 'TypeError', message: /^suspend expects a function/ },
  );
  t.end();
});

t.test('I1 every leaf describes its wait', async (t) => {
  await virtually(function* () {
    const cases: [() => Operation<unknown>, string][] = [
      [() => sleep(50), 'sleeping for 50 ms'],
      [() => suspend(() => {}), 'waiting for a callback'],
      [() => suspend(function connecting() {}), 'suspended in connecting'],
      [() => current().join(), 'joining self'],
      [pause, 'pausing'],
    ];
    for (const [make, words] of cases) {
      const child = spawn(
        function* () {
          return (make() as Leaf<unknown>).describe();
        },
        { name: 'self' },
      );
      t.equal(yield* child.join(), words);
    }
    const sleeper = spawn(() => sleep(50));
    t.equal(sleeper.describe(), undefined, 'one that is ready does not wait');
    yield* pause();
    t.equal(sleeper.describe(), 'sleeping for 50 ms');
    const promised = spawn(function* () {
      yield new Promise<void>((resolve) => setImmediate(resolve));
    });
    yield* pause();
    t.equal(promised.describe(), 'waiting for a promise');
  });
});

/** The names of the frames. */
function namesOf(frames: string[]): string[] {
  return frames.map((frame) => /^at (?:async )?(\S+)/.exec(frame)?.[1] ?? frame);
}

t.test('I2 a suspended coroutine shows every yield* level, and nothing changes', async (t) => {
  const log: string[] = [];
  let resume!: Resume<number>;
  function* innermost(): Co<number> {
    log.push('innermost');
    const value = yield* suspend<number>((give) => {
      resume = give;
      return () => log.push('disarmed');
    });
    log.push('resumed');
    return value;
  }
  function* middle(): Co<number> {
    try {
      return yield* innermost();
    } finally {
      log.push('middle ends');
    }
  }
  function* outermost(): Co<number> {
    return yield* middle();
  }
  const limit = Error.stackTraceLimit;
  await virtually(function* () {
    const child = spawn(outermost);
    yield* pause();
    for (let time = 0; time < 2; time++) {
      const frames = stackOf(child);
      t.strictSame(namesOf(frames), ['innermost', 'middle', 'outermost']);
      for (const frame of frames) t.match(frame, /operation\.test\.ts:\d+:\d+\)$/);
    }
    t.strictSame(log, ['innermost'], 'no code has run');
    t.equal(child.state, 'suspended');
    t.equal(Error.stackTraceLimit, limit);
    resume(null, 42);
    t.equal(yield* child.join(), 42);
  });
  t.strictSame(log, ['innermost', 'resumed', 'middle ends']);
});

function* note(): Co<void> {
  yield* forever();
}

function* stackOfMine(): Co<void> {
  yield* note();
}

t.test('I2 a generator may have any name and still be shown', async (t) => {
  await virtually(function* () {
    const child = spawn(stackOfMine);
    yield* pause();
    t.strictSame(namesOf(stackOf(child)), ['note', 'stackOfMine']);
    child.cancel();
  });
});

t.test('I2 one that does not wait in a leaf has no stack', async (t) => {
  let ran = 0;
  function* counted(): Co<void> {
    ran++;
  }
  await virtually(function* () {
    const ready = spawn(counted);
    t.strictSame(stackOf(current()), [], 'it runs');
    t.strictSame(stackOf(ready), [], 'it has not started');
    t.equal(ran, 0);
    const bare = spawn(function* () {
      yield new Promise<void>((resolve) => setImmediate(resolve));
    });
    const parent = spawn(function* () {
      spawn(() => sleep(5));
    });
    yield* pause();
    yield* pause();
    t.strictSame(stackOf(ready), [], 'it has ended');
    t.strictSame(stackOf(bare), [], 'it waits at a bare yield');
    t.equal(bare.state, 'suspended');
    t.strictSame(stackOf(parent), [], 'it waits for its children');
  });
});

t.test('I2 a body that is a single operation is probed without harm', async (t) => {
  await virtually(function* () {
    const sleeper = spawn(() => sleep(5));
    yield* pause();
    t.ok(Array.isArray(stackOf(sleeper)));
    yield* sleeper.join();
    t.equal(sleeper.state, 'done');
  });
});

t.test('S6 co runs a generator of skein', async (t) => {
  const failure = new Error('given');
  const result = await co(function* (): Generator<any, unknown, any> {
    const log: unknown[] = [];
    yield* sleep(1);
    log.push(yield* suspend<number>((resume) => resume(null, 1)));
    log.push(yield* suspend<number>((resume) => void setImmediate(() => resume(null, 2))));
    try {
      yield* suspend<void>((resume) => void setImmediate(() => resume(failure)));
    } catch (error) {
      log.push(error);
    }
    const nested = (function* (): Co<number> {
      yield* sleep(1);
      yield* pause();
      return 3;
    })();
    log.push(yield* nested, yield Promise.resolve(4));
    return log;
  });
  t.strictSame(result, [1, 2, failure, 3, 4]);
});

function* timed(ms: number): Generator<any, number, any> {
  yield* sleep(ms);
  return ms;
}

t.test('S6 co runs two generators of skein beside each other', async (t) => {
  t.strictSame(await Promise.all([co(() => timed(3)), co(() => timed(1))]), [3, 1]);
});

t.test('S6 the thunk of a wait that has ended calls back all the same', async (t) => {
  let resume!: Resume<void>;
  const operation = suspend<void>((give) => {
    resume = give;
  });
  const step = operation.next();
  t.notOk(step.done);
  resume();
  const thunk = step.value as (callback: () => void) => void;
  let isCalled = false;
  await new Promise<void>((resolve) => {
    thunk(() => {
      isCalled = true;
      resolve();
    });
    t.notOk(isCalled, 'never on the spot');
  });
  t.ok(operation.next().done);
});

t.test('an operation that throws when polled or armed throws at its place', async (t) => {
  const failure = new Error('poll');
  const BREAK = kind<void>({
    poll() {
      throw failure;
    },
    arm: () => {},
    disarm: () => {},
    describe: () => 'breaking',
  });
  let child: Coroutine<unknown> | undefined;
  const error = await rejectionOf(
    run(function* () {
      child = current();
      try {
        yield* new Leaf(BREAK, undefined, undefined);
      } catch (thrown) {
        t.equal(thrown, failure);
        throw thrown;
      }
    }),
  );
  t.equal(error, failure);
  t.equal(child?.state, 'failed');
  t.notOk(error instanceof CancelledError);
});
