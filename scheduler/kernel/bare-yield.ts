// What a bare `yield` may wait for: co's yieldables with co's meaning, so that code written for `co` runs unchanged (S6),
// here and in `skein/co`. The wait is an operation beside the generator, in one field of the coroutine, so cancelling and
// dumping need no special case. Invariants: work that is yielded begins within the yield, in order; generators and
// operations among it run as children, whose errors go to the yield and not to the scope; nothing begins in a cancelled
// scope; a promise is whatever `await` would wait for, and in the way in which it does.

import { Coroutine, enroll, type Forgettable, observe, running } from './coroutine.ts';
import { inWords } from './errors.ts';
import { type Body, core, FAILED, FIRED, IDLE, kind, Leaf, SUSPENDED, type Thunk } from './operation.ts';
import type { Scheduler } from './scheduler.ts';
import type { Scope } from './scope.ts';

type Then = (onFulfilled: (value: unknown) => void, onRejected: (error: unknown) => void) => unknown;

/** Whether it is a promise of this realm that runs the engine's `then`: calling that begins nothing. */
export function isNative(value: unknown): value is Promise<unknown> {
  return value instanceof Promise && (value.constructor === Promise || value.then === Promise.prototype.then);
}

/** The `then` of a promise that is not native, which may begin work when it is called; undefined if it is none. */
export function thenOf(value: unknown): Then | undefined {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined;
  const { then } = value as { then?: unknown };
  return typeof then === 'function' ? (then as Then) : undefined;
}

/** A native promise of what a thenable comes to. */
export function adopt(thenable: unknown, then: Then): Promise<unknown> {
  return new Promise((resolve, reject) => {
    then.call(thenable, resolve, reject);
  });
}

/** The promise that `await` would wait for; undefined for a value that it would give back as it is. */
export function toPromise(value: unknown): Promise<unknown> | undefined {
  try {
    if (isNative(value)) return value;
    const then = thenOf(value);
    return then === undefined ? undefined : adopt(value, then);
  } catch (error) {
    return Promise.reject(error as Error);
  }
}

/**
 * A coroutine that `skein/co` has started, or that such a one has yielded. It never goes on within a bare
 * yield, what it yields is called with its `this`, and when one of several fails, the others are let go.
 */
export class CoCoroutine extends Coroutine<unknown> implements Forgettable {
  /** The `this` of what it runs and yields. */
  declare self: unknown;
  /** Where it is listed if it is a root. */
  declare entry: Forgettable['entry'];

  constructor(
    scheduler: Scheduler,
    parent: Scope | null,
    body: Body<unknown>,
    options: object,
    self: unknown,
  ) {
    super(scheduler, parent, body, options, running());
    this.self = self;
    this.entry = null;
  }
}

/** Begins the wait for what a generator has yielded bare. */
export function beginYielded(
  coroutine: Coroutine<unknown>,
  value: unknown,
): IteratorResult<unknown, unknown> {
  // A leaf that was performed with `yield*`: the engine of Bun hands its value on, in a result of its own.
  if (value === SUSPENDED.value) return SUSPENDED;
  const operation = toOperation(coroutine, value);
  coroutine.bare = operation;
  if (!(coroutine instanceof CoCoroutine) || operation.kind === (GIVEN as unknown))
    return stepYielded(coroutine);
  let outcome: Leaf<unknown>;
  try {
    const result = operation.next();
    if (result === SUSPENDED) return result;
    outcome = given(FIRED, result.value);
  } catch (error) {
    outcome = given(FAILED, error);
  }
  // An operation that was ready; but whoever called `co` is to go on first. Not armed, so it is queued.
  coroutine.bare = outcome;
  core.last = outcome;
  return SUSPENDED;
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

function toOperation(coroutine: Coroutine<unknown>, value: unknown): Leaf<unknown> {
  if (value instanceof Leaf) return value;
  if (value instanceof Coroutine) return value.join() as Leaf<unknown>;
  // The operation throws, but the work must not have begun.
  if (coroutine.scope.isUnwinding) return given(IDLE, undefined);
  const children: Coroutine<unknown>[] = [];
  const own = toPromise(value);
  let promise: unknown = own;
  if (own === undefined) {
    try {
      promise = begin(coroutine, value, children);
    } catch (error) {
      promise = Promise.reject(error as Error);
    }
  }
  if (promise instanceof Promise) {
    return settling(promise, new Yielded(value, own !== undefined, coroutine, children));
  }
  if (isAsyncGenerator(coroutine.generator)) {
    // It would answer an error with the next promise, for ever.
    throw new TypeError(`${coroutine.name} runs an async generator, which is none of a coroutine's`);
  }
  return given(
    IDLE,
    new TypeError(
      `cannot wait for ${inWords(value)}: a bare yield takes a promise, thunk, generator, array or object; ` +
        'operations are performed with yield*',
    ),
  );
}

/** A promise of an element's result; one that is nothing to wait for passes. */
function beginElement(
  coroutine: Coroutine<unknown>,
  value: unknown,
  children: Coroutine<unknown>[],
): unknown {
  if (value instanceof Coroutine) return spawnNow(coroutine, () => value.join(), undefined, children);
  if (value instanceof Leaf) return spawnNow(coroutine, () => value, undefined, children);
  return toPromise(value) ?? begin(coroutine, value, children);
}

/** Begins the work that a value which is no promise stands for, and gives a promise of its result. */
function begin(coroutine: Coroutine<unknown>, value: unknown, children: Coroutine<unknown>[]): unknown {
  const self = coroutine instanceof CoCoroutine ? coroutine.self : undefined;
  if (isGeneratorFunction(value)) return spawnNow(coroutine, () => value.call(self), value.name, children);
  if (isGenerator(value)) return spawnNow(coroutine, () => value, undefined, children);
  if (typeof value === 'function') return fromThunk(self, value as Thunk);
  if (Array.isArray(value)) {
    return Promise.all(value.map((item: unknown) => beginElement(coroutine, item, children)));
  }
  if (!isPlainObject(value)) return value;
  const entries = Object.keys(value).map((key) => {
    const item = beginElement(coroutine, value[key], children);
    return item instanceof Promise ? item.then((result: unknown) => [key, result]) : [key, item];
  });
  return Promise.all(entries).then((settled) => Object.fromEntries(settled as [string, unknown][]));
}

/** Starts a child on the spot. Its promise is the one that hears of its error. */
function spawnNow(
  coroutine: Coroutine<unknown>,
  body: Body<unknown>,
  name: string | undefined,
  children: Coroutine<unknown>[],
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const { scheduler, scope } = coroutine;
    const options = { name: name === '' ? undefined : name, onError: () => {} };
    const child =
      coroutine instanceof CoCoroutine
        ? new CoCoroutine(scheduler, scope, body, options, coroutine.self)
        : new Coroutine(scheduler, scope, body, options, coroutine);
    children.push(child);
    observe(child, resolve, reject);
    scheduler.startNow(child);
  });
}

/** Several values given to a thunk's callback become an array. */
function fromThunk(self: unknown, thunk: Thunk): Promise<unknown> {
  return new Promise((resolve, reject) => {
    thunk.call(self, (error?: unknown, ...values: unknown[]) => {
      if (error) reject(error as Error);
      else resolve(values.length > 1 ? values : values[0]);
    });
  });
}

/** What was yielded, and what has become of it. */
class Yielded {
  readonly value: unknown;
  /** It is one, or another thenable: not asked again, since its `then` may be a getter. */
  readonly isPromise: boolean;
  readonly coroutine: Coroutine<unknown>;
  readonly children: Coroutine<unknown>[];
  isSettled = false;
  hasFailed = false;
  outcome: unknown = undefined;

  constructor(
    value: unknown,
    isPromise: boolean,
    coroutine: Coroutine<unknown>,
    children: Coroutine<unknown>[],
  ) {
    this.value = value;
    this.isPromise = isPromise;
    this.coroutine = coroutine;
    this.children = children;
  }
}

/**
 * Waits for the promise of what was yielded. Not `promised`, which finds the one subscription of a
 * promise: that is worth its price where one promise is waited for many times, as in a `select`.
 */
const YIELD = kind<unknown, Yielded>({
  poll(operation) {
    const { isSettled, hasFailed, outcome, coroutine, children } = operation.target;
    if (!isSettled) return false;
    if (hasFailed) {
      if (coroutine instanceof CoCoroutine && !coroutine.scope.isUnwinding) letGo(children);
      throw outcome;
    }
    operation.value = outcome;
    return true;
  },
  arm: () => {},
  disarm: () => {},
  describe({ target: { value, isPromise, children } }) {
    if (isPromise) return 'waiting for a promise';
    if (isGenerator(value) || isGeneratorFunction(value)) return `joining ${children[0]!.name}`;
    if (typeof value === 'function') {
      return value.name === '' ? 'waiting for a callback' : `suspended in ${value.name}`;
    }
    return `waiting for ${Object.keys(value as object).length} yielded values`;
  },
});

function settling(promise: Promise<unknown>, yielded: Yielded): Leaf<unknown> {
  const operation = new Leaf(YIELD, yielded, undefined);
  const settle = (outcome: unknown, hasFailed: boolean): void => {
    yielded.isSettled = true;
    yielded.hasFailed = hasFailed;
    yielded.outcome = outcome;
    operation.notify();
  };
  Promise.prototype.then.call(
    promise,
    (value) => settle(value, false),
    (error: unknown) => settle(error, true),
  );
  return operation as Leaf<unknown>;
}

/** Makes roots of those that still run: the coroutine no longer waits for them, nor does its end cancel them. */
function letGo(children: Coroutine<unknown>[]): void {
  for (const child of children) {
    if (child.hasEnded) continue;
    const { parent } = child;
    parent!.release(child);
    parent!.live--;
    child.parent = null;
    enroll(child);
  }
}

/** A result or an error that is there already; in the state IDLE it is an error, thrown when performed. */
const GIVEN = kind<unknown>({
  poll(operation) {
    throw operation.value;
  },
  arm: () => {},
  disarm: () => {},
  describe: () => 'about to go on',
});

function given(state: number, value: unknown): Leaf<unknown> {
  const operation = new Leaf(GIVEN, undefined, undefined);
  operation.state = state;
  operation.value = value;
  return operation as Leaf<unknown>;
}

function isGenerator(value: unknown): value is Generator<any, unknown, any> {
  const generator = value as Partial<Generator> | null | undefined;
  return typeof generator?.next === 'function' && typeof generator.throw === 'function';
}

function isAsyncGenerator(value: unknown): boolean {
  return typeof (value as Partial<AsyncGenerator> | null)?.[Symbol.asyncIterator] === 'function';
}

/** Told by the name, which those of other realms and of transpilers bear too. */
function isGeneratorFunction(value: unknown): value is (this: unknown) => Generator<any, unknown, any> {
  if (typeof value !== 'function') return false;
  const maker = value.constructor as { name?: unknown; displayName?: unknown } | undefined;
  return maker?.name === 'GeneratorFunction' || maker?.displayName === 'GeneratorFunction';
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && value.constructor === Object;
}
