import t from 'tap';
import {
  BusyError,
  CancelledError,
  Channel,
  ClosedError,
  type Co,
  type Coroutine,
  type Lock,
  Mutex,
  never,
  type Operation,
  pause,
  scope,
  select,
  sleep,
  spawn,
  suspend,
  trySelect,
} from '../../../scheduler/index.ts';
import { kind } from '../../../scheduler/kernel/operation.ts';
import { Leaf } from '../../../scheduler/kernel/operation.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

/** A source of values that tells those who wait for one, and hands none over: whoever polls first has it. */
class Source {
  values: number[] = [];
  armed = 0;
  look = new Leaf<number, Source, undefined>(LOOK, this, undefined);
  tell(): void {
    this.armed--;
    this.look.notify();
  }
}

const LOOK = kind<number, Source>({
  poll(operation) {
    operation.value = operation.target.values.shift();
    return operation.value !== undefined;
  },
  arm: ({ target }) => target.armed++,
  disarm: ({ target }) => target.armed--,
  describe: () => 'waiting at the source',
});

t.test('the error of the case that is served is thrown, whether it was ready or waited', async (t) => {
  await virtually(function* () {
    const jobs = new Channel<number>(0, { name: 'jobs' });
    const idle = new Channel<number>();
    const waiting = spawn(() => errorOf(select({ job: jobs.send(1), idle: idle.receive() })));
    yield* pause();
    jobs.close();
    t.match(yield* waiting.join(), { name: 'ClosedError', message: 'cannot send on jobs: it is closed' });
    t.ok((yield* errorOf(select({ job: jobs.send(1), idle: idle.receive() }))) instanceof ClosedError);
    t.ok(thrownBy(() => trySelect({ job: jobs.send(1) })) instanceof ClosedError);
    t.notOk(idle.trySend(1));
    const bad = suspend(() => {
      throw new Error('cannot start');
    });
    t.equal((yield* errorOf(select({ bad, idle: idle.receive() }))).message, 'cannot start');
    t.notOk(idle.trySend(1));
  });
});

t.test(
  "the stack of the error begins at the user's line, whether the case was ready or waited",
  async (t) => {
    await virtually(function* () {
      const jobs = new Channel<number>();
      function* selectInVain(): Co<Error> {
        try {
          yield* select({ job: jobs.send(1), off: never });
        } catch (error) {
          return error as Error;
        }
        throw new Error('expected an error, none came');
      }
      const waiting = spawn(selectInVain);
      yield* pause();
      jobs.close();
      for (const error of [yield* waiting.join(), yield* selectInVain()]) {
        t.ok(error instanceof ClosedError);
        const [, first] = error.stack!.split('\n    at ');
        t.match(first, /^selectInVain .*select-edges\.test\.ts/);
      }
    });
  },
);

t.test('C2: a join of one that failed throws, and the scope is cancelled all the same', async (t) => {
  await virtually(function* () {
    const log: string[] = [];
    try {
      yield* scope(function* (jobs) {
        const child = jobs.spawn(function* () {
          yield* sleep(1);
          throw new Error('broken');
        });
        const idle = new Channel<number>();
        log.push((yield* errorOf(select({ child: child.join(), idle: idle.receive() }))).message);
        t.notOk(idle.trySend(1), 'and the other case was disarmed');
        yield* sleep(1);
      });
    } catch (error) {
      log.push(`scope: ${(error as Error).message}`);
    }
    t.strictSame(log, ['broken', 'scope: broken']);
  });
});

t.test('an operation in use elsewhere is a BusyError, and everything else is disarmed', async (t) => {
  await virtually(function* () {
    const [channel, idle] = [new Channel<number>(1), new Channel<number>()];
    const receive = channel.receive();
    const start = forever();
    const users = [spawn(() => receive), spawn(() => start)];
    yield* pause();
    let takenBack = 0;
    const select1 = select({ idle: idle.receive(), receive });
    const select2 = select({ idle: idle.receive(), hook: suspend(() => () => takenBack++), start });
    for (const busy of [select1, select2, select1, select2]) {
      const error = yield* errorOf(busy);
      t.ok(error instanceof BusyError, error.message);
    }
    t.equal(takenBack, 2);
    t.notOk(idle.trySend(1), 'nobody is left waiting there');
    // The user was not disturbed.
    t.ok(channel.trySend(1) && channel.trySend(2));
    t.ok((yield* errorOf(select1)) instanceof BusyError, 'what was handed to him is his');
    t.equal(yield* users[0]!.join(), 1);
    t.equal(channel.length, 1);
    users[1]!.cancel();
    idle.close();
    t.equal((yield* select2).key, 'idle', 'and it can be performed after all');
  });
});

t.test('an operation that stands in a select is a BusyError elsewhere', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>();
    const receive = channel.receive();
    const waiting = spawn(() => select({ receive, off: never }));
    yield* pause();
    t.match(yield* errorOf(receive), { code: 'ERR_BUSY', message: /receiving from a channel already/ });
    t.match(yield* errorOf(select({ receive })), { code: 'ERR_BUSY' });
    channel.trySend(1);
    t.match(yield* errorOf(receive), { code: 'ERR_BUSY' }, 'its result is another ones');
    t.equal((yield* waiting.join()).value, 1);
  });
});

t.test('what is not an operation is refused by name', async (t) => {
  await virtually(function* () {
    function* work(): Co<void> {}
    const wrong: [unknown, RegExp][] = [
      [5, /^select expects an operation as the case job, got 5$/],
      [undefined, /got undefined$/],
      [Promise.resolve(), /got an instance of Promise: write wait\(promise\)$/],
      [work(), /got a generator: it has to be spawned, and its join\(\) be the case$/],
      [
        select({ off: never }),
        /^select expects an operation as the case job, got another select: it has to be spawned, and its join\(\) be the case$/,
      ],
    ];
    for (const [job, message] of wrong) {
      const error = thrownBy(() => select({ job: job as Operation<unknown> }));
      t.ok(error instanceof TypeError);
      t.match(error.message, message);
    }
    for (const [cases, words] of [
      [null, 'null'],
      [undefined, 'undefined'],
      [5, '5'],
    ]) {
      const message = `select expects an object of operations, got ${String(words)}`;
      for (const one of [select, trySelect]) {
        t.match(
          thrownBy(() => one(cases as never)),
          { name: 'TypeError', message },
        );
      }
    }
  });
});

t.test('one that is told to look and finds nothing waits on, and the others with it', async (t) => {
  await virtually(function* () {
    const source = new Source();
    const channel = new Channel<number>();
    const waiting = spawn(() => select({ source: source.look, got: channel.receive() }));
    const behind = spawn(() => channel.receive());
    yield* pause();
    for (let round = 0; round < 3; round++) {
      // Somebody else takes it before the one who was told.
      source.tell();
      yield* pause();
      t.equal(waiting.state, 'suspended');
      t.equal(source.armed, 1);
    }
    t.ok(channel.trySend(1));
    t.strictSame(yield* waiting.join(), { key: 'got', value: 1 }, 'it has kept its place in the queue');
    t.equal(source.armed, 0);
    behind.cancel();
  });
});

t.test('one that is told to look may be overtaken by a case that is handed its result', async (t) => {
  await virtually(function* () {
    const source = new Source();
    const channel = new Channel<number>();
    const waiting = spawn(() => select({ source: source.look, got: channel.receive() }));
    yield* pause();
    source.values.push(1);
    source.tell();
    channel.trySend(2);
    t.strictSame(yield* waiting.join(), { key: 'got', value: 2 });
    t.strictSame(source.values, [1], 'what was not taken is still there');
  });
});

t.test('C6: one that was told to look and is cancelled takes what is there, and else ends', async (t) => {
  for (const isThere of [true, false]) {
    await virtually(function* () {
      const source = new Source();
      const channel = new Channel<number>();
      let got: unknown;
      const waiting = spawn(function* () {
        got = yield* select({ source: source.look, got: channel.receive() });
      });
      yield* pause();
      if (isThere) source.values.push(1);
      source.tell();
      waiting.cancel();
      yield* pause();
      t.strictSame(got, isThere ? { key: 'source', value: 1 } : undefined);
      t.equal(waiting.state, isThere ? 'done' : 'cancelled');
      t.equal(source.armed, 0);
      t.notOk(channel.trySend(1));
    });
  }
});

t.test('C6: what a select was given is not lost by a cancellation', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>();
    let got: unknown;
    const waiting = spawn(function* () {
      got = yield* select({ got: channel.receive(), late: sleep(5) });
    });
    yield* pause();
    t.ok(channel.trySend(1));
    waiting.cancel();
    yield* pause();
    t.strictSame(got, { key: 'got', value: 1 });
  });
});

t.test('C11: a disarm hook that throws fails the coroutine; everything else is disarmed', async (t) => {
  await virtually(function* () {
    const [channel, idle] = [new Channel<number>(), new Channel<number>()];
    let takenBack = 0;
    const cases = () => ({
      got: channel.receive(),
      idle: idle.receive(),
      bad: suspend(() => () => {
        throw new Error('the hook');
      }),
      good: suspend(() => () => takenBack++),
    });
    const served = spawn(() => errorOf(select(cases())));
    yield* pause();
    channel.trySend(1);
    t.equal((yield* served.join()).message, 'the hook', 'when another case is served');
    let error: Error | undefined;
    const cancelled = spawn(() => select(cases()), { onError: (thrown) => (error = thrown as Error) });
    yield* pause();
    cancelled.cancel();
    yield* pause();
    t.equal(error?.message, 'the hook', 'when it is cancelled');
    t.equal(cancelled.state, 'failed');
    t.equal(takenBack, 2);
    t.notOk(idle.trySend(1));
  });
});

t.test('C11: a lock that came when a hook threw is given back', async (t) => {
  await virtually(function* () {
    const mutex = new Mutex();
    const first = mutex.tryLock() as Lock;
    const bad = suspend(() => () => {
      throw new Error('the hook');
    });
    const waiting: Coroutine<Error> = spawn(() => errorOf(select({ lock: mutex.lock(), bad })));
    yield* pause();
    first.unlock();
    yield* waiting.join();
    t.notOk(mutex.isLocked);
  });
});

t.test('a select that failed while it began is free again', async (t) => {
  await virtually(function* () {
    const start = forever();
    const user = spawn(() => start);
    yield* pause();
    const either = select({ start, late: sleep(5) });
    t.ok((yield* errorOf(either)) instanceof BusyError);
    user.cancel();
    yield* pause();
    t.equal((yield* either).key, 'late');
  });
});

t.test(
  'the error of a hook is thrown together with another one, and not left for the next time',
  async (t) => {
    await virtually(function* () {
      const start = forever();
      const user = spawn(() => start);
      yield* pause();
      let hooks = 0;
      const bad = suspend(() => () => {
        if (hooks++ === 0) throw new Error('the hook');
      });
      const either = select({ bad, start, late: sleep(5) });
      const { errors } = (yield* errorOf(either)) as AggregateError;
      t.match(errors, [{ name: 'BusyError' }, { message: 'the hook' }]);
      user.cancel();
      yield* pause();
      t.equal((yield* either).key, 'late');
      t.equal(hooks, 2);
    });
  },
);

t.test('a cancelled scope lets no select begin (C5)', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>(1);
    channel.trySend(1);
    const child = spawn(function* () {
      child.cancel();
      return yield* errorOf(select({ got: channel.receive() }));
    });
    t.ok((yield* child.join()) instanceof CancelledError);
    t.equal(channel.length, 1);
  });
});
