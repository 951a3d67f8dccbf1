// Random programs of timeouts, shields, scopes and children inside each other, cancelled from outside at some
// moment, against a plain model that knows each scope's moment of cancellation in advance. No two moments of
// a program are the same, so that the model need not know who comes first.

import t from 'tap';
import {
  CancelledError,
  type Co,
  Scheduler,
  scope,
  shield,
  sleep,
  spawn,
  timeout,
  TimeoutError,
  VirtualClock,
} from '../../../scheduler/index.ts';
import { Random } from '../../../scheduler/kernel/random.ts';

const PROGRAMS = 3000;
const DEPTH = 5;

type Program =
  | { kind: 'sleep'; ms: number }
  | { kind: 'sequence'; steps: Program[] }
  | { kind: 'timeout' | 'shield' | 'scope'; id: number; ms: number; body: Program }
  | { kind: 'swallow' | 'finally'; id: number; body: Program; after: Program }
  | { kind: 'spawn'; id: number; body: Program };

function randomProgram(random: Random, depth: number): Program {
  const ms = random.below(16) === 0 ? 0 : random.next() * 30;
  const id = random.below(2 ** 20);
  const inner = (): Program => randomProgram(random, depth - 1);
  const dice = depth === 0 ? 0 : random.below(20);
  if (dice < 3) return { kind: 'sleep', ms };
  if (dice < 8) return { kind: 'sequence', steps: Array.from({ length: 1 + random.below(3) }, inner) };
  if (dice < 11) return { kind: 'timeout', id, ms, body: inner() };
  if (dice < 13) return { kind: 'shield', id, ms: random.below(2) === 0 ? Infinity : ms, body: inner() };
  if (dice < 14) return { kind: 'scope', id, ms: Infinity, body: inner() };
  if (dice < 18) return { kind: dice < 16 ? 'swallow' : 'finally', id, body: inner(), after: inner() };
  return { kind: 'spawn', id, body: inner() };
}

/** Performs a program; what it notices goes into the log. */
function* perform(program: Program, note: (what: string) => void): Co<void> {
  switch (program.kind) {
    case 'sleep':
      return yield* sleep(program.ms);
    case 'sequence':
      for (const step of program.steps) yield* perform(step, note);
      return;
    case 'timeout':
      yield* timeout(program.ms, () => perform(program.body, note));
      return note(`timeout ${program.id} ended`);
    case 'shield':
      yield* shield(() => perform(program.body, note), { timeout: program.ms });
      return note(`shield ${program.id} ended`);
    case 'scope':
      yield* scope(() => perform(program.body, note));
      return note(`scope ${program.id} ended`);
    case 'swallow':
      try {
        yield* perform(program.body, note);
      } catch (error) {
        note(`swallowed ${program.id} ${inWords(error)}`);
        yield* perform(program.after, note);
      }
      return;
    case 'finally':
      try {
        yield* perform(program.body, note);
      } finally {
        yield* perform(program.after, note);
      }
      return;
    case 'spawn':
      spawn(function* () {
        try {
          yield* perform(program.body, note);
          note(`child ${program.id} ended`);
        } catch (error) {
          note(`child ${program.id} ${inWords(error)}`);
        }
      });
  }
}

function inWords(error: unknown): string {
  const { message, cause } = error as Error;
  if (error instanceof TimeoutError) return message;
  if (!(error instanceof CancelledError)) return `unexpected: ${String(error)}`;
  return `cancelled by ${cause instanceof Error ? inWords(cause) : String(cause)}`;
}

/** When a scope is cancelled by itself, and why. */
interface Bounds {
  outer: Bounds | null;
  isShield: boolean;
  moment: number;
  reason: string;
  /** Give the moment at which a child has ended; called once the moment of the scope is certain. */
  children: (() => number)[];
}

/** What has been thrown, and when. */
class Thrown {
  readonly what: string;
  readonly isCancellation: boolean;
  readonly moment: number;
  constructor(what: string, isCancellation: boolean, moment: number) {
    this.what = what;
    this.isCancellation = isCancellation;
    this.moment = moment;
  }
}

function bounds(outer: Bounds | null, moment = Infinity, reason = '', isShield = false): Bounds {
  return { outer, isShield, moment, reason, children: [] };
}

/** The first cancellation that reaches a scope. */
function cancellationOf(inner: Bounds): { moment: number; reason: string } {
  if (inner.outer === null || inner.isShield) return inner;
  const outer = cancellationOf(inner.outer);
  return outer.moment <= inner.moment ? outer : inner;
}

/** Gives the moment at which a program that begins `now` has ended; or what it throws. */
function predict(program: Program, now: number, within: Bounds, note: Note): number {
  switch (program.kind) {
    case 'sleep': {
      const { moment, reason } = cancellationOf(within);
      if (moment <= now) throw new Thrown(`cancelled by ${reason}`, true, now);
      if (now + program.ms < moment) return now + program.ms;
      throw new Thrown(`cancelled by ${reason}`, true, moment);
    }
    case 'sequence':
      return program.steps.reduce((moment, step) => predict(step, moment, within, note), now);
    case 'swallow':
      try {
        return predict(program.body, now, within, note);
      } catch (error) {
        const { moment, what } = error as Thrown;
        note(moment, `swallowed ${program.id} ${what}`);
        return predict(program.after, moment, within, note);
      }
    case 'finally': {
      let moment: number;
      try {
        moment = predict(program.body, now, within, note);
      } catch (error) {
        const thrown = error as Thrown;
        moment = predict(program.after, thrown.moment, within, note);
        throw new Thrown(thrown.what, thrown.isCancellation, moment);
      }
      return predict(program.after, moment, within, note);
    }
    case 'spawn':
      within.children.push(() => predictChild(program, now, within, note));
      return now;
    default:
      return predictScope(program, now, within, note);
  }
}

type Note = (moment: number, what: string) => void;

function predictChild(program: Program & { kind: 'spawn' }, now: number, within: Bounds, note: Note): number {
  const own = bounds(within);
  let moment: number;
  let ending = 'ended';
  try {
    moment = predict(program.body, now, own, note);
  } catch (error) {
    ({ moment, what: ending } = error as Thrown);
  }
  note(moment, `child ${program.id} ${ending}`);
  return Math.max(moment, ...own.children.map((child) => child()));
}

function predictScope(
  program: Program & { kind: 'timeout' | 'shield' | 'scope' },
  now: number,
  outer: Bounds,
  note: Note,
): number {
  const reason = `not done after ${program.ms} ms`;
  const inner = bounds(outer, now + program.ms, reason, program.kind === 'shield');
  let thrown: Thrown | undefined;
  let moment: number;
  try {
    moment = predict(program.body, now, inner, note);
  } catch (error) {
    thrown = error as Thrown;
    ({ moment } = thrown);
  }
  const { moment: cancelled } = cancellationOf(inner);
  // An error cancels the children; a body that was cut off throws what has cancelled it.
  if (thrown !== undefined && cancelled > moment) Object.assign(inner, { moment, reason: thrown.what });
  const isOwn = inner.reason === reason && cancellationOf(inner) === inner;
  const ended = Math.max(moment, ...inner.children.map((child) => child()));
  if (thrown === undefined) {
    note(ended, `${program.kind} ${program.id} ended`);
    return ended;
  }
  if (!thrown.isCancellation || !isOwn) throw new Thrown(thrown.what, thrown.isCancellation, ended);
  const outside = cancellationOf(outer);
  if (inner.isShield || outside.moment > ended) throw new Thrown(reason, false, ended);
  throw new Thrown(`cancelled by ${outside.reason}`, true, ended);
}

async function outcome(program: Program, moment: number): Promise<string[]> {
  const log: string[] = [];
  const clock = new VirtualClock();
  const scheduler = new Scheduler({ clock });
  await scheduler.run(function* () {
    const note = (what: string): void => void log.push(`${clock.now().toFixed(6)} ${what}`);
    const worker = spawn(() => perform(program, note), { onError: () => {} });
    spawn(
      function* () {
        yield* sleep(moment);
        worker.cancel('outside');
      },
      { daemon: true },
    );
    try {
      yield* worker.join();
      log.push('ended');
    } catch (error) {
      log.push(inWords(error));
    }
  });
  if (scheduler.timers.live > 0) log.push(`${scheduler.timers.live} timers are left`);
  return log.toSorted();
}

function prediction(program: Program, moment: number): string[] {
  const log: string[] = [];
  const note: Note = (when, what) => void log.push(`${when.toFixed(6)} ${what}`);
  const root = bounds(null, moment, 'outside');
  let ending = 'ended';
  try {
    predict(program, 0, root, note);
  } catch (error) {
    const thrown = error as Thrown;
    if (thrown.moment < moment) Object.assign(root, { moment: thrown.moment, reason: thrown.what });
    ending = thrown.what;
  }
  for (const child of root.children) child();
  log.push(ending);
  return log.toSorted();
}

t.test('C5, C7, C9, C10: random programs of timeouts and shields end as a plain model says', async (t) => {
  const endings = { ended: 0, cancelled: 0, 'timed out': 0 };
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const random = new Random(seed);
    const program = randomProgram(random, DEPTH);
    const moment = random.below(3) === 0 ? Infinity : random.next() * 30;
    const expected = prediction(program, moment);
    const actual = await outcome(program, moment);
    if (actual.join() !== expected.join()) {
      t.strictSame(actual, expected, `seed ${seed}: ${JSON.stringify(program)}, cancelled at ${moment}`);
    }
    if (actual.includes('ended')) endings.ended++;
    else if (actual.includes('cancelled by outside')) endings.cancelled++;
    else endings['timed out']++;
  }
  for (const [ending, count] of Object.entries(endings)) t.ok(count > PROGRAMS / 20, `${count} ${ending}`);
});
