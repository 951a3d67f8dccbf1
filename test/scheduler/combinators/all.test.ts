import t from 'tap';
import {
  all,
  allSettled,
  any,
  CancelledError,
  type Co,
  type Coroutine,
  current,
  DeadlockError,
  pause,
  race,
  scope,
  shield,
  sleep,
  spawn,
  type Task,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, virtually } from '../../support/scheduler/virtual.ts';

function* give<T>(value: T, ms: number): Co<T> {
  yield* sleep(ms);
  return value;
}

function* fail(error: unknown, ms: number): Co<never> {
  yield* sleep(ms);
  throw error;
}

/** Waits for ever, and takes some time to unwind. */
function* unwind(log: string[], what = 'unwound', error?: Error): Co<never> {
  try {
    for (;;) yield* forever();
  } finally {
    yield* shield(() => sleep(3));
    log.push(what);
    // oxlint-disable-next-line no-unsafe-finally -- an error of the cleanup is what is tried
    if (error !== undefined) throw error;
  }
}

const combinators = { all, allSettled, race, any } as const;
type Combinator = (tasks: Iterable<Task<unknown>>) => Co<unknown>;
const named = Object.entries(combinators) as [string, Combinator][];

t.test('all gives the results in order, of bodies that ran at once', async (t) => {
  await virtually(function* () {
    const worker = spawn(() => give('worker', 1));
    const order: number[] = [];
    const results = yield* all([
      () => give('slow', 10),
      function* () {
        yield* sleep(5);
        order.push(1);
        return 'quick';
      },
      worker,
      () => sleep(10),
    ]);
    t.same(results, ['slow', 'quick', 'worker', undefined]);
    t.same(order, [1]);
  });
});

t.test('all throws the first error after the others have unwound', async (t) => {
  const log: string[] = [];
  const failure = new Error('first');
  await virtually(function* () {
    const error = yield* errorOf(all([() => unwind(log), () => fail(failure, 5), () => give(1, 1)]));
    t.equal(error, failure);
    t.same(log, ['unwound']);
    yield* sleep(1); // the one who waited is not disturbed
  });
});

t.test('all throws several errors as an AggregateError, and one that is shared once', async (t) => {
  await virtually(function* () {
    const [one, two] = [new Error('one'), new Error('two')];
    const several = yield* errorOf(all([() => unwind([], '', two), () => fail(one, 1)]));
    t.ok(several instanceof AggregateError);
    t.same((several as AggregateError).errors, [one, two]);
    t.equal(yield* errorOf(all([() => fail(one, 1), () => fail(one, 1)])), one);
  });
});

t.test('C2 the bodies are isolated: whoever catches the error goes on', async (t) => {
  await virtually(function* () {
    for (const combine of [all, race, any] as Combinator[]) {
      yield* errorOf(combine([() => fail(new Error('one'), 1)]));
      yield* sleep(1);
    }
    const results = yield* allSettled([() => fail(new Error('one'), 1), () => give(2, 5)]);
    t.match(results, [
      { status: 'rejected', reason: { message: 'one' } },
      { status: 'fulfilled', value: 2 },
    ]);
    yield* sleep(1);
    t.notOk(current().cancelled);
  });
});

t.test('C2 a coroutine that is passed in is joined, and never cancelled', async (t) => {
  await virtually(function* () {
    const patient = spawn(() => give('patient', 50));
    const failure = new Error('other');
    t.equal(yield* errorOf(all([patient, () => fail(failure, 1)])), failure);
    t.equal(yield* race([patient, () => give('quick', 1)]), 'quick');
    t.equal(yield* any([patient, () => give('quick', 1)]), 'quick');
    const waiting = spawn(() => all([patient, patient]));
    yield* sleep(1);
    waiting.cancel();
    t.ok((yield* errorOf(waiting.join())) instanceof CancelledError);
    t.equal(patient.state, 'suspended');
    t.same(yield* all([patient, patient]), ['patient', 'patient']);
    t.same(
      yield* allSettled([patient]),
      [{ status: 'fulfilled', value: 'patient' }],
      'and one that has ended',
    );
  });
});

t.test("a coroutine's error is its scope's, and comes out of whoever joined it", async (t) => {
  const failure = new Error('own');
  await virtually(function* () {
    const failing = (): Coroutine<never> => spawn(() => fail(failure, 1), { onError: () => {} });
    t.equal(yield* errorOf(all([failing(), forever])), failure);
    t.equal(yield* errorOf(race([failing(), forever])), failure);
    t.same(yield* allSettled([failing()]), [{ status: 'rejected', reason: failure }]);
    t.equal(yield* any([failing(), () => give('any', 5)]), 'any');
    t.equal(yield* race([() => give('first', 0), failing()]), 'first');
  });
});

t.test('C9 waiting for a cancelled coroutine throws a CancelledError as an ordinary error', async (t) => {
  await virtually(function* () {
    function* cancelled(): Co<Coroutine<void>> {
      const one = spawn(forever);
      yield* pause();
      one.cancel('gone');
      return one;
    }
    for (const combine of [all, race] as Combinator[]) {
      const error = yield* errorOf(combine([yield* cancelled(), () => unwind([])]));
      t.match(error, { name: 'AbortError', cause: 'gone' });
      yield* pause();
    }
    const error = (yield* errorOf(any([yield* cancelled()]))) as AggregateError;
    t.match(error.errors, [{ name: 'AbortError', cause: 'gone' }]);
    const [settled] = yield* allSettled([yield* cancelled()]);
    t.match(settled, { status: 'rejected', reason: { name: 'AbortError', cause: 'gone' } });
  });
});

t.test('a body that cancels itself ends the wait with its CancelledError', async (t) => {
  function* suicide(): Co<void> {
    current().cancel('itself');
    yield* pause();
  }
  const log: string[] = [];
  await virtually(function* () {
    for (const combine of [all, race] as Combinator[]) {
      const error = yield* errorOf(combine([() => unwind(log), suicide]));
      t.ok(error instanceof CancelledError);
      yield* pause();
    }
    t.same(log, ['unwound', 'unwound'], 'the others do not wait for ever');
    t.match(yield* allSettled([suicide]), [{ status: 'rejected', reason: { cause: 'itself' } }]);
    t.equal(yield* any([suicide, () => give('other', 5)]), 'other');
  });
});

t.test('race is decided by the first to end, and the others have unwound', async (t) => {
  const log: string[] = [];
  const failure = new Error('first');
  await virtually(function* () {
    t.equal(yield* race([() => unwind(log), () => give('value', 5), () => give('late', 6)]), 'value');
    t.same(log, ['unwound']);
    t.equal(yield* errorOf(race([() => unwind(log), () => fail(failure, 5)])), failure);
    t.same(log, ['unwound', 'unwound']);
    yield* pause();
  });
});

t.test("race does not lose an error of a loser's cleanup", async (t) => {
  const failure = new Error('cleanup');
  const first = new Error('first');
  await virtually(function* () {
    t.equal(yield* errorOf(race([() => unwind([], '', failure), () => give('value', 1)])), failure);
    const both = yield* errorOf(race([() => unwind([], '', failure), () => fail(first, 1)]));
    t.same((both as AggregateError).errors, [first, failure]);
  });
});

t.test('any gives the first value, and all errors in order if there is none', async (t) => {
  const log: string[] = [];
  const [one, two] = [new Error('one'), new Error('two')];
  await virtually(function* () {
    const value = yield* any([
      () => fail(one, 1),
      () => give('value', 5),
      () => unwind(log, 'unwound', two), // an error no longer counts
    ]);
    t.equal(value, 'value');
    t.same(log, ['unwound']);
    const error = yield* errorOf(any([() => fail(two, 5), () => fail(one, 1)]));
    t.ok(error instanceof AggregateError);
    t.same((error as AggregateError).errors, [two, one]);
    t.match(error.message, /any of 2 tasks/);
  });
});

t.test('an empty list is answered as by Promise, but a race without runners is a TypeError', async (t) => {
  await virtually(function* () {
    t.same(yield* all([]), []);
    t.same(yield* allSettled([]), []);
    const error = yield* errorOf(any([]));
    t.ok(error instanceof AggregateError);
    t.same((error as AggregateError).errors, []);
    t.match(yield* errorOf(race([])), { name: 'TypeError', message: /at least one task/ });
  });
});

t.test('an outer cancellation passes when all have unwound', async (t) => {
  await virtually(function* () {
    for (const [name, combine] of named) {
      const log: string[] = [];
      const waiting = spawn(() => combine([() => unwind(log), () => unwind(log), () => give(1, 1000)]));
      yield* sleep(1);
      waiting.cancel('enough');
      t.match(yield* errorOf(waiting.join()), { name: 'AbortError', cause: 'enough' }, name);
      t.equal(waiting.state, 'cancelled', name);
      t.same(log, ['unwound', 'unwound'], name);
    }
  });
});

t.test('errors thrown after an outer cancellation are not lost', async (t) => {
  const failure = new Error('cleanup');
  await virtually(function* () {
    for (const [name, combine] of named) {
      const waiting = spawn(() => combine([() => unwind([], '', failure), forever]), { onError: () => {} });
      yield* sleep(1);
      waiting.cancel();
      t.equal(yield* errorOf(waiting.join()), failure, name);
    }
  });
});

t.test('C6 results that have arrived win over a cancellation that comes after them', async (t) => {
  const expected = { all: [1], allSettled: [{ status: 'fulfilled', value: 1 }], race: 1, any: 1 };
  await virtually(function* () {
    for (const [name, combine] of named) {
      const waiting: Coroutine<unknown> = spawn(() =>
        combine([
          function* () {
            yield* sleep(1);
            waiting.cancel();
            return 1;
          },
        ]),
      );
      t.same(yield* waiting.join(), expected[name as keyof typeof expected], name);
    }
  });
});

t.test('a value that a body returns in spite of an outer cancellation stands', async (t) => {
  function* stubborn(): Co<string> {
    try {
      yield* forever();
    } catch {}
    yield* shield(() => sleep(5));
    return 'value';
  }
  await virtually(function* () {
    for (const combine of [race, any] as Combinator[]) {
      const waiting = spawn(() => combine([forever, stubborn]));
      yield* sleep(1);
      waiting.cancel();
      t.equal(yield* waiting.join(), 'value');
    }
  });
});

t.test('race: the error of a coroutine that comes second is its own scope’s alone', async (t) => {
  await virtually(function* () {
    const onError = (): void => {};
    const second = spawn(() => fail(new Error('second'), 1), { onError });
    // It fails first, but whoever joins it has not run yet when the body ends.
    t.equal(yield* race([second, () => give('first', 1)]), 'first');
    t.equal(second.state, 'failed');
  });
});

t.test('children that a body spawns belong to it', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const value = yield* race([
      function* () {
        spawn(() => give(log.push('child'), 5));
        return 'with a child';
      },
      () => give('without', 10),
    ]);
    t.equal(value, 'with a child', 'it has ended when its children have');
  });
  t.same(log, ['child']);
});

t.test('joining oneself or an ancestor is a DeadlockError', async (t) => {
  await virtually(function* () {
    const self = current();
    for (const combine of [all, race] as Combinator[]) {
      t.ok((yield* errorOf(combine([self]))) instanceof DeadlockError);
    }
    yield* scope(function* () {
      yield* spawn(function* () {
        t.ok((yield* errorOf(all([self]))) instanceof DeadlockError);
      }).join();
    });
  });
});

t.test('what is no task is a TypeError, and nothing is started', async (t) => {
  let started = 0;
  function* start(): Co<void> {
    started++;
  }
  await virtually(function* () {
    for (const [name, combine] of named) {
      const error = yield* errorOf(combine([start, sleep(1) as never]));
      t.equal(error.name, 'TypeError');
      t.match(error.message, `${name} expects generator functions and coroutines`);
      t.match(error.message, '; put `() =>` before it');
      t.match((yield* errorOf(combine([5 as never]))).message, /got 5$/);
      t.match((yield* errorOf(combine(undefined as never))).message, /got undefined$/);
    }
    const error = yield* errorOf(all([(() => 5) as never, forever]));
    t.match(error, { name: 'TypeError', message: /it returned 5/ });
  });
  t.equal(started, 0);
});

t.test('100,000 bodies are run and cancelled', async (t) => {
  await virtually(function* () {
    const bodies = Array.from({ length: 100_000 }, () => forever);
    t.equal(yield* race([...bodies, () => give('value', 1)]), 'value');
  });
});
