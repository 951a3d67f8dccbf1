import t from 'tap';
import {
  Channel,
  type Co,
  pause,
  Scheduler,
  select,
  sleep,
  spawn,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { runProgram } from '../../support/programs/program.ts';

/** A clock that a coroutine can move on, as if it had computed for so long. */
class HeldClock extends VirtualClock {
  #held = 0;

  hold(ms: number): void {
    this.#held += ms;
  }

  override now(): number {
    return super.now() + this.#held;
  }
}

type Warning = [message: string, options: { code: string; detail: string }];

/** The warnings that are emitted while a promise is pending; they are not printed. */
async function warningsDuring(pending: () => Promise<unknown>): Promise<Warning[]> {
  const { emitWarning } = process;
  const warnings: Warning[] = [];
  process.emitWarning = ((...warning: Warning) => void warnings.push(warning)) as typeof emitWarning;
  await pending();
  process.emitWarning = emitWarning;
  return warnings;
}

/** Two coroutines that hold the thread, one twice and one just not too long. */
function holding(clock: HeldClock, options: { asyncContext?: boolean } = {}): () => Promise<void> {
  const scheduler = new Scheduler({ clock, holdLimit: 50 });
  function* body(): Co<void> {
    spawn(function* cruncher() {
      for (let count = 0; count < 2; count++) {
        clock.hold(51 + count);
        yield* pause();
      }
      clock.hold(50);
    });
    spawn(
      function* () {
        clock.hold(60);
        throw new Error('held and failed');
      },
      { name: 'the clumsy one', onError: () => {} },
    );
    yield* sleep(1);
  }
  return () => scheduler.run(body, options);
}

t.test(
  'a coroutine that holds the thread for longer than the limit is named in a process warning',
  async (t) => {
    for (const asyncContext of [false, true]) {
      const warnings = await warningsDuring(holding(new HeldClock(), { asyncContext }));
      t.strictSame(
        warnings.map(([message]) => message),
        [
          'the coroutine cruncher held the thread for 51 ms; nothing else could run',
          'the coroutine the clumsy one held the thread for 60 ms; nothing else could run',
          'the coroutine cruncher held the thread for 52 ms; nothing else could run',
        ],
      );
      t.match(warnings[0]?.[1], { code: 'SKEIN_HELD', detail: /pause\(\)/ });
    }
  },
);

t.test('the time that others hold the thread, and time spent waiting, is not counted', async (t) => {
  const clock = new HeldClock();
  const scheduler = new Scheduler({ clock, holdLimit: 100 });
  const warnings = await warningsDuring(() =>
    scheduler.run(function* () {
      for (let count = 0; count < 10; count++) {
        spawn(function* () {
          clock.hold(30);
          yield* pause();
          clock.hold(30);
        });
      }
      yield* sleep(1000);
    }),
  );
  t.strictSame(warnings, []);
});

t.test('with the limit Infinity there is no warning, and the clock is not read for it', async (t) => {
  let readings = 0;
  class Counting extends HeldClock {
    override now(): number {
      readings++;
      return super.now();
    }
  }
  const count = async (holdLimit: number): Promise<number> => {
    const clock = new Counting();
    const scheduler = new Scheduler({ clock, holdLimit });
    readings = 0;
    const warnings = await warningsDuring(() =>
      scheduler.run(function* () {
        for (let left = 10; left > 0; left--) yield* pause();
        clock.hold(10_000);
      }),
    );
    t.equal(warnings.length, holdLimit === Infinity ? 0 : 1);
    return readings;
  };
  const timed = await count(100);
  const free = await count(Infinity);
  t.ok(timed >= free + 20, `${timed} readings against ${free}`);
});

t.test('by default the limit is 100 ms, and none in production', async (t) => {
  const program = `
    import { pause, run } from 'skein/scheduler';
    await run(function* hog() {
      yield* pause();
      for (const end = performance.now() + 120; performance.now() < end; );
      yield* pause();
    });
  `;
  const outputs = await Promise.all(
    ['development', 'production', ''].map(async (mode) => {
      const { exited, output } = runProgram(['--input-type=module', '-e', program], { NODE_ENV: mode });
      t.equal(await exited, 0);
      return output();
    }),
  );
  t.match(outputs[0], /\[SKEIN_HELD\] Warning: the coroutine hog held the thread for \d{3,} ms/);
  t.notMatch(outputs[1], 'SKEIN_HELD');
  t.match(outputs[2], 'SKEIN_HELD');
});

t.test('a scheduler refuses a limit or a seed that is none', (t) => {
  const wrong: [object, string][] = [
    [{ holdLimit: -1 }, 'Scheduler expects milliseconds as its holdLimit, got -1'],
    [{ holdLimit: NaN }, 'Scheduler expects milliseconds as its holdLimit, got NaN'],
    [{ holdLimit: 'long' }, 'Scheduler expects milliseconds as its holdLimit, got "long"'],
    [{ seed: NaN }, 'Scheduler expects a number as its seed, got NaN'],
    [{ seed: 'seed' }, 'Scheduler expects a number as its seed, got "seed"'],
  ];
  for (const [options, message] of wrong) {
    t.throws(() => new Scheduler(options), { name: 'TypeError', message });
  }
  t.end();
});

t.test('the same seed makes the same choices, another one others', async (t) => {
  const choices = (seed: number | undefined): Promise<string> =>
    new Scheduler(seed === undefined ? {} : { seed }).run(function* () {
      const channels = [0, 1, 2, 3].map(() => new Channel<number>(100));
      for (const channel of channels) for (let count = 0; count < 100; count++) channel.trySend(count);
      let keys = '';
      for (let count = 0; count < 64; count++) {
        const [a, b, c, d] = channels.map((channel) => channel.receive());
        keys += (yield* select({ a: a!, b: b!, c: c!, d: d! })).key;
      }
      return keys;
    });
  t.equal(await choices(7), await choices(7));
  const different = new Set(
    await Promise.all([0, 1, 2, 3, 7, 2 ** 31, -1, undefined, undefined].map(choices)),
  );
  t.equal(different.size, 9);
  for (const keys of different) for (const key of 'abcd') t.match(keys, key, 'each has its chance');
});
