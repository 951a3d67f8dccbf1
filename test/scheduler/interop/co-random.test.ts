// Random programs, run by the package and by ours. Whatever they wait for comes in a turn of the event loop
// of its own, so that nothing depends on the order of microtasks; then each of their generators must do the
// same in the same turns, and end in the same way.

import { inspect } from 'node:util';
import real from 'co';
import t from 'tap';
import ours from 'skein/co';
import { Random } from '../../../scheduler/kernel/random.ts';
import { type Any, type Callback, inShort, turns } from '../../support/co/programs.ts';

/** What is yielded, or returned, or thrown; made anew for each run. */
type Value =
  | { kind: 'promise' | 'thunk' | 'thenable'; id: number; turn: number; fails: boolean }
  | { kind: 'settled' | 'sync'; id: number; fails: boolean }
  | { kind: 'plain'; value: unknown }
  | { kind: 'array' | 'object'; members: Value[] }
  | { kind: 'generator' | 'function' | 'call'; body: Body };

interface Step {
  value: Value;
  /** Goes on after an error. */
  catches: boolean;
  finally: Value | undefined;
}

interface Body {
  steps: Step[];
  end: 'return' | 'throw' | 'promise';
}

/** Writes a program. */
class Author {
  readonly #random: Random;
  /** Things to wait for: each has a turn of its own. */
  #count = 0;
  #budget = 40;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  body(depth: number, isMember = false): Body {
    const steps: Step[] = [];
    // Beside others a failure must not depend on the order of microtasks: it begins with a turn.
    if (isMember) steps.push({ value: this.#timed(), catches: false, finally: undefined });
    for (let count = 1 + this.#below(4); count > 0; count--) {
      steps.push({
        value: this.#value(depth, false),
        catches: this.#chance(2),
        finally: this.#chance(4) ? this.#value(depth, false) : undefined,
      });
    }
    return { steps, end: this.#pick(['return', 'return', 'promise', 'throw'] as const) };
  }

  #value(depth: number, isMember: boolean): Value {
    const isLeaf = depth === 0 || this.#budget-- <= 0;
    switch (this.#below(isLeaf ? 6 : 12)) {
      case 0:
      case 1:
      case 2:
        return this.#timed();
      case 3:
        return { kind: 'settled', id: ++this.#count, fails: this.#chance(4) };
      case 4:
        return { kind: 'sync', id: ++this.#count, fails: this.#chance(4) };
      case 5:
        return { kind: 'plain', value: this.#pick([undefined, null, 0, 7, '', 'text', true, new Date(0)]) };
      case 6:
      case 7:
        return { kind: 'array', members: this.#members(depth) };
      case 8:
      case 9:
        return { kind: 'object', members: this.#members(depth) };
      default:
        return {
          kind: this.#pick(['generator', 'function', 'call'] as const),
          body: this.body(depth - 1, isMember),
        };
    }
  }

  #members(depth: number): Value[] {
    return Array.from({ length: this.#below(4) }, () => this.#value(depth - 1, true));
  }

  #timed(): Value {
    return {
      kind: this.#pick(['promise', 'promise', 'thunk', 'thunk', 'thenable'] as const),
      id: ++this.#count,
      turn: this.#below(12),
      fails: this.#chance(5),
    };
  }

  #below(count: number): number {
    return this.#random.below(count);
  }
  #chance(oneIn: number): boolean {
    return this.#below(oneIn) === 0;
  }
  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)]!;
  }
}

/** Runs a program. */
class Stage {
  readonly co: typeof real;
  /** What each generator has done, and in which turn, by its place in the program. */
  readonly log: Record<string, string[]> = {};
  #due: { at: number; act: () => void }[] = [];
  #now = 0;

  constructor(co: typeof real) {
    this.co = co;
  }

  async run(body: Body): Promise<Record<string, string[]>> {
    const self = { stage: this };
    const promise = this.co.call(self, () => this.#generator(body, 'root', self)) as Promise<unknown>;
    void promise.then(
      (value) => this.#write('end', 'fulfilled', value),
      (error: unknown) => this.#write('end', 'rejected', inShort(error)),
    );
    for (;;) {
      // A turn of a coroutine may be spent, though not three.
      await turns(3);
      this.#due = this.#due.toSorted((a, b) => a.at - b.at);
      const next = this.#due.shift();
      if (next === undefined) return this.log;
      this.#now = next.at;
      next.act();
    }
  }

  #write(place: string, ...words: unknown[]): void {
    const text = words.map((word) => inspect(word, { depth: 9 })).join(' ');
    (this.log[place] ??= []).push(`${this.#now.toFixed(4)} ${text}`);
  }

  *#generator(body: Body, place: string, self: object): Any {
    this.#write(place, 'begins');
    for (const [index, step] of body.steps.entries()) {
      try {
        this.#write(place, index, 'given', yield this.#make(step.value, `${place}.${index}`, self));
      } catch (error) {
        this.#write(place, index, 'thrown', inShort(error));
        if (!step.catches) throw error;
      } finally {
        if (step.finally !== undefined) {
          this.#write(place, index, 'finally', yield this.#make(step.finally, `${place}.${index}f`, self));
        }
      }
    }
    this.#write(place, body.end);
    if (body.end === 'throw') throw new Error(`end of ${place}`);
    return body.end === 'promise' ? Promise.resolve(`promise of ${place}`) : place;
  }

  #make(value: Value, place: string, self: object): unknown {
    switch (value.kind) {
      case 'promise':
        return new Promise((resolve, reject) => this.#later(value, resolve, reject));
      case 'thenable':
        return this.#thenable(() => new Promise((resolve, reject) => this.#later(value, resolve, reject)));
      case 'thunk':
        return this.#thunk(self, (callback) => {
          this.#later(value, (result) => callback(null, result), callback);
        });
      case 'settled':
        return value.fails ? Promise.reject(failure(value.id)) : Promise.resolve(value.id);
      case 'sync':
        return this.#thunk(self, (callback) => {
          if (value.fails) throw failure(value.id);
          callback(null, value.id);
        });
      case 'plain':
        return value.value;
      case 'array':
        return value.members.map((member, index) => this.#make(member, `${place}[${index}]`, self));
      case 'object':
        return Object.fromEntries(
          value.members.map((member, index) => [`k${index}`, this.#make(member, `${place}.k${index}`, self)]),
        );
      case 'generator':
        return this.#generator(value.body, place, self);
      case 'call':
        return this.co.call(self, () => this.#generator(value.body, place, self));
      case 'function': {
        const make = (isSame: boolean): Any => {
          this.#write(place, 'this', isSame);
          return this.#generator(value.body, place, self);
        };
        return function* (this: unknown): Any {
          return yield* make(this === self);
        };
      }
    }
  }

  #thenable(begin: () => Promise<unknown>): PromiseLike<unknown> {
    // oxlint-disable-next-line unicorn/no-thenable -- such is what is tried
    return { then: (onValue, onError) => begin().then(onValue, onError) };
  }

  #thunk(self: object, start: (callback: Callback) => void): (callback: Callback) => void {
    const check = (isSame: boolean): void => {
      if (!isSame) throw new Error('another this');
    };
    return function (this: unknown, callback) {
      check(this === self);
      start(callback);
    };
  }

  /** Settles in a turn of its own, the planned one or, when that is over, the next. */
  #later(value: { id: number; turn: number; fails: boolean }, resolve: Resolve, reject: Resolve): void {
    const at = Math.max(value.turn, Math.floor(this.#now) + 1) + value.id / 1000;
    this.#due.push({ at, act: () => (value.fails ? reject(failure(value.id)) : resolve(value.id)) });
  }
}
type Resolve = (value: unknown) => void;

function failure(id: number): Error {
  return new Error(`failure ${id}`);
}

t.test('S6 random programs do as with co', { timeout: 60_000 }, async (t) => {
  const first = Number(process.env['SKEIN_SEED'] ?? Math.floor(Math.random() * 1_000_000));
  t.comment(`seeds ${first} to ${first + 299}; SKEIN_SEED=${first} repeats them`);
  let places = 0;
  for (let seed = first; seed < first + 300; seed++) {
    const body = new Author(seed).body(4);
    const expected = await new Stage(real).run(body);
    const given = await new Stage(ours as typeof real).run(body);
    if (inspect(given) !== inspect(expected)) t.strictSame(given, expected, `seed ${seed}`);
    places += Object.keys(expected).length;
  }
  t.ok(places > 600, `${places} generators`);
});
