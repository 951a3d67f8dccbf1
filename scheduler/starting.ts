// How a coroutine begins: its body is called, and gives what is resumed from then on.

import type { Coroutine } from './coroutine.ts';
import { inWords } from './errors.ts';
import type { Co, Operation } from './operation.ts';

export function start<T>(coroutine: Coroutine<T>): Co<T> | Operation<T> {
  const { body } = coroutine;
  const { extras } = coroutine;
  // An argument that most bodies do not have would cost each of them.
  const generator =
    extras === null || extras.supervisor === null
      ? body()
      : (body as (subject: unknown) => Co<T> | Operation<T>)(extras.subject);
  if (typeof generator?.next !== 'function') {
    throw new TypeError(
      `expected the body of ${coroutine.name} to be a generator function, but it returned ${inWords(generator)}`,
    );
  }
  coroutine.generator = generator;
  return generator;
}
