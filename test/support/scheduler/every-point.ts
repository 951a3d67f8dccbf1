// Cancellation at every point of a program: played once undisturbed to count its points, and then again for
// each of them. A point is a coroutine that is made ready, or the end of a turn, when all wait. The victim is
// cancelled on the spot, or by a coroutine that runs right before the one that was made ready, or right behind
// it. So it is cancelled while it waits, when what it waited for has come but it has not run, before it has
// begun, and in between whatever the others do; and whoever is spared must go on.

import {
  after,
  type Body,
  CancelledError,
  type Channel,
  type Co,
  type Coroutine,
  Scheduler,
  type Scope,
  select,
  spawn,
  type SpawnOptions,
  VirtualClock,
  wait,
} from '../../../scheduler/index.ts';
import { roots } from '../../../scheduler/kernel/coroutine.ts';

/** How a victim has ended. */
export type Ending = { readonly value: unknown } | { readonly error: unknown };

/** One world, made anew for each play. */
export interface Play {
  /** Each of them is cancelled, and every two. Undisturbed, or spared, they return. */
  victims: Body<unknown>[];
  /** What runs beside them. They may wait in vain, but must not fail, and not go on for ever. */
  others?: Body<unknown>[];
  /** Nobody must be left waiting on them. */
  channels?: Channel<any>[];
  /** In which ways they are cancelled; by default in all. */
  ways?: readonly Way[];
  /** Whether a victim may fail with this error when it is cancelled. By default it must not fail. */
  mayFail?(error: unknown): boolean;
  /** Says what is wrong when all is over, such as a value that was lost; undefined if nothing is. */
  verify?(endings: readonly Ending[], cancelled: readonly number[]): string | undefined;
}

export interface Plays {
  /** What went wrong, and where. */
  failures: string[];
  /** Points of the undisturbed plays. */
  points: number;
  plays: number;
  /** Victims that ended cancelled. */
  cancelled: number;
}

type Way = 'before' | 'behind' | 'at once';

const ALL_WAYS: readonly Way[] = ['before', 'behind', 'at once'];

/** Who is cancelled, and when. */
interface Plan {
  readonly victims: readonly number[];
  readonly at: number;
  readonly way: Way;
  /** Whether victims are started before the others. */
  readonly isFirst: boolean;
}

/** Longer than anything takes, in virtual milliseconds: whoever has not ended by then waits in vain. */
const LONG = 1e4;

const VICTIM = 'a victim';
const REASON = 'at every point';

/** Plays undisturbed, and then with every victim, and every two, cancelled at every point in every way. */
export async function everyPoint(make: () => Play): Promise<Plays> {
  const result: Plays = { failures: [], points: 0, plays: 0, cancelled: 0 };
  const { victims, others = [], ways = ALL_WAYS } = make();
  const all = [...victims.keys()];
  const pairs = all.flatMap((one) => all.slice(one + 1).map((two) => [one, two]));
  for (const isFirst of others.length > 0 ? [true, false] : [true]) {
    const turnEnds = await play(make, { victims: [], at: Infinity, way: 'behind', isFirst }, result);
    if (turnEnds.length === 0) result.failures.push('there was no point');
    result.points += turnEnds.length;
    for (const [at, isTurnEnd] of turnEnds.entries()) {
      for (const way of ways) {
        // At the end of a turn nobody is made ready.
        if (isTurnEnd && way !== 'at once') continue;
        for (const one of all) await play(make, { victims: [one], at, way, isFirst }, result);
        if (way === 'at once') continue;
        for (const two of pairs) await play(make, { victims: two, at, way, isFirst }, result);
      }
    }
  }
  return result;
}

/** Gives its points: for each, whether it is the end of a turn. */
async function play(make: () => Play, plan: Plan, result: Plays): Promise<boolean[]> {
  const { victims: chosen, isFirst } = plan;
  const rootsBefore = roots.size;
  const scheduler = new SteppingScheduler(plan);
  let world!: Play;
  let endings: Ending[] = [];
  const complain = (what: string): void => void result.failures.push(`${inWords(plan)}: ${what}`);
  const onError = (error: unknown): void => complain(`failed with ${String(error)}`);
  result.plays++;
  await scheduler.run(function* () {
    // Made here, so that it goes by this scheduler's clock.
    world = make();
    const { victims: bodies, others = [], mayFail } = world;
    scheduler.count = bodies.length;
    const spawned: Coroutine<unknown>[] = [];
    if (!isFirst) for (const other of others) spawned.push(spawn(other, { onError }));
    const victims = bodies.map((body) => spawn(body, { name: VICTIM, onError: () => {} }));
    if (isFirst) for (const other of others) spawned.push(spawn(other, { onError }));
    const late = after(LONG);
    for (const one of [...victims, ...spawned]) {
      yield* select({ end: wait(one.then(ignore, ignore)), late });
    }
    for (const [index, victim] of victims.entries()) {
      const ending = endingOf(victim);
      const isChosen = chosen.includes(index);
      if (victim.state === 'cancelled') result.cancelled++;
      if (ending === null) complain(`${index} hangs: ${victim.describe()}`);
      else if ('value' in ending || (isChosen && isExpected(ending.error, mayFail))) continue;
      else complain(`${index} is ${victim.state}: ${String(ending.error)}`);
    }
    endings = victims.map(endingOf).filter((one) => one !== null);
    for (const one of [...victims, ...spawned]) one.cancel();
  });
  const complaint = world.verify?.(endings, chosen);
  if (complaint !== undefined) complain(complaint);
  for (const { name, senders, receivers } of world.channels ?? []) {
    if (senders.first !== null || receivers.first !== null) complain(`somebody is left waiting on ${name}`);
  }
  if (scheduler.timers.live > 0) complain(`${scheduler.timers.live} timers are left`);
  if (roots.size > rootsBefore) complain(`${roots.size - rootsBefore} coroutines are left`);
  return scheduler.turnEnds;
}

function ignore(): void {}

function isExpected(error: unknown, mayFail: ((error: unknown) => boolean) | undefined): boolean {
  if (error instanceof CancelledError) return error.cause === REASON;
  return mayFail?.(error) === true;
}

function endingOf(victim: Coroutine<unknown>): Ending | null {
  if (!victim.hasEnded) return null;
  try {
    return { value: victim.outcome() };
  } catch (error) {
    return { error };
  }
}

function inWords({ victims, at, way, isFirst }: Plan): string {
  const when = isFirst ? 'started first' : 'started last';
  return victims.length === 0
    ? `undisturbed, ${when}`
    : `${victims.join(' and ')} cancelled ${way === 'at once' ? way + ' at' : way} point ${at}, ${when}`;
}

/** Carries out a plan. Its points begin when all victims are there, none of which has run. */
class SteppingScheduler extends Scheduler {
  /** The points that there were: for each, whether it was the end of a turn. */
  readonly turnEnds: boolean[] = [];
  /** How many victims there will be. */
  count = Infinity;
  readonly #victims: Coroutine<unknown>[] = [];
  readonly #plan: Plan;
  #isCancelling = false;

  constructor(plan: Plan) {
    const clock = new EndOfTurns();
    super({ clock, seed: 1 });
    this.#plan = plan;
    clock.onEnd = () => {
      if (this.#isPoint(true, false)) this.#cancel();
    };
  }

  override spawn<T>(parent: Scope | null, body: Body<T>, options: SpawnOptions | undefined): Coroutine<T> {
    const isVictim = options?.name === VICTIM;
    const make = (): Coroutine<T> => {
      const coroutine = super.spawn(parent, body, options);
      if (isVictim) this.#victims.push(coroutine as Coroutine<unknown>);
      return coroutine;
    };
    return this.#makingReady(make, isVictim);
  }

  override ready(coroutine: Coroutine<unknown>): void {
    this.#makingReady(() => super.ready(coroutine), false);
  }

  #makingReady<T>(makeReady: () => T, isVictim: boolean): T {
    const way = this.#isPoint(false, isVictim) ? this.#plan.way : null;
    if (way === 'before') this.#cancelSoon();
    const result = makeReady();
    if (way === 'behind') this.#cancelSoon();
    if (way === 'at once') this.#cancel();
    return result;
  }

  /** Counts; true at the point where somebody is to be cancelled. */
  #isPoint(isTurnEnd: boolean, isVictim: boolean): boolean {
    const victims = this.#victims;
    if (this.#isCancelling || victims.length + Number(isVictim) < this.count) return false;
    if (!isVictim && victims.every(({ hasEnded }) => hasEnded)) return false;
    return this.turnEnds.push(isTurnEnd) - 1 === this.#plan.at;
  }

  #cancelSoon(): void {
    this.#isCancelling = true;
    const cancel = (): void => this.#cancel();
    this.spawn(
      null,
      function* canceller(): Co<void> {
        cancel();
      },
      undefined,
    );
    this.#isCancelling = false;
  }

  #cancel(): void {
    for (const index of this.#plan.victims) this.#victims[index]!.cancel(REASON);
  }
}

/** Tells when a turn has ended: the alarm is set or cleared then. */
class EndOfTurns extends VirtualClock {
  onEnd: () => void = () => {};

  override setAlarm(deadline: number, onAlarm: () => void): void {
    super.setAlarm(deadline, onAlarm);
    this.onEnd();
  }

  override clearAlarm(): void {
    super.clearAlarm();
    this.onEnd();
  }
}
