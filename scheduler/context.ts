// The contexts of AsyncLocalStorage. Coroutines run in microtasks that whoever woke them has scheduled, so
// without care they would run in the waker's context. They run in none; or, with the option `asyncContext`
// of `run`, in that of their spawner. It is an option since it costs 40 ns a spawn. This is the one file of
// scheduler/ that imports a module of Node: there is no other way to these contexts.

import { AsyncResource } from 'node:async_hooks';

export type AsyncContext = AsyncResource;

/** The context that is current now. */
export function captureContext(): AsyncContext {
  return new AsyncResource('skein');
}

/** The context of nobody, whoever has caused this module to be loaded: nothing is left in it but its ids. */
const nobody = captureContext();
for (const key of Object.getOwnPropertySymbols(nobody)) {
  if (!String(key).includes('async_id')) Reflect.deleteProperty(nobody, key);
}

/** A context of nobody, made for each use: a store that is entered in it (`enterWith`) goes with it. */
export function outside(): AsyncContext {
  return Object.create(nobody) as AsyncContext;
}
