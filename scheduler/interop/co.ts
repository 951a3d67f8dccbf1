/**
 * The `co` package (4.6) on skein's scheduler; a program changes one import.
 *
 * @module skein/co
 */

// This is only the entrance. What may be yielded, and what it means, is in kernel/bare-yield.ts, the same as under `run`.

import { CoCoroutine } from '../kernel/bare-yield.ts';
import { observe } from '../kernel/coroutine.ts';
import type { Co } from '../kernel/operation.ts';
import { keepContext } from '../kernel/scheduler.ts';
import { currentScheduler } from '../kernel/scheduler.ts';

// The slots of iterators are `any` in this file: only so is `const x = yield promise` of any type, as
// programs written for `co` have it, and the types of `@types/co` with them.
type Iterates = (this: any, ...args: any[]) => Iterator<any, any, any>;

type Result<F extends Iterates> = Promise<
  Awaited<ReturnType<F> extends Iterator<any, infer T, any> ? T : never>
>;

/** Else a function whose arguments are wrong would be taken for a value. */
type NoFunction<T> = T extends (...args: any[]) => unknown ? never : unknown;

/** The type of `co`. */
export interface CoFunction {
  /** Runs what a generator function returns; its parameters follow. */
  <F extends Iterates>(fn: F, ...args: Parameters<F>): Result<F>;
  /** Runs a generator. */
  <T>(generator: Iterator<any, T, any>): Promise<Awaited<T>>;
  /** Gives what another function returns, or its error. */
  <Args extends readonly unknown[], T>(fn: (...args: Args) => T, ...args: Args): Promise<Awaited<T>>;
  /** Gives any other value as it is. */
  <T>(value: T & NoFunction<T>): Promise<Awaited<T>>;

  /** As `co`, with the `this` of the function, and of the functions that are yielded in it. */
  call<F extends Iterates>(self: ThisParameterType<F>, fn: F, ...args: Parameters<F>): Result<F>;
  /** As `co`, of a generator. */
  call<T>(self: unknown, generator: Iterator<any, T, any>): Promise<Awaited<T>>;
  /** As `co`, of another function, with its `this`. */
  call<Self, Args extends readonly unknown[], T>(
    self: Self,
    fn: (this: Self, ...args: Args) => T,
    ...args: Args
  ): Promise<Awaited<T>>;
  /** As `co`, of any other value. */
  call<T>(self: unknown, value: T & NoFunction<T>): Promise<Awaited<T>>;

  /**
   * Makes a function that runs the generator function each time it is called, with its `this` and its
   * arguments, and returns the promise. What the function itself throws, before there is a generator, is
   * thrown.
   */
  wrap<F extends Iterates>(fn: F): Wrapped<F>;

  /** The function itself. */
  default: CoFunction;
  /** The function itself. */
  co: CoFunction;
}

/** What `co.wrap` makes. */
export interface Wrapped<F extends Iterates> {
  (this: ThisParameterType<F>, ...args: Parameters<F>): Result<F>;
  /** The generator function that was wrapped. */
  __generatorFunction__: F;
}

/**
 * The `co` package (4.6) on skein: change `import co from 'co'` to this, and the program does what it did,
 * but its generators are coroutines. `yield* sleep(5)`, `yield* conn.read()`, `spawn` and `current` work
 * in them, and dumps show them; when thousands begin at the same time, perhaps not all.
 *
 * The generator runs up to its first `yield` within the call. The promise is settled with what it returns
 * or throws; it waits for what was started with `spawn`, but not for yielded work that goes on after one
 * of several has failed: `yield [a, b]` then throws the first error, and the others come to their own ends.
 *
 * Each call is a root of its own, as `run` is, even inside a coroutine. So its error goes to the promise
 * alone, and who waits for that, with `yield promise`, can be cancelled without it. It is cancelled itself
 * by `current().cancel()` from inside, together with what it has yielded. That one waits for ever is no
 * deadlock: the process may end, as it may with `co`, and one that nothing else refers to is garbage.
 *
 * In three things it differs. Coroutines that become ready in the same turn of the event loop may go on in
 * another order. A promise that is none of JavaScript's own settles but once, and is waited for also as a
 * member of an object; an error of its `then` is thrown at the yield. And yielding again and
 * again what cannot be yielded gives way to others, where `co` overflows the stack.
 *
 * @param fn a generator function, a generator, or a function that returns one; anything else is the result
 * @param args what the function is called with
 *
 * @example
 * ```ts
 * import { sleep } from 'skein';
 * import co from 'skein/co';
 *
 * const answer = await co(function* (question: string) {
 *   const [length] = yield [Promise.resolve(question.length), sleep(5)];
 *   yield* sleep(5);
 *   return length;
 * }, 'six by nine');
 * console.log(answer); // 11
 * ```
 */
const co: CoFunction = Object.assign(start, { wrap }) as unknown as CoFunction;
co.default = co;
co.co = co;

function start(this: unknown, what: unknown, ...args: unknown[]): Promise<unknown> {
  // As in the package, whose functions are not strict.
  const self = this ?? globalThis;
  return new Promise((resolve, reject) => {
    const generator: unknown = typeof what === 'function' ? what.apply(self, args) : what;
    if (typeof (generator as Iterator<unknown> | null | undefined)?.next !== 'function') {
      resolve(generator);
      return;
    }
    const name = typeof what === 'function' && what.name !== '' ? what.name : undefined;
    const scheduler = currentScheduler();
    const root = new CoCoroutine(scheduler, null, () => generator as Co<unknown>, { name }, self);
    // Its promises keep the context of AsyncLocalStorage, so it must.
    keepContext(root);
    observe(root, resolve, reject);
    scheduler.startNow(root);
  });
}

function wrap<F extends Iterates>(fn: F): Wrapped<F> {
  function wrapped(this: any, ...args: any[]): Promise<unknown> {
    return start.call(this, fn.apply(this ?? globalThis, args));
  }
  return Object.assign(wrapped, { __generatorFunction__: fn }) as unknown as Wrapped<F>;
}

// The second name is what `require` gives.
export { co as default, co as 'module.exports' };
