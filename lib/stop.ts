// Who may ask a server to end: an AbortSignal, and the signals of the operating system.

import { inWords } from '../scheduler/errors.ts';
import { notASignal } from '../scheduler/options.ts';

/** What asks for the end; all are optional. */
export interface StopOptions {
  /** Ends the server in stages when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The signals of the operating system that end the server in stages; `true` stands for SIGINT and SIGTERM. A
   * second one has its usual effect, which is to end the process at once. By default none is listened to.
   */
  readonly signals?: boolean | readonly NodeJS.Signals[] | undefined;
}

const USUAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

/** @throws TypeError for malformed options of `what` */
export function checkStop(what: string, { signal, signals = false }: StopOptions): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw notASignal(what, signal);
  if (typeof signals === 'boolean') return;
  if (Array.isArray(signals) && signals.every((name) => typeof name === 'string' && name.startsWith('SIG')))
    return;
  throw new TypeError(
    `the signals of ${what} should be true or names such as 'SIGTERM', got ${inWords(signals)}`,
  );
}

/** Calls `stop` when the end is asked for, at once if it was already; gives a function that stops watching. */
export function watchStop({ signal, signals = false }: StopOptions, stop: () => void): () => void {
  const names = signals === true ? USUAL : signals || [];
  const unwatch = (): void => {
    signal?.removeEventListener('abort', onStop);
    for (const name of names) process.removeListener(name, onStop);
  };
  const onStop = (): void => {
    unwatch();
    stop();
  };
  for (const name of names) process.once(name, onStop);
  signal?.addEventListener('abort', onStop);
  if (signal?.aborted) onStop();
  return unwatch;
}
