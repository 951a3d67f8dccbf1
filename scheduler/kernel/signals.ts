// AbortSignals, those of others and our own. Node takes more than ten listeners of one for a leak, but a server may
// share the signal of its shutdown with thousands of coroutines. So each signal of others has one listener of ours,
// which stands while somebody wants to know of its abort; and our own signals may have as many as users add.
// Invariants: listeners are called in the order in which they were added; one that throws stops no other.

import { setMaxListeners } from 'node:events';
import { reportUncaught } from './warnings.ts';

type OnAbort = (event: Event) => void;

const asking = new WeakMap<EventTarget, Set<OnAbort>>();

function tell(event: Event): void {
  const signal = event.currentTarget!;
  const all = asking.get(signal);
  if (all === undefined) return;
  asking.delete(signal);
  // What one of them does may be the end of another, who is then told no more.
  for (const onAbort of all) {
    all.delete(onAbort);
    try {
      onAbort(event);
    } catch (error) {
      reportUncaught('what follows the abort of a signal has failed', error);
    }
  }
  // Last: on a signal that somebody has made this may throw.
  signal.removeEventListener('abort', tell);
}

/**
 * Calls back when a signal aborts; not for one that has aborted before. Gives a function that ends this, for a
 * listener of its own each time.
 */
export function watchSignal(signal: AbortSignal, onAbort: OnAbort): () => void {
  let all = asking.get(signal);
  if (all === undefined) {
    all = new Set();
    asking.set(signal, all);
    signal.addEventListener('abort', tell);
  }
  const others = all.add(onAbort);
  return () => {
    if (!others.delete(onAbort) || others.size > 0 || asking.get(signal) !== others) return;
    asking.delete(signal);
    signal.removeEventListener('abort', tell);
  };
}

/** A controller whose signal is for users: they may add listeners without end. */
export function newController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
