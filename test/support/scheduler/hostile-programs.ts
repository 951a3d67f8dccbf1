// Random programs that end as no program should: odd values are thrown, scopes are begun by hand and left in any
// order, cleanup fails, coroutines cancel each other and themselves while they unwind. A program is data; `play` runs
// it in a world of its own and says what went wrong.

import * as vm from 'node:vm';
import * as fc from 'fast-check';
import {
  all,
  allSettled,
  any,
  CancelledError,
  type Co,
  type Coroutine,
  current,
  dump,
  forEach,
  pause,
  race,
  retry,
  Scheduler,
  scope,
  shield,
  sleep,
  spawn,
  suspend,
  timeout,
  TimeoutError,
  VirtualClock,
} from '../../../scheduler/index.ts';

const WRAPPERS = [
  'scope',
  'timeout',
  'shield',
  'all',
  'allSettled',
  'any',
  'race',
  'forEach',
  'retry',
] as const;
type Wrapper = (typeof WRAPPERS)[number];

/** What is done with a generator that was begun by hand, once control is back. */
const LEAVINGS = ['drop', 'return', 'throw', 'next', 'destructure', 'later'] as const;

type Step =
  | { do: 'sleep'; ms: number }
  | { do: 'pause' }
  | { do: 'throw'; what: number }
  | { do: 'return' }
  | { do: 'spawn'; body: Step[]; onError: 'none' | 'keep' | 'same' | 'other'; isDaemon: boolean }
  | { do: 'wrap'; wrapper: Wrapper; body: Step[]; other: Step[] }
  | { do: 'begin'; wrapper: Wrapper; body: Step[]; other: Step[]; leaving: (typeof LEAVINGS)[number] }
  | { do: 'leave'; which: number }
  | { do: 'catch'; body: Step[] }
  | { do: 'cleanup'; body: Step[]; cleanup: Step[]; isShielded: boolean }
  | { do: 'cancel'; which: number; what: number }
  | { do: 'join'; which: number }
  | { do: 'hook'; what: number }
  | { do: 'listen'; which: number }
  | { do: 'deep'; body: Step[]; room: number };

export type Program = readonly Step[];

const small = fc.nat({ max: 30 });

export const program: fc.Arbitrary<Step[]> = fc.letrec<{ step: Step; block: Step[] }>((tie) => ({
  block: fc.array(tie('step'), { maxLength: 4, depthIdentifier: 'block' }),
  step: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'block', withCrossShrink: true },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('sleep' as const), ms: fc.nat({ max: 4 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('throw' as const), what: small }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('return' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), which: small }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: small, what: small }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('join' as const), which: small }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('hook' as const), what: small }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('listen' as const), which: small }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('spawn' as const),
        body: tie('block'),
        onError: fc.constantFrom(
          'none' as const,
          'none' as const,
          'keep' as const,
          'same' as const,
          'other' as const,
        ),
        isDaemon: fc.boolean(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('wrap' as const),
        wrapper: fc.constantFrom(...WRAPPERS),
        body: tie('block'),
        other: tie('block'),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('begin' as const),
        wrapper: fc.constantFrom(...WRAPPERS),
        body: tie('block'),
        other: tie('block'),
        leaving: fc.constantFrom(...LEAVINGS),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('catch' as const), body: tie('block') }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('cleanup' as const),
        body: tie('block'),
        cleanup: tie('block'),
        isShielded: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('deep' as const),
        body: tie('block'),
        room: fc.nat({ max: 60 }),
      }),
    },
  ) as fc.Arbitrary<Step>,
})).block;

/** Things that can be thrown, each a new one. */
const ODD: readonly (() => unknown)[] = [
  () => new Error('plain'),
  () => Object.freeze(new Error('frozen')),
  () => Object.defineProperty(new Error('a cause that throws'), 'cause', { get: refuse }),
  () => Object.defineProperty(new Error('a stack that throws'), 'stack', { get: refuse }),
  revoked,
  () =>
    new Proxy(new Error('behind a proxy'), { get: refuse, getPrototypeOf: refuse, has: refuse, set: refuse }),
  () => new CancelledError('made up'),
  () => new TimeoutError('made up'),
  () => vm.runInNewContext('new Error("of another realm")') as unknown,
  () => Object.create(null) as unknown,
  () => Symbol('thrown'),
  // oxlint-disable-next-line unicorn/no-thenable -- what is thrown may look like a promise
  () => Object.defineProperty({}, 'then', { get: refuse }),
  () => () => {},
  () => ({ toString: refuse }),
  () => [new Error('in an array')],
  () => new AggregateError([new Error('inside')], 'several'),
];

function refuse(): never {
  throw new Error('looked at what was thrown');
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable(new Error('revoked'), {});
  revoke();
  return proxy;
}

/** Runs a program; gives what is wrong with how it ended. */
export async function play(steps: Program): Promise<string[]> {
  const complaints: string[] = [];
  const scheduler = new Scheduler({ clock: new VirtualClock(), seed: 1 });
  const before = dump().length;
  const run = new Run();
  const world = { hasEnded: false, isAlive: false };
  void scheduler
    .run(() => run.coroutine(steps, []), { name: 'main' })
    .catch((error: unknown) => run.see(error))
    .finally(() => {
      world.hasEnded = true;
      if (run.live > 0) complaints.push(`${run.live} coroutines were left when it had ended`);
    });
  await turns(2_000, () => world.hasEnded);
  if (!world.hasEnded) complaints.push('it did not end');
  // An operation that was begun by hand and dropped has its timer until that expires.
  await turns(100, () => scheduler.timers.live === 0);
  if (scheduler.timers.live > 0) complaints.push(`${scheduler.timers.live} timers were left`);
  const left = dump().length - before;
  if (left !== 0) complaints.push(`${left} coroutines are in the dump`);
  for (const error of run.escaped) if (!run.seen.has(error)) complaints.push(`lost: ${run.names.get(error)}`);
  // Whatever has happened, the scheduler goes on.
  void scheduler.run(function* () {
    yield* sleep(1);
    world.isAlive = true;
  });
  await turns(20, () => world.isAlive);
  if (!world.isAlive) complaints.push('the scheduler does not run any more');
  return complaints;
}

/** Lets the event loop turn, at most so often. */
async function turns(most: number, isOver: () => boolean): Promise<void> {
  for (let turn = 0; turn < most && !isOver(); turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A program that is running, and its books. */
class Run {
  live = 0;
  /** What bodies of coroutines have thrown, and somebody must be given. */
  readonly escaped = new Set<unknown>();
  /** What somebody was given. */
  readonly seen = new Set<unknown>();
  readonly names = new Map<unknown, string>();
  readonly #coroutines: Coroutine<unknown>[] = [];
  readonly #begun: Co<unknown>[] = [];
  #count = 0;

  see(error: unknown): void {
    if (this.seen.has(error)) return;
    this.seen.add(error);
    if (this.names.has(error)) return;
    // Ours: several errors, or one with a reason.
    for (const inner of insides(error)) this.see(inner);
  }

  #odd(what: number): unknown {
    const error = ODD[what % ODD.length]!();
    this.names.set(error, `number ${what % ODD.length} thrown as ${this.#count++}`);
    return error;
  }

  /** The body of a coroutine. */
  *coroutine(steps: Program, path: readonly string[]): Co<void> {
    this.live++;
    this.#coroutines.push(current());
    try {
      yield* this.#block(steps, path);
    } catch (error) {
      if (!isCancelled(error)) this.escaped.add(error);
      throw error;
    } finally {
      this.live--;
    }
  }

  *#block(steps: Program, path: readonly string[]): Co<void> {
    for (const step of steps) {
      if (step.do === 'return') return;
      yield* this.#step(step, path);
    }
  }

  *#step(step: Step, path: readonly string[]): Co<void> {
    switch (step.do) {
      case 'sleep':
        return yield* sleep(step.ms);
      case 'pause':
        return yield* pause();
      case 'throw':
        throw this.#odd(step.what);
      case 'return':
        return;
      case 'spawn': {
        const { onError: kind } = step;
        const onError = (error: unknown): void => {
          this.see(error);
          if (kind === 'same') throw this.#unseen(error);
          if (kind === 'other') throw this.#escape(this.#odd(step.body.length));
        };
        spawn(() => this.coroutine(step.body, path), {
          daemon: step.isDaemon,
          ...(kind === 'none' ? {} : { onError }),
        });
        return;
      }
      case 'wrap':
        yield* this.#wrapped(step, path);
        return;
      case 'begin':
        return this.#begin(this.#wrapped(step, path), step.leaving);
      case 'leave': {
        const one = this.#begun[step.which % Math.max(1, this.#begun.length)];
        if (one !== undefined) this.#leave(one);
        return;
      }
      case 'catch':
        try {
          yield* this.#block(step.body, path);
        } catch (error) {
          this.see(error);
        }
        return;
      case 'cleanup':
        return yield* this.#cleanUp(step, path);
      case 'cancel':
        this.#pick(step.which)?.cancel(this.#odd(step.what));
        return;
      case 'join': {
        const target = this.#pick(step.which);
        if (target !== undefined) yield* target.join();
        return;
      }
      case 'hook':
        return yield* timeout(2, () =>
          suspend<void>(() => () => {
            throw this.#odd(step.what);
          }),
        );
      case 'listen':
        this.#pick(step.which)?.signal.addEventListener('abort', () => this.#pick(step.which + 1)?.cancel());
        return;
      default:
        return this.#deep(step.body, step.room, path);
    }
  }

  #pick(which: number): Coroutine<unknown> | undefined {
    return this.#coroutines[which % this.#coroutines.length];
  }

  #unseen(error: unknown): unknown {
    this.seen.delete(error);
    return this.#escape(error);
  }

  #escape(error: unknown): unknown {
    if (!isCancelled(error)) this.escaped.add(error);
    return error;
  }

  *#wrapped({ wrapper, body, other }: Step & { do: 'wrap' | 'begin' }, path: readonly string[]): Co<unknown> {
    const inside = [...path, wrapper];
    const block = (): Co<void> => this.#block(body, inside);
    const bodies = [
      (): Co<void> => this.coroutine(body, inside),
      (): Co<void> => this.coroutine(other, inside),
    ];
    switch (wrapper) {
      case 'scope':
        return yield* scope(block);
      case 'timeout':
        return yield* timeout(other.length, block);
      case 'shield':
        return yield* shield(block, other.length > 2 ? { timeout: 3 } : {});
      case 'all':
        return yield* all(bodies);
      case 'race':
        return yield* race(bodies);
      case 'forEach':
        return yield* forEach(bodies, { concurrency: 1 + (other.length % 2) }, (one) => one());
      case 'allSettled':
        // Errors are part of a result that a generator which was dropped gives to nobody.
        return yield* allSettled(bodies.map((one) => () => this.#dropping(() => scope(one))));
      case 'any':
        // Errors count only if nobody has a result.
        return yield* any(bodies.map((one) => () => this.#dropping(() => scope(one))));
      default:
        return yield* retry({ attempts: 2, base: 1, when: (error) => (this.see(error), true) }, block);
    }
  }

  /** For what drops errors by its contract. */
  *#dropping(body: () => Co<void>): Co<void> {
    try {
      yield* body();
    } catch (error) {
      this.see(error);
      throw error;
    }
  }

  *#cleanUp({ body, cleanup, isShielded }: Step & { do: 'cleanup' }, path: readonly string[]): Co<void> {
    let pending: { error: unknown } | undefined;
    try {
      yield* this.#block(body, path);
    } catch (error) {
      pending = { error };
      throw error;
    } finally {
      try {
        if (isShielded) yield* shield(() => this.#block(cleanup, path));
        else yield* this.#block(cleanup, path);
      } catch (error) {
        if (pending !== undefined) this.see(pending.error);
        // oxlint-disable-next-line no-unsafe-finally -- it takes the place of the other, as JavaScript has it
        throw error;
      }
    }
  }

  /** What a forgotten `yield*` does, or somebody who takes generators for iterators. */
  #begin(generator: Co<unknown>, leaving: (typeof LEAVINGS)[number]): void {
    if (leaving === 'destructure') {
      const [first, second] = generator as Iterable<unknown>;
      void [first, second];
      return;
    }
    generator.next();
    if (leaving === 'later') this.#begun.push(generator);
    else if (leaving === 'return') generator.return(undefined);
    else if (leaving === 'next') generator.next();
    else if (leaving === 'throw') this.#throwInto(generator);
  }

  #throwInto(generator: Co<unknown>): void {
    const error = new Error('thrown into it');
    try {
      generator.throw(error);
    } catch (thrown) {
      this.see(thrown);
    }
  }

  #leave(generator: Co<unknown>): void {
    try {
      generator.return(undefined);
    } catch (error) {
      // It is running: who leaves it stands inside.
      if (error instanceof TypeError && /already running/.test(error.message)) return;
      throw error;
    }
  }

  /** Begins a block where hardly any stack is left. */
  #deep(body: Step[], room: number, path: readonly string[]): void {
    let left = room;
    const begun: Co<unknown>[] = [];
    const sink = (): void => {
      try {
        sink();
      } catch (error) {
        if (left-- > 0) throw error;
        if (left < -1) return;
        const generator = this.#wrapped(
          { do: 'begin', wrapper: 'scope', body, other: [], leaving: 'drop' },
          path,
        );
        begun.push(generator);
        generator.next();
      }
    };
    try {
      sink();
    } catch (error) {
      this.see(error);
    }
    for (const one of begun) this.#leave(one);
    // A call of `cancel` that the stack had no room for can be made again.
    for (const one of this.#coroutines) if (one.cancelled) one.cancel();
  }
}

function insides(error: unknown): unknown[] {
  try {
    if (error instanceof AggregateError) return error.errors as unknown[];
  } catch {
    // It is none of ours.
  }
  return [];
}

function isCancelled(error: unknown): boolean {
  try {
    return error instanceof CancelledError;
  } catch {
    return false;
  }
}
