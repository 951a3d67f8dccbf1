// Waiting for the first of several operations. Invariants (H4): cases are polled in a random order from the scheduler's
// generator; exactly one takes effect; when one is served the others are disarmed at once, and nothing of them is left.
// A case that was only notified has taken nothing yet: the others stay armed, so that nobody loses a place in a queue
// to a notice that comes to nothing. `never` is one operation for all, so it keeps no state: each performance waits in
// an operation of its own.

import { isNative, thenOf } from '../kernel/bare-yield.ts';
import { Coroutine } from '../kernel/coroutine.ts';
import { BusyError, inWords } from '../kernel/errors.ts';
import {
  ARMED,
  FAILED,
  finish,
  FIRED,
  IDLE,
  kind,
  Leaf,
  type Operation,
  runAs,
  type Suspension,
  take,
  type Waiter,
  WOKEN,
} from '../kernel/operation.ts';
import type { Random } from '../kernel/random.ts';
import { currentScheduler } from '../kernel/scheduler.ts';

/** What `select` gives: the key of the case that was served, and what its operation gave. */
export type Selected<Cases extends Record<string, Operation<unknown>>> = {
  [Key in keyof Cases]: Cases[Key] extends Operation<infer Value>
    ? [Value] extends [never]
      ? never
      : { readonly key: Key; readonly value: Value }
    : never;
}[keyof Cases];

/**
 * Waits until one of several operations can be performed, and performs that one; the others have no
 * effect, but that a `write` whose bytes were handed over cannot take them back. Among several that are
 * ready, chance decides. A case `never` is switched off. An operation that starts something, such as `dial`,
 * `write` or `suspend`, is started only when no other case is ready, in the order of the keys. Cancelling it
 * disarms every case; one that was served before counts.
 *
 * @throws what the operation that was served throws; TypeError if a case is not an operation: a generator
 * or another select has to be spawned, and its `join` be the case
 *
 * @example
 * ```ts
 * import { after, Channel, run, select, spawn } from 'skein';
 *
 * await run(function* () {
 *   const jobs = new Channel<string>();
 *   spawn(() => jobs.send('sweep'));
 *   const first = yield* select({ job: jobs.receive(), late: after(1000) });
 *   if (first.key === 'job') console.log(first.value); // sweep
 * });
 * ```
 */
export function select<const Cases extends Record<string, Operation<unknown>>>(
  cases: Cases,
): Operation<Selected<Cases>> {
  return new Selection(cases).leaf as Operation<unknown> as Operation<Selected<Cases>>;
}

/**
 * Performs one of several operations if one is ready now; else gives undefined. It never suspends, and so
 * never performs one that has to be started, such as `dial`, `write`, `suspend` or `once`.
 *
 * @throws what the operation throws; TypeError if a case is not an operation
 */
export function trySelect<const Cases extends Record<string, Operation<unknown>>>(
  cases: Cases,
): Selected<Cases> | undefined {
  return new Selection(cases).poll() as Selected<Cases> | undefined;
}

type CaseRecord = Readonly<Record<string, Operation<unknown>>>;

const SELECT = kind<unknown, Selection>({
  poll(operation) {
    const { target } = operation;
    const selected = target.isWaiting ? target.pollNotified() : target.poll();
    operation.value = selected;
    return selected !== undefined;
  },
  arm: ({ target }) => target.arm(),
  disarm(operation) {
    const { target } = operation;
    target.leave();
    if (target.broken === null) return;
    operation.state = FAILED;
    operation.value = undefined;
  },
  raise: ({ target }) => target.takeBroken(),
  describe: ({ target }) => target.describe(),
});

/** What was served: its key, and its result. */
interface Served {
  readonly key: string;
  readonly value: unknown;
}

/** A case that could not be disarmed; a write that was handed over has no error, its bytes just go out. */
interface Broken {
  readonly operation: Leaf<unknown>;
  readonly error: unknown;
}

export class Selection implements Waiter {
  /** What the coroutine performs. */
  declare leaf: Leaf<unknown, Selection, undefined>;
  declare cases: CaseRecord;
  /** Those that may be polled. */
  declare plain: Leaf<unknown>[];
  /** Those that start something when they are polled or armed. */
  declare starters: Leaf<unknown>[] | null;
  declare random: Random;
  /** The cases are armed, or one of them is served. */
  declare isWaiting: boolean;
  /** The case that takes effect; the others were dismissed. */
  declare served: Leaf<unknown> | null;
  /** The cases that failed when they were disarmed: a hook threw, or a write was handed over already. */
  declare broken: Broken[] | null;

  constructor(cases: CaseRecord) {
    if (typeof cases !== 'object' || cases === null) {
      throw new TypeError(`select expects an object of operations, got ${inWords(cases)}`);
    }
    this.leaf = new Leaf(SELECT, this, undefined);
    this.cases = cases;
    // Filled in place: the array that a loop would grow has room for seventeen.
    const plain = Object.values(cases) as Leaf<unknown>[];
    this.plain = plain;
    this.starters = null;
    this.random = currentScheduler().random;
    this.isWaiting = false;
    this.served = null;
    this.broken = null;
    let count = 0;
    for (let index = 0; index < plain.length; index++) {
      const operation = plain[index]!;
      if (operation === never) continue;
      if (!(operation instanceof Leaf) || operation.kind === SELECT) throw notACase(cases, operation);
      if (operation.kind.enlist(operation)) plain[count++] = operation;
      else (this.starters ??= []).push(operation);
    }
    if (count < plain.length) plain.length = count;
  }

  /** Performs a case that is ready, if there is one. */
  poll(): Served | undefined {
    const { plain, random } = this;
    for (let left = plain.length; left > 0; left--) {
      const operation = draw(plain, left, random);
      if (operation.state !== IDLE) throw busy(operation);
      if (operation.kind.poll(operation)) return this.result(operation, finish(operation).value);
    }
    return undefined;
  }

  arm(): void {
    this.isWaiting = true;
    this.broken = null;
    try {
      for (const operation of this.plain) this.armCase(operation);
      if (this.starters !== null) this.start(this.starters);
    } catch (error) {
      this.leave();
      throw this.withHookErrors(error);
    }
  }

  start(starters: readonly Leaf<unknown>[]): void {
    for (const operation of starters) {
      // What was started before may have served a case.
      if (this.served !== null || !this.isWaiting) return;
      if (operation.state === IDLE && operation.kind.poll(operation)) {
        operation.waiter = this;
        operation.state = FIRED;
        this.wake(operation);
      } else {
        this.armCase(operation);
      }
    }
  }

  armCase(operation: Leaf<unknown>): void {
    if (this.served !== null || !this.isWaiting) return;
    if (operation.waiter === this) {
      // It stands under two keys, or has stayed armed since the last time.
      if (operation.state !== ARMED) this.leaf.notify();
      return;
    }
    if (operation.state !== IDLE) throw busy(operation);
    operation.waiter = this;
    operation.state = ARMED;
    operation.kind.arm(operation);
  }

  /** A case has its result, or has been told to look again. */
  wake(operation: Leaf<unknown>): void {
    // A hook of a case that was dismissed may have brought it.
    if (!this.isWaiting) return;
    const isServed = this.served === null && operation.state !== WOKEN;
    if (isServed) this.served = operation;
    // First: a hook of another case may cancel this very coroutine, and what has arrived counts (C6).
    this.leaf.notify();
    if (isServed) this.dismiss(operation);
  }

  /** Looks at the case that was served, or else at those that were notified; those that have nothing wait on. */
  pollNotified(): Served | undefined {
    this.pollAgain(this.plain);
    if (this.starters !== null) this.pollAgain(this.starters);
    return this.served === null ? undefined : this.takeServed(this.served);
  }

  pollAgain(operations: readonly Leaf<unknown>[]): void {
    for (const operation of operations) {
      // Arming one may run what serves another.
      if (this.served !== null) return;
      if (operation.waiter !== this || operation.state !== WOKEN) continue;
      operation.state = IDLE;
      try {
        if (operation.kind.poll(operation)) {
          operation.state = FIRED;
          this.served = operation;
          this.dismiss(operation);
        } else {
          operation.state = ARMED;
          operation.kind.arm(operation);
        }
      } catch (error) {
        this.leave();
        throw this.withHookErrors(error);
      }
    }
  }

  takeServed(operation: Leaf<unknown>): Served {
    this.served = null;
    this.isWaiting = false;
    if (this.hasHookErrors()) {
      this.cancelCase(operation);
      throw this.takeBroken();
    }
    this.broken = null;
    return this.result(operation, take(operation).value);
  }

  result(operation: Leaf<unknown>, value: unknown): Served {
    const { cases } = this;
    for (const key in cases) if (cases[key] === operation) return { key, value };
    throw new Error('the case that was served is none of the select');
  }

  /** Ends the wait of every case but one. Those with hooks, which are user code, come last. */
  dismiss(except: Leaf<unknown> | null): void {
    for (const operation of this.plain) if (operation !== except) this.cancelCase(operation);
    if (this.starters === null) return;
    const { waiter } = this.leaf;
    if (waiter instanceof Coroutine) runAs(waiter, (kept) => this.dismissStarters(kept), except);
    else this.dismissStarters(except);
  }

  dismissStarters(except: Leaf<unknown> | null): void {
    for (const operation of this.starters!) if (operation !== except) this.cancelCase(operation);
  }

  cancelCase(operation: Leaf<unknown>): void {
    if (operation.waiter !== this) return;
    operation.cancel();
    if (operation.state !== FAILED) return;
    (this.broken ??= []).push({ operation, error: operation.value });
    operation.cancel();
  }

  leave(): void {
    this.isWaiting = false;
    this.served = null;
    this.dismiss(null);
  }

  hasHookErrors(): boolean {
    return this.broken !== null && this.broken.some(({ error }) => error !== undefined);
  }

  /** The errors of the cases that could not be disarmed (C11). */
  takeBroken(): unknown {
    const errors = (this.broken ?? []).map(({ operation, error }) => operation.kind.raise(operation, error));
    this.broken = null;
    return several(errors);
  }

  withHookErrors(error: unknown): unknown {
    if (this.hasHookErrors()) return several([error, this.takeBroken()]);
    this.broken = null;
    return error;
  }

  describe(): string {
    const waits = new Set(Object.values(this.cases) as Leaf<unknown>[]);
    waits.delete(never as unknown as Leaf<unknown>);
    if (waits.size === 0) return 'waiting for no case of select';
    return `selecting: ${Array.from(waits, (operation) => operation.describe()).join(', ')}`;
  }
}

/** Takes one of the first `left` by lot, and puts it behind them: a step of a shuffle (H4). */
function draw(operations: Leaf<unknown>[], left: number, random: Random): Leaf<unknown> {
  // A random start alone would favour whoever stands behind idle cases.
  const index = left === 1 ? 0 : random.below(left);
  const operation = operations[index]!;
  operations[index] = operations[left - 1]!;
  operations[left - 1] = operation;
  return operation;
}

function several(errors: unknown[]): unknown {
  if (errors.length === 1) return errors[0];
  return new AggregateError(errors, `${errors.length} cases of one select failed`);
}

function busy(operation: Leaf<unknown>): BusyError {
  return new BusyError(`somebody is ${operation.describe()} already; an operation has one waiter at a time`);
}

function notACase(cases: CaseRecord, value: unknown): TypeError {
  const key = Object.keys(cases).find((one) => cases[one] === value);
  const isIterator = typeof (value as { next?: unknown } | null)?.next === 'function';
  const what = value instanceof Leaf ? 'another select' : inWords(value);
  const spawned = isIterator ? ': it has to be spawned, and its join() be the case' : '';
  const waited = isNative(value) || thenOf(value) !== undefined ? ': write wait(promise)' : '';
  const called = typeof value === 'function' ? ': it has to be called' : '';
  return new TypeError(
    `select expects an operation as the case ${key}, got ${what}${spawned}${waited}${called}`,
  );
}

const WAIT = kind<never>({
  poll: () => false,
  arm: () => {},
  disarm: () => {},
  describe: () => 'waiting for ever',
});

class NeverOperation extends Leaf<never, undefined, undefined> {
  override next(): IteratorResult<Suspension, never> {
    return new Leaf(WAIT, undefined, undefined).next();
  }
}

/**
 * Never ends, unless it is cancelled. As a case of `select` it is one that is switched off.
 *
 * @example
 * ```ts
 * import { Channel, never, run, select, sleep } from 'skein';
 *
 * await run(function* () {
 *   const lines = new Channel<string>();
 *   const isListening = false;
 *   const first = yield* select({ line: isListening ? lines.receive() : never, pause: sleep(5) });
 *   console.log(first.key); // pause
 * });
 * ```
 */
export const never: Operation<never> = new NeverOperation(WAIT, undefined, undefined);
