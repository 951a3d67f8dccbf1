import t from 'tap';
import {
  after,
  Channel,
  closed,
  type Co,
  type Coroutine,
  current,
  every,
  Mutex,
  never,
  type Operation,
  pause,
  scope,
  select,
  shield,
  sleep,
  suspend,
  timeout,
  TimeoutError,
  wait,
} from '../../../scheduler/index.ts';
import { everyPoint, type Play } from '../../support/scheduler/every-point.ts';

/** Plays, and expects nothing to go wrong and the victim to be cancelled in some of the plays. */
function cancelled(name: string, ...plays: (() => Play)[]): void {
  void t.test(`cancelled at every point: ${name}`, async (t) => {
    for (const play of plays) {
      const { failures, points, cancelled: count } = await everyPoint(play);
      t.strictSame(failures, []);
      t.ok(count > 0, `${count} cancelled at ${points} points`);
    }
  });
}

/** A victim that sends or receives on its channels, and those at the other ends; no value is lost or doubled. */
function exchange(capacity: number, victimSends: boolean, ...others: number[]): Play {
  const channel = new Channel<number>(capacity, { name: 'line' });
  const sent: number[] = [];
  const received: number[] = [];
  let next = 0;
  function* sendMany(count: number): Co<void> {
    for (let left = count; left > 0; left--) {
      const value = next++;
      yield* channel.send(value);
      sent.push(value);
    }
  }
  function* receiveMany(count: number): Co<void> {
    for (let left = count; left > 0; left--) received.push((yield* channel.receive()) as number);
  }
  const [mine, theirs] = victimSends ? [sendMany, receiveMany] : [receiveMany, sendMany];
  return {
    victims: [() => mine(others.reduce((sum, count) => sum + count, 0))],
    others: others.map((count) => () => theirs(count)),
    channels: [channel],
    // A send that has returned was taken, or is in the buffer; no other is.
    verify: () => compare(sent, [...received, ...buffered(channel)]),
  };
}

function buffered(channel: Channel<number>): unknown[] {
  return Array.from({ length: channel.length }, () => channel.tryReceive());
}

function compare(sent: number[], arrived: unknown[]): string | undefined {
  const expected = sent.toSorted((a, b) => a - b).join();
  const actual = (arrived as number[]).toSorted((a, b) => a - b).join();
  return expected === actual ? undefined : `sent ${expected}, arrived ${actual}`;
}

for (const capacity of [0, 1, 3]) {
  cancelled(`send, capacity ${capacity}`, () => exchange(capacity, true, 3, 2));
  cancelled(`receive, capacity ${capacity}`, () => exchange(capacity, false, 3, 2));
}

cancelled('close, with waiters on both sides of a relay', () => {
  const input = new Channel<number>(1, { name: 'input' });
  const output = new Channel<number>(0, { name: 'output' });
  const sent: number[] = [];
  const received: number[] = [];
  let kept: number | null = null;
  return {
    victims: [
      function* () {
        try {
          for (let value; (value = yield* input.receive()) !== closed;) {
            kept = value;
            yield* output.send(value);
            kept = null;
          }
        } finally {
          output.close();
        }
      },
    ],
    others: [
      function* () {
        for (const value of [1, 2, 3]) {
          yield* input.send(value);
          sent.push(value);
        }
        input.close();
      },
      function* () {
        for (let value; (value = yield* output.receive()) !== closed;) received.push(value);
      },
    ],
    channels: [input, output],
    verify: () => compare(sent, [...received, ...buffered(input), ...(kept === null ? [] : [kept])]),
  };
});

/** A thing to wait for, how it comes after 3 ms, and what must hold when all is over. */
interface World {
  wait(): Operation<unknown>;
  serve?(): Co<unknown>;
  channels?: Channel<number>[];
  /** What is done with it once it has come. */
  use?(value: unknown): void;
  /** `count` says how often it has come. */
  verify?(count: number): string | undefined;
}

const kinds: Record<string, () => World> = {
  send() {
    const channel = new Channel<number>();
    let taken = 0;
    return {
      channels: [channel],
      wait: () => channel.send(1),
      *serve() {
        yield* sleep(3);
        taken += (yield* channel.receive()) as number;
      },
      verify: (count) => (taken === count ? undefined : `sent ${count}, but ${taken} were taken`),
    };
  },
  receive() {
    const channel = new Channel<number>();
    let given = 0;
    return {
      channels: [channel],
      wait: () => channel.receive(),
      *serve() {
        yield* sleep(3);
        yield* channel.send(1);
        given++;
      },
      verify: (count) => (given === count ? undefined : `received ${count}, but ${given} were given`),
    };
  },
  lock() {
    const mutex = new Mutex();
    const first = mutex.tryLock();
    return {
      wait: () => mutex.lock(),
      *serve() {
        yield* sleep(3);
        first!.unlock();
      },
      use: (lock) => (lock as Disposable)[Symbol.dispose](),
      verify: () => (mutex.isLocked || mutex.waiting > 0 ? 'the mutex was not given back' : undefined),
    };
  },
  suspend() {
    let resumeIt: ((error: unknown, value: number) => void) | null = null;
    let takenBack = 0;
    let begun = 0;
    return {
      wait: () =>
        suspend<number>((resume) => {
          begun++;
          resumeIt = resume;
          return () => takenBack++;
        }),
      *serve() {
        yield* sleep(3);
        resumeIt?.(null, 1);
      },
      verify: (count) =>
        begun === count + takenBack ? undefined : `begun ${begun}, ended ${count}, taken back ${takenBack}`,
    };
  },
  'wait(fn)'() {
    let begun = 0;
    let aborted = 0;
    let resolveIt: ((value: number) => void) | null = null;
    return {
      wait: () =>
        wait(
          (signal) =>
            new Promise((resolve) => {
              begun++;
              resolveIt = resolve;
              signal.addEventListener('abort', () => aborted++);
            }),
        ),
      *serve() {
        yield* sleep(3);
        resolveIt?.(1);
      },
      verify: (count) =>
        begun === count + aborted ? undefined : `begun ${begun}, ended ${count}, aborted ${aborted}`,
    };
  },
  'wait(promise)'() {
    let resolveIt: (value: number) => void;
    const promise = new Promise<number>((resolve) => (resolveIt = resolve));
    return {
      wait: () => wait(promise),
      *serve() {
        yield* sleep(3);
        resolveIt(1);
      },
    };
  },
  join() {
    let target: Coroutine<number>;
    return {
      wait: () => target.join(),
      *serve() {
        target = current() as Coroutine<number>;
        yield* sleep(3);
      },
    };
  },
  sleep: () => ({ wait: () => sleep(3) }),
  after: () => ({ wait: () => after(3) }),
  every: () => ({ wait: () => every(3) }),
  pause: () => ({ wait: () => pause() }),
};

/** Nothing that a kind gives. */
const lost = Symbol('lost');

/** The ways to wait for it. Each gives what came, or `lost`. */
const ways: Record<string, (world: World) => Co<unknown>> = {
  *alone(world) {
    return yield* world.wait();
  },
  *'twice, the same operation'(world) {
    const operation = world.wait();
    const first = yield* select({ operation, soon: sleep(1) });
    if (first.key === 'operation') return first.value;
    return yield* operation;
  },
  *'in a select'(world) {
    return (yield* select({ off: never, operation: world.wait() })).value;
  },
  *'in a select that it loses'(world) {
    const first = yield* select({ operation: world.wait(), soon: after(1) });
    return first.key === 'operation' ? first.value : lost;
  },
  *'in a select that it loses narrowly'(world) {
    const first = yield* select({ operation: world.wait(), soon: sleep(3) });
    return first.key === 'operation' ? first.value : lost;
  },
  *'in a scope'(world) {
    return yield* scope(function* (jobs) {
      const job = jobs.spawn(() => sleep(4));
      const value = yield* world.wait();
      job.cancel();
      return value;
    });
  },
  *'in a timeout that ends it'(world) {
    return yield* orLost(() => timeout(2, () => world.wait()));
  },
  *'in a timeout that ends as it comes'(world) {
    return yield* orLost(() => timeout(3, () => world.wait()));
  },
  *'in a shield'(world) {
    return yield* shield(() => world.wait());
  },
  *'in a shield that ends it'(world) {
    return yield* orLost(() => shield(() => world.wait(), { timeout: 2 }));
  },
};

function* orLost(body: () => Co<unknown>): Co<unknown> {
  try {
    return yield* body();
  } catch (error) {
    if (error instanceof TimeoutError) return lost;
    throw error;
  }
}

for (const [kind, make] of Object.entries(kinds)) {
  cancelled(
    `${kind}, waited for in each way`,
    ...Object.values(ways).map((way) => () => {
      const world = make();
      let count = 0;
      return {
        victims: [
          function* () {
            // The others have begun by then.
            yield* pause();
            const value = yield* way(world);
            if (value === lost) return;
            count++;
            world.use?.(value);
            // What a shield kept away is thrown here at last.
            yield* pause();
          },
        ],
        others: world.serve === undefined ? [] : [() => world.serve!()],
        channels: world.channels ?? [],
        verify: () => world.verify?.(count),
      };
    }),
  );
}
