import t from 'tap';
import {
  after,
  Channel,
  type Co,
  every,
  never,
  type Operation,
  pause,
  Scheduler,
  select,
  sleep,
  spawn,
  trySelect,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { thrownBy, virtually } from '../../support/scheduler/virtual.ts';

/** Runs a body in virtual time, and hands it that time and the number of timers that are armed. */
function timed(body: (now: () => number, timers: () => number) => Co<void>): Promise<void> {
  const clock = new VirtualClock();
  const scheduler = new Scheduler({ clock });
  return scheduler.run(() =>
    body(
      () => clock.now(),
      () => scheduler.timers.live,
    ),
  );
}

t.test('sleep counts from each performance, after from its creation', (t) =>
  timed(function* (now) {
    const nap = sleep(10);
    const deadline = after(10);
    yield* sleep(4);
    yield* deadline;
    t.equal(now(), 10);
    yield* nap;
    t.equal(now(), 20);
    yield* nap;
    t.equal(now(), 30);
  }),
);

t.test('after is ready once its time has come, and stays so', (t) =>
  timed(function* (now) {
    const deadline = after(10);
    t.equal(trySelect({ deadline }), undefined);
    yield* sleep(15);
    for (let again = 0; again < 3; again++) yield* deadline;
    t.equal(now(), 15);
    t.equal(trySelect({ deadline })?.key, 'deadline');
    t.equal((yield* select({ deadline })).key, 'deadline');
    for (const past of [after(0), after(-5)]) yield* past;
    t.equal(now(), 15);
  }),
);

t.test('after before a loop is a deadline for the whole of it', (t) =>
  timed(function* (now) {
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
    const deadline = after(10);
    let received = 0;
    while ((yield* select({ news: news.receive(), deadline })).key === 'news') received++;
    t.equal(received, 3);
    t.equal(now(), 10);
  }),
);

t.test('after of Infinity never comes', (t) =>
  timed(function* (now) {
    const first = yield* select({ ages: after(Infinity), day: after(86_400_000) });
    t.equal(first.key, 'day');
    t.equal(now(), 86_400_000);
  }),
);

t.test('T3: ticks lie one period apart, the first one a period after the creation', (t) =>
  timed(function* (now) {
    yield* sleep(100);
    const tick = every(10);
    yield* sleep(3);
    const at: number[] = [];
    for (let count = 0; count < 4; count++) {
      yield* tick;
      at.push(now());
    }
    t.strictSame(at, [110, 120, 130, 140]);
  }),
);

t.test('T3: ticks are computed from the ideal time, so that work does not delay them', (t) =>
  timed(function* (now) {
    const tick = every(10);
    const at: number[] = [];
    for (const work of [3, 9, 1, 0, 8]) {
      yield* tick;
      at.push(now());
      yield* sleep(work);
    }
    t.strictSame(at, [10, 20, 30, 40, 50]);
  }),
);

t.test('T3: ticks that were missed are dropped; the next one is on the grid again', (t) =>
  timed(function* (now) {
    const tick = every(10);
    const at: number[] = [];
    for (const work of [35, 0, 10, 20, 0]) {
      yield* tick;
      at.push(now());
      yield* sleep(work);
    }
    // At 45, those of 20, 30 and 40 are one; at 80, those of 70 and 80.
    t.strictSame(at, [10, 45, 50, 60, 80]);
  }),
);

t.test('T3: an hour of ticks does not drift', (t) =>
  timed(function* (now) {
    const tick = every(0.1);
    for (let count = 0; count < 36_000; count++) yield* tick;
    t.ok(Math.abs(now() - 3_600) < 0.001, `${now()}`);
  }),
);

t.test('every holds no timer while nobody waits', (t) =>
  timed(function* (_, timers) {
    const tick = every(10);
    t.equal(timers(), 0);
    yield* tick;
    t.equal(timers(), 0);
    yield* select({ tick, soon: after(1) });
    t.equal(timers(), 0);
    const waiting = spawn(() => tick);
    yield* pause();
    t.equal(timers(), 1);
    waiting.cancel();
    t.equal(timers(), 0);
  }),
);

t.test('a tick that loses in a select is there the next time', (t) =>
  timed(function* (now) {
    const tick = every(10);
    const news = new Channel<string>(1);
    yield* sleep(12);
    yield* news.send('news');
    const keys = [
      yield* select({ tick, news: news.receive() }),
      yield* select({ tick, news: news.receive() }),
    ];
    t.strictSame(keys.map(({ key }) => key).toSorted(), ['news', 'tick']);
    t.equal(now(), 12, 'both were ready at once');
    yield* tick;
    t.equal(now(), 20, 'and the tick was used up by then');
  }),
);

t.test('a tick that has come is not used up by a select that another case won since', (t) =>
  timed(function* (now) {
    const tick = every(10);
    const news = new Channel<number>();
    spawn(function* () {
      // Both timers expire at once, this one first: so the tick has come, but is not taken yet.
      yield* sleep(10);
      t.ok(news.trySend(1));
    });
    const reader = spawn(() => select({ news: news.receive(), tick }));
    t.equal((yield* reader.join()).key, 'news');
    yield* tick;
    t.equal(now(), 10);
    yield* tick;
    t.equal(now(), 20);
  }),
);

t.test('every needs a period above 0, and all of them need numbers', async (t) => {
  await virtually(function* () {
    const wrong: [() => Operation<void>, string][] = [
      [() => every(0), 'every expects more than 0 milliseconds, got 0'],
      [() => every(-1), 'every expects more than 0 milliseconds, got -1'],
      [() => every(NaN), 'every expects milliseconds, got NaN'],
      [() => every('5' as never), 'every expects milliseconds, got "5"'],
      [() => after(undefined as never), 'after expects milliseconds, got undefined'],
      [() => after(NaN), 'after expects milliseconds, got NaN'],
      [() => sleep(null as never), 'sleep expects milliseconds, got null'],
    ];
    for (const [make, message] of wrong) {
      const error = thrownBy(make);
      t.ok(error instanceof TypeError);
      t.equal(error.message, message);
    }
  });
});

t.test('I1: timers and never say for how long', (t) =>
  timed(function* () {
    const waiting = [sleep(1000), after(2000), every(3000), never].map((operation) => spawn(() => operation));
    yield* sleep(500);
    t.strictSame(
      waiting.map((one) => one.describe()),
      ['sleeping for 1000 ms', 'waiting for 1500 ms more', 'waiting for 2500 ms more', 'waiting for ever'],
    );
    for (const one of waiting) one.cancel();
  }),
);

t.test('never ends only by being cancelled, and many may wait for it', (t) =>
  timed(function* () {
    const waiting = [1, 2].map(() => spawn(() => never));
    yield* sleep(1e6);
    t.ok(waiting.every(({ state }) => state === 'suspended'));
    for (const one of waiting) one.cancel();
    yield* pause();
    t.ok(waiting.every(({ state }) => state === 'cancelled'));
  }),
);
