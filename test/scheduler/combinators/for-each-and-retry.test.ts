import t from 'tap';
import {
  CancelledError,
  type Co,
  current,
  forEach,
  pause,
  retry,
  Scheduler,
  shield,
  sleep,
  spawn,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, virtually } from '../../support/scheduler/virtual.ts';

/** Runs a body that is given the virtual time. */
function timed<T>(body: (now: () => number) => Co<T>, seed = 1): Promise<T> {
  const clock = new VirtualClock();
  return new Scheduler({ clock, seed }).run(() => body(() => clock.now()));
}

/** Numbers from 0 on, without end; notes how far it was read, and whether it was closed. */
function* numbers(log: unknown[]): Generator<number, void, undefined> {
  try {
    for (let n = 0; ; n++) {
      log.push(n);
      yield n;
    }
  } finally {
    log.push('closed');
  }
}

t.test('forEach works on as many items at once as it may, in their order', async (t) => {
  const log: string[] = [];
  await timed(function* (now) {
    yield* forEach(['a', 'b', 'c', 'd'], { concurrency: 2 }, function* (name, index) {
      log.push(`${now()} ${name}${index}`);
      yield* sleep(index === 0 ? 30 : 10);
    });
    log.push(`${now()} end`);
  });
  t.same(log, ['0 a0', '0 b1', '10 c2', '20 d3', '30 end']);
});

t.test('forEach takes an item only when there is room for it', async (t) => {
  const taken: unknown[] = [];
  await virtually(function* () {
    const work = spawn(() => forEach(numbers(taken), { concurrency: 3 }, forever));
    yield* sleep(1);
    t.same(taken, [0, 1, 2]);
    work.cancel();
    yield* errorOf(work.join());
    t.same(taken, [0, 1, 2, 'closed']);
  });
});

t.test('forEach: the first error cancels the others, closes the source and is thrown', async (t) => {
  const log: unknown[] = [];
  const failure = new Error('item 1');
  await virtually(function* () {
    const error = yield* errorOf(
      forEach(numbers(log), { concurrency: 2 }, function* (n) {
        try {
          yield* sleep(n === 1 ? 5 : 1000);
          throw failure;
        } finally {
          yield* shield(() => sleep(10));
          log.push(`unwound ${n}`);
        }
      }),
    );
    t.equal(error, failure);
    t.same(log, [0, 1, 'unwound 1', 'closed', 'unwound 0']);
    yield* pause();
  });
});

t.test('forEach takes no further item in the turn in which one failed and another ended', async (t) => {
  const taken: unknown[] = [];
  await virtually(function* () {
    const work = forEach(numbers(taken), { concurrency: 2 }, function* (n) {
      yield* sleep(5);
      if (n === 1) throw new Error('second');
    });
    t.match(yield* errorOf(work), { message: 'second' });
  });
  t.same(taken, [0, 1, 'closed']);
});

t.test("forEach ends with the errors of its source, and with an item's own cancellation", async (t) => {
  await virtually(function* () {
    function* broken(): Generator<number> {
      yield 0;
      throw new Error('source');
    }
    t.match(yield* errorOf(forEach(broken(), { concurrency: 2 }, forever)), { message: 'source' });
    function* suicide(n: number): Co<void> {
      yield* sleep(1);
      if (n > 0) current().cancel('itself');
      yield* pause();
    }
    for (const concurrency of [1, 2, 5]) {
      const error = yield* errorOf(forEach([0, 1, 2, 3], { concurrency }, suicide));
      t.match(error, { name: 'AbortError', cause: 'itself' });
    }
    yield* pause();
  });
});

t.test('forEach of nothing, of one thing, and misused', async (t) => {
  await virtually(function* () {
    yield* forEach([], { concurrency: 1 }, forever);
    const seen: unknown[] = [];
    yield* forEach(new Set(['x']), { concurrency: 100 }, function* read(item, index) {
      seen.push(item, index, current().name);
    });
    t.same(seen, ['x', 0, 'read']);
    for (const concurrency of [0, -1, 1.5, NaN, -Infinity, '2', undefined] as number[]) {
      const error = yield* errorOf(forEach([1], { concurrency }, forever));
      t.match(error, { name: 'TypeError', message: /^the concurrency of forEach expects a whole number/ });
    }
    for (const wrong of [
      forEach(5 as never, { concurrency: 1 }, forever),
      forEach([1], undefined as never, forever),
      forEach([1], { concurrency: 1 }, undefined as never),
      forEach([1], { concurrency: 1 }, (() => 5) as never),
    ]) {
      t.match(yield* errorOf(wrong), { name: 'TypeError' });
    }
  });
});

t.test('retry tries again until it succeeds, with the number of the attempt', async (t) => {
  const attempts: number[] = [];
  const asked: unknown[] = [];
  await virtually(function* () {
    const value = yield* retry(
      { attempts: 5, when: (error, attempt) => (asked.push((error as Error).message, attempt), true) },
      function* (attempt) {
        attempts.push(attempt);
        yield* sleep(1);
        if (attempt < 3) throw new Error(`attempt ${attempt}`);
        return 'value';
      },
    );
    t.equal(value, 'value');
  });
  t.same(attempts, [1, 2, 3]);
  t.same(asked, ['attempt 1', 1, 'attempt 2', 2]);
});

t.test('retry throws the last error as it is, and no other when it is told not to go on', async (t) => {
  await virtually(function* () {
    const errors = [new Error('one'), new TypeError('two'), new Error('three'), new Error('four')];
    function* failing(attempt: number): Co<never> {
      throw errors[attempt - 1];
    }
    t.equal(yield* errorOf(retry({}, failing)), errors[2], 'three attempts by default');
    t.equal(yield* errorOf(retry({ when: (error) => !(error instanceof TypeError) }, failing)), errors[1]);
    t.equal(yield* errorOf(retry({ attempts: 1, when: () => t.fail('asked') }, failing)), errors[0]);
    const thrown = new Error('in when');
    const policy = {
      when: () => {
        throw thrown;
      },
    };
    t.equal(yield* errorOf(retry(policy, failing)), thrown);
  });
});

t.test('retry pauses for a time between 0 and a limit that doubles up to the cap', async (t) => {
  const policy = { attempts: 6, base: 100, cap: 500 };
  const longest = [100, 200, 400, 500, 500];
  const means = longest.map(() => 0);
  const runs = 300;
  for (let seed = 1; seed <= runs; seed++) {
    const times: number[] = [];
    await timed(function* (now) {
      function* failing(): Co<never> {
        times.push(now());
        throw new Error('again');
      }
      yield* errorOf(retry(policy, failing));
    }, seed);
    for (const [index, limit] of longest.entries()) {
      const pausedFor = times[index + 1]! - times[index]!;
      if (!(pausedFor >= 0 && pausedFor < limit)) t.fail(`${pausedFor} of ${limit} ms`);
      means[index]! += pausedFor / limit / runs;
    }
  }
  for (const [index, mean] of means.entries()) t.ok(Math.abs(mean - 0.5) < 0.07, `pause ${index}: ${mean}`);
});

t.test('retry draws from the generator of the scheduler: the same seed, the same pauses', async (t) => {
  const lasting = (seed: number): Promise<number> =>
    timed(function* (now) {
      yield* errorOf(retry({ attempts: 4 }, () => errorless()));
      return now();
    }, seed);
  function* errorless(): Co<never> {
    throw new Error('again');
  }
  t.equal(await lasting(7), await lasting(7));
  t.not(await lasting(7), await lasting(8));
});

t.test('retry never retries a cancellation', async (t) => {
  await virtually(function* () {
    let attempts = 0;
    const failure = new Error('cleanup');
    function* work(): Co<void> {
      attempts++;
      try {
        yield* forever();
      } finally {
        // oxlint-disable-next-line no-unsafe-finally -- an error of the cleanup is what is tried
        if (attempts === 2) throw failure;
      }
    }
    for (const expected of [/cancelled/, /cleanup/]) {
      const trying = spawn(() => retry({ attempts: Infinity, base: 0 }, work), { onError: () => {} });
      yield* sleep(1);
      trying.cancel();
      t.match(yield* errorOf(trying.join()), { message: expected });
    }
    t.equal(attempts, 2);
    const gone = spawn(forever);
    yield* pause();
    gone.cancel();
    const joining = retry({}, () => (attempts++, gone.join()));
    t.ok((yield* errorOf(joining)) instanceof CancelledError);
    t.equal(attempts, 3);
  });
});

t.test('retry: an attempt is a scope of its own', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const value = yield* retry({ base: 1 }, function* (attempt) {
      spawn(function* () {
        try {
          if (attempt < 3) yield* forever();
        } finally {
          log.push(`ended ${attempt}`);
        }
      });
      yield* sleep(1);
      if (attempt === 2) spawn(() => retry({ attempts: NaN }, forever)); // a child fails
      if (attempt === 1) throw new Error('body');
      log.push(`returns ${attempt}`);
      return attempt;
    });
    t.equal(value, 3);
  });
  t.same(log, ['ended 1', 'returns 2', 'ended 2', 'ended 3', 'returns 3']);
});

t.test('retry says what is wrong with a policy', async (t) => {
  await virtually(function* () {
    for (const policy of [
      { attempts: 0 },
      { attempts: 1.5 },
      { attempts: '3' },
      { base: -1 },
      { base: Infinity },
      { cap: NaN },
      { cap: '5' },
      { when: true },
    ]) {
      const error = yield* errorOf(retry(policy as never, forever));
      t.match(error, { name: 'TypeError' });
      t.match(error.message, Object.keys(policy)[0]!);
    }
    t.match(yield* errorOf(retry({}, 5 as never)), { message: 'retry expects a body, got 5' });
  });
});
