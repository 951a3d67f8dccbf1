// A long run of random spawning, cancelling, selecting and timing out, after which the heap and the number of
// living coroutines must be what they were: `npm run soak`, for SECONDS (600), from SEED.

import {
  after,
  Channel,
  type Co,
  type Coroutine,
  dump,
  every,
  Mutex,
  never,
  pause,
  Scheduler,
  scope,
  select,
  shield,
  sleep,
  spawn,
  suspend,
  timeout,
  wait,
} from '../../../scheduler/index.ts';
import { Random } from '../../../scheduler/kernel/random.ts';

const seconds = Number(process.env['SECONDS'] ?? 600);
const random = new Random(Number(process.env['SEED'] ?? Date.now()));
const scheduler = new Scheduler({ seed: random.seed });
/** Growth of the heap that is noise, in bytes. */
const NOISE = 1024 * 1024;

const channels = Array.from({ length: 8 }, (_, index) => new Channel<number>(index % 4));
const mutex = new Mutex();
/** Outlives all that is run: whoever waits for it must leave nothing with it. */
const eternal = new Promise<never>(() => {});
let performed = 0;

function pick<T>(choices: readonly T[]): T {
  return choices[random.below(choices.length)]!;
}

/** One random thing to do; each ends by itself, or by the cancellation of its round. */
function* act(depth: number): Co<unknown> {
  performed++;
  const channel = pick(channels);
  switch (random.below(12)) {
    case 0:
      return yield* channel.send(performed);
    case 1:
      return yield* channel.receive();
    case 2:
      return yield* sleep(random.below(3));
    case 3:
      return yield* select({
        a: channel.receive(),
        b: pick(channels).send(performed),
        c: random.below(2) === 0 ? never : pick(channels).receive(),
        d: after(random.below(4)),
        e: wait(eternal),
      });
    case 4:
      return yield* timeout(random.below(3), () => act(depth));
    case 5:
      return yield* pause();
    case 6:
      return yield* random.below(2) === 0 ? wait(Promise.resolve(1)) : wait(untilAborted);
    case 7:
      return yield* suspend((resume) => {
        const immediate = setImmediate(resume);
        return () => clearImmediate(immediate);
      });
    case 8: {
      const lock = yield* mutex.lock();
      try {
        return yield* pause();
      } finally {
        lock.unlock();
      }
    }
    case 9:
      return yield* select({ tick: every(1 + random.below(3)), end: channel.receive() });
    default:
      return depth > 3 ? yield* pause() : yield* family(depth + 1);
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** A few coroutines that cancel, join and time out each other. */
function* family(depth: number): Co<void> {
  try {
    yield* scope(function* (jobs) {
      const members: Coroutine<unknown>[] = [];
      for (let count = 1 + random.below(4); count > 0; count--) {
        const options = {
          daemon: random.below(4) === 0,
          onError: random.below(3) === 0 ? ignore : undefined,
        };
        members.push(jobs.spawn(() => act(depth), options));
      }
      if (random.below(3) === 0) yield* act(depth);
      if (random.below(2) === 0) pick(members).cancel();
      if (random.below(3) === 0) yield* select({ end: pick(members).join(), late: sleep(1) });
      if (random.below(8) === 0) throw new Error('as planned');
      if (random.below(8) === 0) jobs.cancel();
    });
  } catch {
    // Failing and being cut off is what it is for.
  } finally {
    if (random.below(4) === 0) yield* shield(() => sleep(1), { timeout: random.below(3) });
  }
}

function ignore(): void {}

function* round(): Co<void> {
  const crowd = spawn(function* () {
    for (let count = 0; count < 50; count++) spawn(() => family(0), { onError: ignore });
    yield* sleep(5);
  });
  yield* select({ end: crowd.join(), late: sleep(10) });
  crowd.cancel();
  try {
    yield* crowd.join();
  } catch {
    // It was cut off.
  }
}

function heap(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** What is left when nothing runs. */
function leftovers(): string[] {
  const left: string[] = [];
  if (dump().length > 0) left.push(`${dump().length} coroutines`);
  if (scheduler.timers.live > 0) left.push(`${scheduler.timers.live} timers`);
  for (const { senders, receivers } of channels) {
    if (senders.length + receivers.length > 0) left.push('waiters on a channel');
  }
  if (mutex.isLocked || mutex.waiting > 0) left.push('a lock');
  return left;
}

async function during(ms: number): Promise<number> {
  const end = performance.now() + ms;
  while (performance.now() < end) await scheduler.run(round);
  return heap();
}

const total = seconds * 1000;
const before = await during(total / 10);
const performedBefore = performed;
const past = await during((total * 9) / 10);
const left = leftovers();
const grown = past - before;
console.log(
  `seed ${random.seed}: ${performed - performedBefore} operations in ${(seconds * 0.9).toFixed()} s; ` +
    `heap ${(before / 1024).toFixed()} -> ${(past / 1024).toFixed()} KiB; left: ${left.join(', ') || 'nothing'}`,
);
if (grown > NOISE || left.length > 0) process.exitCode = 1;
