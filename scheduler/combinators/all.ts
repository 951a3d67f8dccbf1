// Several coroutines as one: `all`, `allSettled`, `race`, `any`, with the meaning of their namesakes on
// Promise. Invariants: the bodies run in a scope of their own, so that their errors come out here and
// nowhere else (C2), and all of them have unwound before the result is given; a coroutine that is passed
// in is only joined, by a child, and never cancelled. The bodies are watched from outside as they end:
// nobody has to be resumed before the others are cancelled, and a result that has arrived cannot be lost
// to a cancellation that comes after it (C6).

import { Coroutine, observe } from '../kernel/coroutine.ts';
import { inWords } from '../kernel/errors.ts';
import { within } from '../kernel/inner-scope.ts';
import type { Body, Co } from '../kernel/operation.ts';
import type { Scope } from '../kernel/scope.ts';

/** What `all` and its kin take: a body to run, or a coroutine to join. */
export type Task<T> = Body<T> | Coroutine<T>;

/** The type of what a task gives. */
export type Outcome<T> = T extends Coroutine<infer V> ? V : T extends Body<infer V> ? V : never;

/** The results of several tasks, in their order; of a tuple of tasks, a tuple. */
export type Outcomes<Tasks extends readonly unknown[]> = {
  -readonly [Index in keyof Tasks]: Outcome<Tasks[Index]>;
};

/** How the tasks of `allSettled` have ended, in their order; of a tuple of tasks, a tuple. */
export type SettledOutcomes<Tasks extends readonly unknown[]> = {
  -readonly [Index in keyof Tasks]: PromiseSettledResult<Outcome<Tasks[Index]>>;
};

/**
 * Runs several bodies at once and gives their results in order. The first error cancels the others and
 * is thrown after all have ended.
 *
 * @param tasks generator functions to run, or coroutines to join; a coroutine is never cancelled by this
 * @throws the first error; an AggregateError if several failed; CancelledError if a task was cancelled;
 * TypeError if one is neither
 *
 * @example
 * ```ts
 * import { all, run, sleep } from 'skein';
 *
 * function* answer(after: number) {
 *   yield* sleep(after);
 *   return 42;
 * }
 *
 * await run(function* () {
 *   const [nothing, number] = yield* all([() => sleep(5), () => answer(5)]); // after 5 ms
 *   console.log(nothing, number); // undefined 42
 * });
 * ```
 */
export function all<const Tasks extends readonly Task<unknown>[]>(tasks: Tasks): Co<Outcomes<Tasks>>;
export function all<T>(tasks: Iterable<Task<T>>): Co<T[]>;
export function* all(tasks: Iterable<Task<unknown>>): Co<unknown[]> {
  const children: Coroutine<unknown>[] = [];
  yield* within('all', false, null, function* (inner) {
    for (const task of checked(tasks, 'all')) {
      const child = inner.spawn(bodyOf(task));
      children.push(child);
      // Errors cancel the scope by themselves. One that was cancelled is none, but its result will not come.
      observe(child, nothing, (error) => inner.cancel(error));
    }
  });
  return children.map((child) => child.outcome());
}

/**
 * Runs several bodies at once, waits for all of them, and says how each has ended. An error is part of
 * the result, and disturbs nobody.
 *
 * @param tasks generator functions to run, or coroutines to join
 * @throws CancelledError if the one who waits was cancelled, and errors that are thrown after that;
 * TypeError if a task is neither
 *
 * @example
 * ```ts
 * import { allSettled, run, sleep } from 'skein';
 *
 * await run(function* () {
 *   const [first, second] = yield* allSettled([
 *     () => sleep(5),
 *     function* () {
 *       throw new Error('out of order');
 *     },
 *   ]);
 *   console.log(first.status, second.status); // fulfilled rejected
 * });
 * ```
 */
export function allSettled<const Tasks extends readonly Task<unknown>[]>(
  tasks: Tasks,
): Co<SettledOutcomes<Tasks>>;
export function allSettled<T>(tasks: Iterable<Task<T>>): Co<PromiseSettledResult<T>[]>;
export function* allSettled(tasks: Iterable<Task<unknown>>): Co<PromiseSettledResult<unknown>[]> {
  const results: PromiseSettledResult<unknown>[] = [];
  let cutOff: Coroutine<unknown> | undefined;
  yield* within('allSettled', false, null, function* (inner) {
    for (const [index, task] of checked(tasks, 'allSettled').entries()) {
      const child = inner.spawn(bodyOf(task), { onError: (error) => throwIfCancelled(inner, task, error) });
      observe(
        child,
        (value) => {
          results[index] = { status: 'fulfilled', value };
        },
        (reason) => {
          results[index] = { status: 'rejected', reason };
          if (isCutOff(child, inner)) cutOff = child;
        },
      );
    }
  });
  cutOff?.outcome();
  return results;
}

/**
 * Runs several bodies at once; the first to end decides, with its result or its error. The others are
 * cancelled, and have unwound when it returns. What they still return is dropped: to wait for the first
 * of several operations and lose nothing, use `select`.
 *
 * @param tasks generator functions to run, or coroutines to join; a coroutine is never cancelled by this
 * @throws what the first to end has thrown; the errors that others throw as they unwind, several as an
 * AggregateError; TypeError if there is no task, or one is neither
 *
 * @example
 * ```ts
 * import { race, run, sleep } from 'skein';
 *
 * function* named(name: string, ms: number) {
 *   yield* sleep(ms);
 *   return name;
 * }
 *
 * await run(function* () {
 *   console.log(yield* race([() => named('hare', 20), () => named('tortoise', 10)])); // tortoise
 * });
 * ```
 */
export function race<const Tasks extends readonly Task<unknown>[]>(tasks: Tasks): Co<Outcome<Tasks[number]>>;
export function race<T>(tasks: Iterable<Task<T>>): Co<T>;
export function* race(tasks: Iterable<Task<unknown>>): Co<unknown> {
  let winner: Coroutine<unknown> | undefined;
  let cutOff: Coroutine<unknown> | undefined;
  yield* within('race', false, null, function* (inner) {
    const list = checked(tasks, 'race');
    if (list.length === 0)
      throw new TypeError('race expects at least one task, got none: it would never end');
    for (const task of list) {
      // The error of a coroutine goes to its own scope, whoever wins; here it counts only if it is the first.
      const child = inner.spawn(bodyOf(task), task instanceof Coroutine ? { onError: nothing } : undefined);
      const end = (): void => {
        if (isCutOff(child, inner)) cutOff ??= child;
        else winner ??= child;
        inner.cancel();
      };
      observe(child, end, end);
    }
  });
  return (winner ?? cutOff)!.outcome();
}

/**
 * Runs several bodies at once and gives the first result; errors only count if nobody has one. The
 * others are then cancelled, and have unwound when it returns.
 *
 * @param tasks generator functions to run, or coroutines to join; a coroutine is never cancelled by this
 * @throws AggregateError with the errors of all, in order, if none has a result; CancelledError if the
 * one who waits was cancelled, and errors that are thrown after that; TypeError if a task is neither
 *
 * @example
 * ```ts
 * import { any, run, sleep } from 'skein';
 *
 * await run(function* () {
 *   const answer = yield* any([
 *     function* () {
 *       throw new Error('this mirror is down');
 *     },
 *     function* () {
 *       yield* sleep(5);
 *       return 42;
 *     },
 *   ]);
 *   console.log(answer); // 42
 * });
 * ```
 */
export function any<const Tasks extends readonly Task<unknown>[]>(tasks: Tasks): Co<Outcome<Tasks[number]>>;
export function any<T>(tasks: Iterable<Task<T>>): Co<T>;
export function* any(tasks: Iterable<Task<unknown>>): Co<unknown> {
  const errors: unknown[] = [];
  let winner: Coroutine<unknown> | undefined;
  let cutOff: Coroutine<unknown> | undefined;
  yield* within('any', false, null, function* (inner) {
    for (const [index, task] of checked(tasks, 'any').entries()) {
      const onError = (error: unknown): void => {
        if (winner === undefined) throwIfCancelled(inner, task, error);
      };
      const child = inner.spawn(bodyOf(task), { onError });
      observe(
        child,
        () => {
          winner ??= child;
          inner.cancel();
        },
        (error) => {
          errors[index] = error;
          if (isCutOff(child, inner)) cutOff = child;
        },
      );
    }
  });
  if (winner !== undefined) return winner.outcome();
  cutOff?.outcome();
  throw new AggregateError(errors, `any of ${errors.length} tasks was to give a result, but all have failed`);
}

/** Checked as a whole, so that a mistake does not start half of them. */
function checked(tasks: Iterable<Task<unknown>>, what: string): Task<unknown>[] {
  if (typeof tasks?.[Symbol.iterator] !== 'function') {
    throw new TypeError(
      `${what} expects an array of generator functions and coroutines, got ${inWords(tasks)}`,
    );
  }
  const list = [...tasks];
  for (const task of list) {
    if (typeof task === 'function' || task instanceof Coroutine) continue;
    const isStarted = typeof (task as Co<unknown> | null)?.next === 'function';
    const hint = isStarted ? '; put `() =>` before it' : '';
    throw new TypeError(`${what} expects generator functions and coroutines, got ${inWords(task)}${hint}`);
  }
  return list;
}

function bodyOf(task: Task<unknown>): Body<unknown> {
  return task instanceof Coroutine ? () => task.join() : task;
}

/** Whether it was ended from outside, and so has nothing to say. */
function isCutOff(child: Coroutine<unknown>, inner: Scope): boolean {
  return child.state === 'cancelled' && inner.isUnwinding;
}

/**
 * When the one who waits is cancelled there is no result for an error to be part of, so it is thrown. A
 * coroutine's error is not ours: it goes to its own scope.
 */
function throwIfCancelled(inner: Scope, task: Task<unknown>, error: unknown): void {
  if (inner.isUnwinding && !(task instanceof Coroutine)) throw error;
}

function nothing(): void {}
