// What many share: one execution (`singleflight`), one rate (`rateLimit`).

import t from 'tap';
import {
  after,
  all,
  allSettled,
  type Co,
  type Coroutine,
  current,
  DeadlockError,
  never,
  pause,
  rateLimit,
  run,
  Scheduler,
  select,
  shield,
  singleflight,
  sleep,
  spawn,
  trySelect,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

/** Runs a body that is given the scheduler, whose time is virtual. */
function timed<T>(body: (scheduler: Scheduler) => Co<T>): Promise<T> {
  const scheduler = new Scheduler({ clock: new VirtualClock() });
  return scheduler.run(() => body(scheduler));
}

t.test('singleflight: those with the same key share one execution', async (t) => {
  const log: string[] = [];
  const look = singleflight(function* look(key: string) {
    log.push(`begin ${key} in ${current().name}`);
    yield* sleep(5);
    return { key };
  });
  await virtually(function* () {
    const [one, same, other] = yield* all([() => look('a'), () => look('a'), () => look('b')]);
    t.equal(one, same, 'the very same result');
    t.same(other, { key: 'b' });
    t.same(log, ['begin a in look', 'begin b in look']);
    t.not(yield* look('a'), one, 'nothing is cached');
    t.equal(log.length, 3);
  });
});

t.test('singleflight gives an error to every caller, and forgets it', async (t) => {
  let count = 0;
  const failing = singleflight(function* (): Co<never> {
    yield* sleep(1);
    throw new Error(`execution ${++count}`);
  });
  await virtually(function* () {
    const [one, two] = yield* allSettled([() => failing(1), () => failing(1)]);
    t.match(one, { status: 'rejected', reason: { message: 'execution 1' } });
    t.same(two, one);
    t.match(yield* errorOf(failing(1)), { message: 'execution 2' });
  });
});

t.test('singleflight: who comes when the execution has ended starts another', async (t) => {
  let count = 0;
  const counted = singleflight(function* () {
    yield* sleep(1);
    return ++count;
  });
  await virtually(function* () {
    const first = spawn(() => counted(0));
    // It runs when the execution has ended, and before the first caller, whose result is on its way.
    const second = spawn(function* () {
      yield* pause();
      yield* sleep(1);
      return yield* counted(0);
    });
    t.same(yield* all([first, second]), [1, 2]);
  });
});

t.test('singleflight: a caller that is cancelled leaves, and the last one ends the execution', async (t) => {
  const log: string[] = [];
  const slow = singleflight(function* () {
    try {
      yield* sleep(100);
    } finally {
      yield* shield(() => sleep(10));
      log.push('unwound');
    }
    return 'value';
  });
  await timed(function* ({ clock }) {
    const callers = [1, 2, 3].map(() => spawn(() => slow('key')));
    yield* sleep(5);
    callers[0]!.cancel();
    yield* errorOf(callers[0]!.join());
    t.equal(clock.now(), 5, 'the others wait on');
    t.equal(yield* callers[1]!.join(), 'value');
    t.same(log, ['unwound']);

    const lonely = [1, 2].map(() => spawn(() => slow('key')));
    yield* sleep(5);
    const begin = clock.now();
    for (const caller of lonely) caller.cancel('enough');
    t.match(yield* errorOf(lonely[0]!.join()), { name: 'AbortError', cause: 'enough' });
    t.equal(clock.now(), begin);
    t.match(yield* errorOf(lonely[1]!.join()), { name: 'AbortError', cause: 'enough' });
    t.equal(clock.now(), begin + 10, 'the last has waited for it');
    t.same(log, ['unwound', 'unwound']);
  });
});

t.test('singleflight: who comes while a cancelled execution unwinds waits, and starts anew', async (t) => {
  let running = 0;
  let count = 0;
  const failure = new Error('cleanup');
  const single = singleflight(function* () {
    t.equal(++running, 1, 'never two at once');
    const number = ++count;
    try {
      yield* sleep(10);
    } finally {
      yield* shield(() => sleep(10));
      running--;
      // oxlint-disable-next-line no-unsafe-finally -- an error of the cleanup is what is tried
      if (number === 1) throw failure;
    }
    return number;
  });
  await virtually(function* () {
    const first = spawn(() => single(''), { onError: () => {} });
    yield* sleep(1);
    first.cancel();
    const later = spawn(() => all([() => single(''), () => single('')]));
    const leaving = spawn(() => single(''));
    yield* sleep(1);
    leaving.cancel();
    t.match(yield* errorOf(leaving.join()), { name: 'AbortError' });
    t.equal(yield* errorOf(first.join()), failure, 'the one who left hears of an error in cleanup');
    t.same(yield* later.join(), [2, 2]);
  });
});

t.test('singleflight: the execution is no child of a caller', async (t) => {
  const inner = singleflight(function* () {
    spawn(() => sleep(5), { name: 'child' });
    yield* sleep(1);
    return current().name;
  });
  await virtually(function* () {
    const caller = spawn(() => inner(1));
    yield* sleep(0.5);
    const other = spawn(() => inner(1));
    yield* sleep(1);
    caller.cancel();
    t.match(yield* other.join(), /^coroutine-\d+$/);
    t.equal(caller.state, 'cancelled');
  });
  t.match(await run(() => inner(2)), /^coroutine-/, 'it works in plain code as well');
});

t.test('singleflight: misuse is an error', async (t) => {
  t.match(
    thrownBy(() => singleflight(5 as never)),
    { name: 'TypeError', message: 'singleflight expects a body, got 5' },
  );
  const recursive: (key: number) => Co<void> = singleflight((key: number) => recursive(key));
  let runs = 0;
  const counted = singleflight(function* () {
    runs++;
  });
  await virtually(function* () {
    t.ok((yield* errorOf(recursive(1))) instanceof DeadlockError);
    t.match(yield* errorOf(singleflight((() => 5) as never)(1)), { name: 'TypeError' });
    const cancelled: Coroutine<void> = spawn(function* () {
      cancelled.cancel();
      yield* counted(1);
    });
    yield* errorOf(cancelled.join());
    t.equal(runs, 0, 'nothing is started for one who is cancelled');
  });
});

t.test('rateLimit gives a burst at once, then one token after the other, exactly', async (t) => {
  const times: number[] = [];
  await timed(function* ({ clock, timers }) {
    const limit = rateLimit({ rate: 10, burst: 3 });
    for (let n = 0; n < 6; n++) {
      yield* limit.take();
      times.push(clock.now());
    }
    t.same(times, [0, 0, 0, 100, 200, 300]);
    t.equal(timers.live, 0);
    yield* sleep(10_000);
    for (const expected of [true, true, true, false])
      t.equal(limit.tryTake(), expected, 'full again, not more');
    yield* sleep(99.5);
    t.notOk(limit.tryTake());
    yield* sleep(0.5);
    t.ok(limit.tryTake());
    yield* sleep(250);
    t.notOk(limit.tryTake(3));
    t.ok(limit.tryTake(2));
  });
});

t.test('rateLimit does not drift', async (t) => {
  await timed(function* ({ clock }) {
    const limit = rateLimit({ rate: 3 });
    for (let n = 0; n <= 30_000; n++) yield* limit.take();
    t.equal(clock.now(), 10_000_000);
  });
});

t.test('rateLimit serves first come, first served, and nobody passes those who wait', async (t) => {
  const log: string[] = [];
  await timed(function* ({ clock }) {
    const limit = rateLimit({ rate: 100, burst: 10 });
    t.ok(limit.tryTake(10));
    function* taker(count: number): Co<void> {
      yield* limit.take(count);
      log.push(`${count} at ${clock.now()}`);
    }
    for (const count of [5, 1, 10, 2]) spawn(() => taker(count));
    yield* sleep(45);
    t.notOk(limit.tryTake(), 'four are there, but others wait');
    yield* sleep(200);
  });
  t.same(log, ['5 at 50', '1 at 60', '10 at 160', '2 at 180']);
});

t.test('rateLimit: who leaves takes nothing, and lets those behind go', async (t) => {
  await timed(function* ({ clock, timers }) {
    const limit = rateLimit({ rate: 100, burst: 10 });
    limit.tryTake(10);
    const greedy = spawn(() => limit.take(10));
    const modest = spawn(() => limit.take(2));
    yield* sleep(30);
    t.equal(timers.live, 1, 'one timer for all');
    greedy.cancel();
    yield* modest.join();
    t.equal(clock.now(), 30);
    t.ok(limit.tryTake());
    t.notOk(limit.tryTake());
    t.equal(timers.live, 0);
    const waiting = spawn(() => limit.take(5));
    yield* sleep(1);
    t.equal(waiting.describe(), 'taking 5 of 100 tokens a second');
    waiting.cancel();
    yield* errorOf(waiting.join());
    t.equal(timers.live, 0, 'nothing is pending when nobody waits');
  });
});

t.test('rateLimit: take is a case of select', async (t) => {
  await timed(function* ({ clock, timers }) {
    const limit = rateLimit({ rate: 10 });
    const token = limit.take();
    t.match(yield* select({ token, never }), { key: 'token' });
    t.match(yield* select({ token, late: after(50) }), { key: 'late' });
    t.equal(clock.now(), 50);
    t.equal(timers.live, 0);
    t.match(yield* select({ token, late: after(80) }), { key: 'token' });
    t.equal(clock.now(), 100);
    t.equal(trySelect({ token }), undefined);
    yield* select({ one: limit.take(), two: limit.take() });
    t.equal(clock.now(), 200);
    yield* limit.take();
    t.equal(clock.now(), 300, 'only one of the two has taken');
  });
});

t.test('rateLimit: tokens that were given and not used go back', async (t) => {
  await timed(function* () {
    const limit = rateLimit({ rate: 10 });
    limit.tryTake();
    const token = limit.take();
    const next = spawn(() => limit.take());
    token.next();
    yield* sleep(100);
    t.equal(next.state, 'suspended');
    token.return();
    yield* pause();
    t.equal(next.state, 'done');
  });
});

t.test('rateLimit goes by the clock of the scheduler that it is made in, and serves any', async (t) => {
  const limit = rateLimit({ rate: 1000 });
  await virtually(function* () {
    yield* limit.take();
    yield* limit.take();
  });
  t.equal(await run(() => select({ token: limit.take(), never })).then(({ key }) => key), 'token');
});

t.test('rateLimit says what is wrong', (t) => {
  for (const options of [{}, { rate: 0 }, { rate: Infinity }, { rate: 'fast' }, { rate: 1, burst: 0.5 }]) {
    t.match(
      thrownBy(() => rateLimit(options as never)),
      { name: 'TypeError', message: /rateLimit expects a/ },
    );
  }
  const limit = rateLimit({ rate: 1, burst: 5 });
  t.throws(() => limit.take(6), { name: 'TypeError', message: /from 1 to 5, got 6/ });
  t.throws(() => limit.tryTake(6), TypeError);
  for (const count of [0, -1, 1.5, '1']) t.throws(() => limit.take(count as number), TypeError);
  t.end();
});

t.test('100,000 who wait for tokens leave in any order', async (t) => {
  await timed(function* ({ timers }) {
    const limit = rateLimit({ rate: 1 });
    limit.tryTake();
    const waiting = Array.from({ length: 100_000 }, () => spawn(() => limit.take()));
    yield* sleep(1);
    for (const one of waiting.toReversed()) one.cancel();
    yield* sleep(1);
    t.equal(timers.live, 0);
    spawn(forever, { daemon: true });
  });
});
