// Values that belong to a coroutine and that whatever it spawns inherits, as a request's id that every
// line of a log should bear. The table is shared until somebody sets a value, and copied then: spawning
// costs one assignment.

import { type Coroutine, running } from '../kernel/coroutine.ts';
import { Extras } from '../kernel/scope.ts';

/**
 * A value that each coroutine has for itself, made by `local`.
 */
export class Local<T> {
  readonly #initial: T;

  /** @internal */
  constructor(initial: T) {
    this.#initial = initial;
  }

  /** The running coroutine's value: what it has set, or inherited; else, and outside of coroutines, the initial one. */
  get(): T {
    const locals = running()?.extras?.locals;
    return locals?.has(this as Local<unknown>) ? (locals.get(this as Local<unknown>) as T) : this.#initial;
  }

  /**
   * Sets the value for the running coroutine, and for whatever it spawns from now on.
   *
   * @throws TypeError outside of a coroutine
   */
  set(value: T): void {
    const coroutine: Coroutine<unknown> | null = running();
    if (coroutine === null)
      throw new TypeError('a local value needs a running coroutine: set it inside of run');
    const extras = (coroutine.extras ??= new Extras());
    extras.locals = new Map(extras.locals).set(this as Local<unknown>, value);
  }
}

/**
 * Makes a coroutine-local value. A coroutine inherits the values of the one that spawned it.
 *
 * @param initial what `get` gives where nobody has set it; by default undefined
 *
 * @example
 * ```ts
 * import { local, run, spawn } from 'skein';
 *
 * const requestId = local('none');
 * await run(function* () {
 *   requestId.set('a1');
 *   spawn(function* () {
 *     console.log(requestId.get()); // a1
 *   });
 * });
 * console.log(requestId.get()); // none
 * ```
 */
export function local<T>(initial: T): Local<T>;
export function local<T>(): Local<T | undefined>;
export function local<T>(initial?: T): Local<T | undefined> {
  return new Local(initial);
}
