import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import {
  type Clock,
  type Coroutine,
  pause,
  RealClock,
  Scheduler,
  sleep,
  spawn,
  suspend,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { Timer, Timers } from '../../../scheduler/kernel/timers.ts';
import { forever, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Time that a test moves by hand. */
class ManualClock implements Clock {
  time = 0;
  alarm = Infinity;
  readings = 0;
  #onAlarm: () => void = () => {};
  now(): number {
    this.readings++;
    return this.time;
  }
  setAlarm(deadline: number, onAlarm: () => void): void {
    this.alarm = deadline;
    this.#onAlarm = onAlarm;
  }
  clearAlarm(): void {
    this.alarm = Infinity;
  }
  moveTo(time: number): void {
    this.time = time;
    if (this.alarm <= time) this.#onAlarm();
  }
}

/** Timers under a clock that is moved by hand. */
function manual(): { clock: ManualClock; timers: Timers; turns: { fresh: number } } {
  const clock = new ManualClock();
  const turns = { fresh: 0 };
  return { clock, turns, timers: new Timers(clock, () => turns.fresh++) };
}

/** Numbers from a seed (mulberry32), so that a failure can be replayed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

t.test('sleepers wake in the order of their deadlines, equal ones in FIFO order', async (t) => {
  const log: string[] = [];
  const clock = new VirtualClock();
  await new Scheduler({ clock }).run(function* () {
    for (const [name, ms] of [
      ['a', 30],
      ['b', 10],
      ['c', 20],
      ['d', 10],
      ['e', 30],
      ['f', 10],
    ] as const) {
      spawn(function* () {
        yield* sleep(ms);
        log.push(`${name}@${clock.now()}`);
      });
    }
  });
  t.strictSame(log, ['b@10', 'd@10', 'f@10', 'c@20', 'a@30', 'e@30']);
});

t.test('VirtualClock: time passes only when nothing is ready', async (t) => {
  const clock = new VirtualClock();
  const value = await new Scheduler({ clock }).run(function* () {
    const start = clock.now();
    for (let count = 0; count < 1000; count++) yield* pause();
    t.equal(clock.now(), start);
    yield* sleep(3_600_000);
    return clock.now() - start;
  });
  t.equal(value, 3_600_000);
});

t.test('VirtualClock: an alarm that is cleared does not ring', async (t) => {
  const clock = new VirtualClock();
  let rings = 0;
  clock.setAlarm(5, () => rings++);
  clock.clearAlarm();
  clock.clearAlarm();
  await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(rings, 0);
  t.equal(clock.now(), 0);
});

t.test('a sleep counts from each performance', async (t) => {
  const clock = new VirtualClock();
  const times: number[] = [];
  await new Scheduler({ clock }).run(function* () {
    const nap = sleep(10);
    yield* sleep(3);
    for (let count = 0; count < 3; count++) {
      yield* nap;
      times.push(clock.now());
    }
  });
  t.strictSame(times, [13, 23, 33]);
});

t.test('a sleep of nothing or less returns at once, one of no number is a TypeError', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    spawn(function* () {
      log.push('other');
    });
    yield* sleep(0);
    yield* sleep(-5);
    log.push('slept');
  });
  t.strictSame(log, ['slept', 'other']);
  for (const value of [Number.NaN, '5', undefined]) {
    t.match(
      thrownBy(() => sleep(value as number)),
      { name: 'TypeError', message: /milliseconds, got/ },
    );
  }
});

t.test('a sleep of Infinity ends only by being cancelled, under a virtual clock too', async (t) => {
  await virtually(function* () {
    const sleeper = spawn(() => sleep(Infinity));
    yield* suspend<void>((resume) => {
      setTimeout(resume, 20);
    });
    t.equal(sleeper.state, 'suspended');
    sleeper.cancel();
    yield* pause();
    t.equal(sleeper.state, 'cancelled');
  });
});

t.test('T1 a deadline is absolute and one in the past fires at once', (t) => {
  const { clock, timers } = manual();
  const log: string[] = [];
  clock.time = 100;
  const past = new Timer(timers, () => log.push('past'));
  const future = new Timer(timers, () => log.push('future'));
  future.startAt(150);
  past.startAt(40);
  timers.settle();
  t.ok(clock.alarm <= 100, 'the alarm is due');
  clock.moveTo(100);
  t.strictSame(log, ['past']);
  clock.moveTo(149);
  timers.settle();
  t.strictSame(log, ['past']);
  clock.moveTo(150);
  t.strictSame(log, ['past', 'future']);
  t.equal(timers.live, 0);
  t.end();
});

t.test('T4 timers of one turn cost one reading of the clock and one alarm', (t) => {
  const { clock, timers, turns } = manual();
  const log: number[] = [];
  for (let index = 0; index < 1000; index++) new Timer(timers, () => log.push(index)).start(1000 - index);
  t.equal(clock.readings, 0);
  t.equal(turns.fresh, 1);
  timers.settle();
  t.equal(clock.readings, 1);
  t.equal(clock.alarm, 1);
  clock.moveTo(2000);
  t.equal(log.length, 1000);
  t.strictSame(log.slice(0, 3), [999, 998, 997]);
  t.end();
});

t.test('T4 a timer that is cancelled in its own turn never touches the clock', (t) => {
  const { clock, timers } = manual();
  const list = [1, 2, 3].map(() => new Timer(timers, () => t.fail('expired')));
  for (const timer of list) timer.start(5);
  for (const index of [1, 0, 2]) list[index]!.stop();
  timers.settle();
  t.equal(clock.readings, 0);
  t.equal(clock.alarm, Infinity);
  t.equal(timers.live, 0);
  t.end();
});

t.test('Timer: starting again replaces, stopping is idempotent, expiring once is enough', (t) => {
  const { clock, timers } = manual();
  let count = 0;
  const timer = new Timer(timers, () => count++);
  timer.stop();
  timer.start(10);
  timers.settle();
  timer.start(20);
  timers.settle();
  t.equal(timers.live, 1);
  clock.moveTo(15);
  t.equal(count, 0);
  timers.settle();
  clock.moveTo(20);
  clock.moveTo(100);
  t.equal(count, 1);
  timer.stop();
  timer.stop();
  t.equal(timers.live, 0);
  timer.start(1);
  timers.settle();
  clock.moveTo(101);
  t.equal(count, 2);
  t.end();
});

t.test('Timer: one may stop or start others while it expires', (t) => {
  const { clock, timers } = manual();
  const log: string[] = [];
  const second = new Timer(timers, () => log.push('second'));
  const third = new Timer(timers, () => log.push('third'));
  const first = new Timer(timers, () => {
    log.push('first');
    second.stop();
    third.start(5);
  });
  first.start(1);
  second.start(1);
  timers.settle();
  clock.moveTo(1);
  timers.settle();
  t.strictSame(log, ['first']);
  clock.moveTo(6);
  t.strictSame(log, ['first', 'third']);
  t.end();
});

t.test('T4 cancelled timers are dropped: no memory, no alarm', async (t) => {
  const { clock, timers } = manual();
  const kept = new Timer(timers, () => {});
  kept.start(1_000_000);
  const cancelled: WeakRef<Timer>[] = [];
  for (let round = 0; round < 1000; round++) {
    const timer = new Timer(timers, () => {});
    cancelled.push(new WeakRef(timer));
    timer.start(500_000);
    timers.settle();
    timer.stop();
  }
  // A macrotask has to pass before what a WeakRef has seen can be collected.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  const held = cancelled.filter((timer) => timer.deref() !== undefined).length;
  t.ok(held <= 100, `${held} of 1000 are still held`);
  t.equal(timers.live, 1);
  kept.stop();
  timers.settle();
  t.equal(clock.alarm, Infinity);
});

t.test('T4 arming and cancelling at random agrees with a plain model', (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seeded(seed);
    const { clock, timers } = manual();
    const expired: number[] = [];
    const expected: number[] = [];
    let armings = 0;
    /** The plain model: what is armed, by the number of the timer. */
    const model = new Map<number, { deadline: number; arming: number }>();
    const fresh = new Map<number, { ms: number; arming: number }>();
    const list = Array.from({ length: 300 }, (_, index) => new Timer(timers, () => expired.push(index)));
    const settle = (): void => {
      timers.settle();
      for (const [index, { ms, arming }] of fresh) model.set(index, { deadline: clock.time + ms, arming });
      fresh.clear();
    };
    for (let step = 0; step < 2000; step++) {
      const index = Math.floor(random() * list.length);
      const choice = random();
      if (choice < 0.5) {
        const ms = Math.floor(random() * 50);
        list[index]!.start(ms);
        model.delete(index);
        fresh.set(index, { ms, arming: ++armings });
      } else if (choice < 0.6) {
        const deadline = clock.time + Math.floor(random() * 50) - 5;
        list[index]!.startAt(deadline);
        fresh.delete(index);
        model.set(index, { deadline, arming: ++armings });
      } else if (choice < 0.85) {
        list[index]!.stop();
        model.delete(index);
        fresh.delete(index);
      } else if (choice < 0.87) {
        for (let other = 0; other < 250; other++) {
          list[other]!.stop();
          model.delete(other);
          fresh.delete(other);
        }
      } else {
        settle();
        clock.moveTo(clock.time + Math.floor(random() * 10));
        const due = [...model].filter(([, { deadline }]) => deadline <= clock.time);
        due.sort(([, a], [, b]) => a.deadline - b.deadline || a.arming - b.arming);
        for (const [each] of due) {
          expected.push(each);
          model.delete(each);
        }
        settle();
      }
      if (timers.live !== model.size + fresh.size) {
        t.equal(timers.live, model.size + fresh.size, `seed ${seed}, step ${step}`);
        break;
      }
    }
    t.ok(expected.length > 50);
    t.strictSame(expired, expected, `seed ${seed}`);
  }
  t.end();
});

t.test('T4 the order is kept when most timers are cancelled at random', (t) => {
  const random = seeded(7);
  const { clock, timers } = manual();
  const expired: number[] = [];
  const list = Array.from({ length: 1000 }, (_, index) => new Timer(timers, () => expired.push(index)));
  const deadlines = list.map(() => Math.floor(random() * 100));
  for (const [index, timer] of list.entries()) timer.startAt(deadlines[index]!);
  timers.settle();
  const kept = list.map((_, index) => index).filter(() => random() < 0.2);
  for (const [index, timer] of list.entries()) if (!kept.includes(index)) timer.stop();
  t.equal(timers.live, kept.length);
  for (let time = 0; time <= 100; time++) {
    timers.settle();
    clock.moveTo(time);
  }
  t.strictSame(
    expired,
    kept.toSorted((one, two) => deadlines[one]! - deadlines[two]! || one - two),
  );
  t.end();
});

t.test('T5 RealClock goes in steps to an alarm further away than a Node timer can be', (t) => {
  const delays: unknown[] = [];
  t.intercept(globalThis, 'setTimeout', {
    value: (_callback: () => void, ms: number) => {
      delays.push(ms);
      return undefined;
    },
  });
  new RealClock().setAlarm(Infinity, () => {});
  new RealClock().setAlarm(performance.now() + 2 ** 31 + 5, () => {});
  new RealClock().setAlarm(performance.now() - 100, () => {});
  t.strictSame(delays, [2_147_483_647, 2_147_483_647, 1]);
  t.end();
});

t.test('T5 a delay above 2^31 - 1 ms is neither cut nor early', async (t) => {
  const clock = new VirtualClock();
  await new Scheduler({ clock }).run(() => sleep(2 ** 31 + 1000));
  t.equal(clock.now(), 2 ** 31 + 1000);
});

t.test('T5 an alarm that comes early is set again', async (t) => {
  const clock = new ManualClock();
  const scheduler = new Scheduler({ clock });
  let isOver = false;
  const promise = scheduler.run(function* () {
    yield* sleep(100);
    isOver = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(clock.alarm, 100);
  clock.time = 60;
  clock.alarm = 0;
  clock.moveTo(60);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(clock.alarm, 100);
  t.notOk(isOver);
  clock.moveTo(100);
  await promise;
  t.ok(isOver);
});

t.test('RealClock: an earlier alarm replaces a later one, a later one waits', async (t) => {
  const clock = new RealClock();
  const log: string[] = [];
  clock.setAlarm(clock.now() + 60_000, () => log.push('minute'));
  await new Promise<void>((resolve) => {
    clock.setAlarm(clock.now() + 1, () => {
      log.push('first');
      resolve();
    });
    clock.setAlarm(clock.now() + 30_000, () => log.push('replaced'));
  });
  t.strictSame(log, ['first']);
  clock.setAlarm(clock.now() + 1, () => log.push('cleared'));
  clock.clearAlarm();
  clock.clearAlarm();
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.strictSame(log, ['first']);
});

t.test('a sleep is never early on the real clock', async (t) => {
  const early: number[] = [];
  await new Scheduler().run(function* () {
    for (let index = 0; index < 50; index++) {
      const ms = (index % 10) + 0.3;
      spawn(function* () {
        const start = performance.now();
        yield* sleep(ms);
        const slept = performance.now() - start;
        if (slept < ms) early.push(slept - ms);
      });
      yield* sleep(0.5);
    }
  });
  t.strictSame(early, []);
});

const timeouts = (): number =>
  process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;

t.test('a cancelled sleep does not keep the process alive', async (t) => {
  const before = timeouts();
  let during = 0;
  const sleepers: Coroutine<void>[] = [];
  await new Scheduler().run(function* () {
    for (let index = 0; index < 3; index++) sleepers.push(spawn(() => sleep(60_000 + index)));
    spawn(forever, { daemon: true });
    yield* suspend<void>((resume) => {
      setImmediate(() => {
        during = timeouts();
        resume();
      });
    });
    for (const sleeper of sleepers) sleeper.cancel();
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(during, before + 1, 'one Node timer for all');
  t.equal(timeouts(), before);
});
