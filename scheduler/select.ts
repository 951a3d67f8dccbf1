// Waiting for the first of several operations. Invariants (H4): cases are polled in a random order from
// the scheduler's generator; exactly one takes effect; when one is served the others are disarmed on the
// spot, and nothing of them is left. A case that was only notified has taken nothing yet: the others stay
// armed, so that nobody loses a place in a queue to a notice that comes to nothing.

import { BusyError, inWords } from './errors.ts';
import { ARMED, FAILED, FIRED, IDLE, Leaf, type Operation, take, type Waiter, WOKEN } from './operation.ts';
import { never } from './never.ts';
import type { Random } from './random.ts';
import { currentScheduler } from './run.ts';

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
 * effect. Among several that are ready, chance decides. A case `never` is switched off. An operation that starts something,
 * such as `dial`, `write` or `suspend`, is started only when no other case is ready.
 *
 * @throws what the operation that was served throws; TypeError if a case is not an operation: a generator
 * has to be spawned, and its `join` is the case
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
  return new SelectOperation(cases) as Operation<unknown> as Operation<Selected<Cases>>;
}

/**
 * Performs one of several operations if one is ready now; else gives undefined. It never suspends.
 *
 * @throws what the operation throws; TypeError if a case is not an operation
 */
export function trySelect<const Cases extends Record<string, Operation<unknown>>>(
  cases: Cases,
): Selected<Cases> | undefined {
  const operation = new SelectOperation(cases);
  return operation.poll() ? (operation.finish().value as Selected<Cases>) : undefined;
}

type CaseRecord = Readonly<Record<string, Operation<unknown>>>;

class SelectOperation extends Leaf<unknown> implements Waiter {
  /** @internal */ declare cases: CaseRecord;
  /** @internal Those that may be polled. */
  declare operations: Leaf<unknown>[];
  /** @internal Those that start something when they are polled or armed. */
  declare starters: Leaf<unknown>[] | null;
  /** @internal */ declare random: Random;
  /** @internal The cases are armed, or one of them is served. */
  declare isWaiting: boolean;
  /** @internal The case that takes effect; the others were dismissed. */
  declare served: Leaf<unknown> | null;
  /** @internal The error of a disarm hook. */
  declare broken: { error: unknown } | null;

  constructor(cases: CaseRecord) {
    super();
    this.cases = cases;
    this.operations = [];
    this.starters = null;
    this.random = currentScheduler().random;
    this.isWaiting = false;
    this.served = null;
    this.broken = null;
    for (const key in cases) {
      const operation = cases[key];
      if (operation === never) continue;
      if (!(operation instanceof Leaf)) throw notAnOperation(key, operation);
      if (operation.enlist()) this.operations.push(operation);
      else (this.starters ??= []).push(operation);
    }
  }

  poll(): boolean {
    if (this.isWaiting) return this.served === null ? this.pollNotified() : this.takeServed();
    const { operations, random } = this;
    for (let left = operations.length; left > 0; left--) {
      // One step of a shuffle for each poll: a random start would favour whoever stands behind idle cases.
      const index = left === 1 ? 0 : random.below(left);
      const operation = operations[index]!;
      operations[index] = operations[left - 1]!;
      operations[left - 1] = operation;
      if (operation.state !== IDLE) throw busy(operation);
      if (operation.poll()) {
        this.value = this.selected(operation, operation.finish().value);
        return true;
      }
    }
    return false;
  }

  arm(): void {
    this.isWaiting = true;
    try {
      for (const operation of this.operations) this.armCase(operation);
      for (const operation of this.starters ?? []) {
        if (this.served !== null) break;
        if (operation.state === IDLE && operation.poll()) this.serveAtOnce(operation);
        else this.armCase(operation);
      }
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  disarm(): void {
    this.leave();
    this.throwIfBroken();
  }

  /** A case has its result, or has been told to look again. */
  wake(operation: Leaf<unknown>): void {
    if (operation.state !== WOKEN && this.served === null) {
      this.served = operation;
      this.dismiss(operation);
    }
    this.notify();
  }

  override enlist(): boolean {
    if (this.starters !== null) return false;
    for (const operation of this.operations) if (!operation.enlist()) return false;
    return true;
  }

  describe(): string {
    const waits = [...this.operations, ...(this.starters ?? [])].map((operation) => operation.describe());
    return waits.length === 0 ? 'waiting for no case of select' : `selecting: ${waits.join(', ')}`;
  }

  /** @internal */
  armCase(operation: Leaf<unknown>): void {
    if (this.served !== null) return;
    if (operation.waiter === this) {
      // It stands under two keys, or has stayed armed since the last time.
      if (operation.state !== ARMED) this.notify();
      return;
    }
    if (operation.state !== IDLE) throw busy(operation);
    operation.waiter = this;
    operation.state = ARMED;
    operation.arm();
  }

  /** @internal It was ready when it was started. */
  serveAtOnce(operation: Leaf<unknown>): void {
    operation.waiter = this;
    operation.state = FIRED;
    this.wake(operation);
  }

  /** @internal Looks at the cases that were notified; those that have nothing wait on. */
  pollNotified(): boolean {
    for (const operation of [...this.operations, ...(this.starters ?? [])]) {
      if (operation.waiter !== this || operation.state !== WOKEN) continue;
      operation.state = IDLE;
      let isReady: boolean;
      try {
        isReady = operation.poll();
      } catch (error) {
        operation.waiter = null;
        this.leave();
        throw error;
      }
      if (isReady) {
        operation.state = FIRED;
        this.served = operation;
        this.dismiss(operation);
      } else {
        operation.state = ARMED;
        operation.arm();
      }
      // Arming may run what serves another case.
      if (this.served !== null) return this.takeServed();
    }
    return false;
  }

  /** @internal */
  takeServed(): boolean {
    const operation = this.served!;
    this.served = null;
    this.isWaiting = false;
    this.throwIfBroken();
    this.value = this.selected(operation, take(operation).value);
    return true;
  }

  /** @internal */
  selected(operation: Leaf<unknown>, value: unknown): { key: string; value: unknown } {
    const { cases } = this;
    let found = '';
    for (const key in cases) {
      if (cases[key] !== operation) continue;
      found = key;
      break;
    }
    return { key: found, value };
  }

  /** @internal Ends the wait of every case but one. Those with hooks, which are user code, come last. */
  dismiss(except: Leaf<unknown> | null): void {
    for (const operation of this.operations) if (operation !== except) this.cancelCase(operation);
    if (this.starters === null) return;
    for (const operation of this.starters) if (operation !== except) this.cancelCase(operation);
  }

  /** @internal */
  cancelCase(operation: Leaf<unknown>): void {
    if (operation.waiter !== this) return;
    operation.cancel();
    if (operation.state !== FAILED) return;
    this.broken ??= { error: operation.value };
    operation.cancel();
  }

  /** @internal */
  leave(): void {
    this.isWaiting = false;
    this.served = null;
    this.dismiss(null);
  }

  /** @internal A disarm hook that throws fails its coroutine (C11). */
  throwIfBroken(): void {
    if (this.broken === null) return;
    const { error } = this.broken;
    this.broken = null;
    throw error;
  }
}

function busy(operation: Leaf<unknown>): BusyError {
  return new BusyError(`somebody is ${operation.describe()} already; an operation has one waiter at a time`);
}

function notAnOperation(key: string, value: unknown): TypeError {
  const isGenerator = typeof (value as { next?: unknown } | null)?.next === 'function';
  const hint = isGenerator ? ': a generator has to be spawned, and its join() be the case' : '';
  return new TypeError(`select expects an operation as the case ${key}, got ${inWords(value)}${hint}`);
}
