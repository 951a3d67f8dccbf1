// Waiting for the first of several operations: the words and the types. How it is done is selection.ts.

import type { Operation } from './operation.ts';
import { Selection } from './selection.ts';

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
