import type { Co, Operation } from '../../../scheduler/index.ts';

/** The error that an operation or a generator throws. */
export function* errorOf(wait: Operation<unknown> | Co<unknown>): Co<Error> {
  try {
    yield* wait;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected an error, but it returned');
}
