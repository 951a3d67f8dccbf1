// The contexts of AsyncLocalStorage. Coroutines run in microtasks that whoever woke them has scheduled, so
// without care they would run in the waker's context. They run in none; or, with the option `asyncContext`
// of `run`, in that of their spawner. It is an option since it costs 40 ns a spawn. It needs a
// module of Node: there is no other way to these contexts.
// Invariants: what runs `outside` sees no store, neither that of its caller nor that of the code that loaded this
// module; and a store that is entered there (`enterWith`) is gone with it.

import { AsyncResource, createHook, triggerAsyncId } from 'node:async_hooks';

export type AsyncContext = AsyncResource;

/** The context that is current now. */
export function captureContext(): AsyncContext {
  return new AsyncResource('skein');
}

/** A context without stores, if none is current. Nobody has triggered it (0): to find out who did takes half of the time. */
const emptyContext = (): AsyncContext => new AsyncResource('skein', 0);

/**
 * The context of the next call of `outside`. It serves once, since on Node 20 and 22 a store that is entered stays in
 * it, and the one after it is made within it while it is still empty. The first is made where a store may be current:
 * that of a request, say, whose handler is the first to import skein.
 */
let next = emptyContext();
/** Serves again and again, while hooks see no promises. */
let shared = emptyContext();

/** Calls a function in a context without stores. */
export function outside<A extends unknown[], T>(callback: (...args: A) => T, ...args: A): T {
  return next.runInAsyncScope(enter<A, T>, undefined, callback, args);
}

function enter<A extends unknown[], T>(callback: (...args: A) => T, args: A): T {
  next = emptyContext();
  return callback(...args);
}

/**
 * The same in the continuation of a promise, for less. If hooks did not see the promise, it has no trigger: then there
 * were no stores, or they are those of Node 24, which stay in no context.
 */
export function outsideInContinuation(callback: () => void): void {
  if (triggerAsyncId() === 0) shared.runInAsyncScope(callback);
  else outside(callback);
}

/**
 * Fulfilled when these contexts are known to be empty, which is in the first turn of the event loop after this module
 * was loaded, or at once. Coroutines begin after it; what else runs outside may be before it.
 */
export const settled: Promise<void> = Promise.resolve().then(() => {
  // Bun and Deno call no hooks: there they are copies of the context of whoever has loaded skein.
  if (process.versions['bun'] !== undefined || process.versions['deno'] !== undefined) return undefined;
  // Node 20 and 22 carry stores by hooks, which see promises.
  if (Number.parseInt(process.versions.node) < 24 && triggerAsyncId() === 0) return undefined;
  return emptied();
});

/**
 * Makes the contexts anew where no store can be: Node calls the hooks for destroyed resources from its event loop, and
 * not on anybody's behalf. Hooks that see promises make all promises slower, so this one does not where Node can.
 */
function emptied(): Promise<void> {
  return new Promise((resolve) => {
    const resource = new AsyncResource('skein', { requireManualDestroy: true });
    const id = resource.asyncId();
    const trackPromises = false;
    const destroy = (destroyed: number): void => {
      if (destroyed !== id) return;
      next = emptyContext();
      shared = emptyContext();
      resolve();
    };
    const hook = createHook({ destroy, ...{ trackPromises } }).enable();
    resource.emitDestroy();
    // It comes after that call, which would not keep the process alive.
    setImmediate(() => {
      hook.disable();
      // Node goes on looking for destroyed promises until another hook is enabled.
      createHook({ init: () => {}, ...{ trackPromises } })
        .enable()
        .disable();
      resolve();
    });
  });
}
