// What a bare `yield` may wait for: co's yieldables with co's meaning, so that code written for `co`
// runs unchanged (S6). The wait is an operation beside the generator, in one field of the coroutine, so
// cancelling and dumping need no special case.

import type { Coroutine } from './coroutine.ts';
import { inWords } from './errors.ts';
import { JoinOperation, observe } from './join.ts';
import { type Co, Leaf, type Operation, SUSPENDED } from './operation.ts';
import { SuspendOperation } from './suspend.ts';
import { PromiseOperation } from './wait.ts';

type Thunk = (callback: (error?: any, ...values: any[]) => void) => unknown;

/** What code written for `co` yields; elements of arrays and values of objects that are none pass through. */
export type Yieldable =
  | PromiseLike<unknown>
  | Thunk
  | Operation<unknown>
  | Generator<any, any, any>
  | (() => Generator<any, any, any>)
  | readonly unknown[]
  | { readonly [key: string]: unknown };

/** Begins the wait for what a generator has yielded bare. */
export function beginYielded(
  coroutine: Coroutine<unknown>,
  value: unknown,
): IteratorResult<unknown, unknown> {
  let operation: Leaf<unknown> | undefined;
  try {
    operation = toOperation(coroutine, value);
  } catch (error) {
    return coroutine.generator!.throw(error);
  }
  if (operation === undefined) {
    return coroutine.generator!.throw(
      new TypeError(
        `cannot wait for ${inWords(value)}: a bare yield takes a promise, thunk, generator, array or object; ` +
          'operations are performed with yield*',
      ),
    );
  }
  coroutine.bare = operation;
  return stepYielded(coroutine);
}

/** Performs what was yielded; when it has ended, the generator goes on with its result. */
export function stepYielded(coroutine: Coroutine<unknown>): IteratorResult<unknown, unknown> {
  const generator = coroutine.generator!;
  let result: IteratorResult<unknown, unknown>;
  try {
    result = coroutine.bare!.next();
  } catch (error) {
    coroutine.bare = null;
    return generator.throw(error);
  }
  if (result === SUSPENDED) return result;
  coroutine.bare = null;
  return generator.next(result.value);
}

function toOperation(coroutine: Coroutine<unknown>, value: unknown): Leaf<unknown> | undefined {
  if (value instanceof Leaf) return value;
  if (isPromise(value)) return new PromiseOperation(value);
  if (isGeneratorFunction(value)) return toOperation(coroutine, value());
  if (typeof value === 'function') return thunk(value as Thunk);
  if (isGenerator(value)) return new JoinOperation(spawnIsolated(coroutine, value));
  if (Array.isArray(value)) {
    return new PromiseOperation(Promise.all(value.map((item: unknown) => toPromise(coroutine, item))));
  }
  if (value instanceof Object && value.constructor === Object) {
    return new PromiseOperation(
      Promise.all(
        Object.entries(value).map(async ([key, item]) => [key, await toPromise(coroutine, item)] as const),
      ).then((entries) => Object.fromEntries(entries)),
    );
  }
  return undefined;
}

/** Runs as a child whose error goes to the one who yielded it, not to the scope. */
function spawnIsolated(coroutine: Coroutine<unknown>, generator: Co<unknown>): Coroutine<unknown> {
  return coroutine.scheduler.spawn(coroutine.scope, () => generator, { onError: () => {} });
}

function toPromise(coroutine: Coroutine<unknown>, value: unknown): unknown {
  if (isPromise(value)) return value;
  const operation = toOperation(coroutine, value);
  if (operation === undefined) return value;
  const child = spawnIsolated(
    coroutine,
    (function* (): Co<unknown> {
      return yield* operation;
    })(),
  );
  return new Promise((resolve, reject) => observe(child, resolve, reject));
}

/** Several values given to a thunk's callback become an array. */
function thunk(start: Thunk): Leaf<unknown> {
  return new SuspendOperation((resume) => {
    start((error?: unknown, ...values: unknown[]) =>
      resume(error || null, values.length > 1 ? values : values[0]),
    );
  });
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}

function isGenerator(value: unknown): value is Co<unknown> {
  const generator = value as Partial<Co<unknown>> | null | undefined;
  return typeof generator?.next === 'function' && typeof generator.throw === 'function';
}

const GeneratorFunction = Object.getPrototypeOf(function* () {}).constructor as new () => () => Co<unknown>;

function isGeneratorFunction(value: unknown): value is () => Co<unknown> {
  return value instanceof GeneratorFunction;
}
