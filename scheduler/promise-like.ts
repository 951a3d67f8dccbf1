// What counts as a promise: whatever `await` would wait for, and in the way in which it does. So `then` is
// read once and called once; what its getter throws is a rejection; and what it settles with may be a thenable
// itself.

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
