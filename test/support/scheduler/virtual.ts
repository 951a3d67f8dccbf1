import { type Body, type Operation, Scheduler, suspend, VirtualClock } from '../../../scheduler/index.ts';

/** Runs a body in a world of its own, where an hour of sleeping takes no time. */
export function virtually<T>(body: Body<T>): Promise<T> {
  return new Scheduler({ clock: new VirtualClock() }).run(body);
}

/** A wait that ends only by being cancelled. */
export function forever(): Operation<void> {
  return suspend<void>(() => {});
}

/** The error that a piece of code throws. */
export function thrownBy(code: () => unknown): Error {
  try {
    code();
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected an error, but nothing was thrown');
}

/** The error that a promise is rejected with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error('expected a rejection, but the promise was fulfilled');
    },
    (error: Error) => error,
  );
}
