// Who may ask a server to end: an AbortSignal, and the signals of the operating system.

import { constants } from 'node:os';
import { notASignal } from '../../scheduler/kernel/arguments.ts';
import { inWords } from '../../scheduler/kernel/errors.ts';
import { watchSignal } from '../../scheduler/kernel/signals.ts';
import { builtin } from '../reactor/builtin.ts';

/** What asks for the end; all are optional. */
export interface StopOptions {
  /** Shuts the server down gracefully when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The signals of the operating system that shut the server down gracefully; `true` stands for SIGINT and SIGTERM. A
   * second one has its usual effect, which is to end the process at once. By default none is listened to.
   */
  readonly signals?: boolean | readonly NodeJS.Signals[] | undefined;
}

const USUAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

/** @throws TypeError for malformed options of `what` */
export function checkStop(what: string, { signal, signals = false }: StopOptions): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw notASignal(what, signal);
  if (typeof signals === 'boolean') return;
  const unknown = Array.isArray(signals) ? signals.find((name) => !canBeCaught(name)) : signals;
  if (Array.isArray(signals) && unknown === undefined) return;
  throw new TypeError(
    `the signals of ${what} should be true or names of signals that can be caught, got ${inWords(unknown)}`,
  );
}

function canBeCaught(name: unknown): boolean {
  return typeof name === 'string' && name in constants.signals && name !== 'SIGKILL' && name !== 'SIGSTOP';
}

/** Whom each signal stops. They share one listener of it: more than ten would look like a leak to Node. */
const stops = new Map<NodeJS.Signals, Set<() => void>>();

function onSignal(name: NodeJS.Signals): void {
  for (const stop of stops.get(name) ?? []) stop();
  // The channel to the primary would keep a worker alive that has nothing left to do.
  if (builtin('node:cluster').isWorker) process.channel?.unref();
}

/** Calls `stop` when the end is asked for, at once if it was already; gives a function that stops watching. */
export function watchStop({ signal, signals = false }: StopOptions, stop: () => void): () => void {
  const names = signals === true ? USUAL : signals || [];
  const unwatch = (): void => {
    unwatchSignal?.();
    for (const name of names) {
      const others = stops.get(name);
      // The last one: the next such signal has its usual effect.
      if (others?.delete(onStop) && others.size === 0) process.removeListener(name, onSignal);
    }
  };
  const onStop = (): void => {
    unwatch();
    stop();
  };
  for (const name of names) {
    if (!stops.has(name)) stops.set(name, new Set());
    if (stops.get(name)!.size === 0) process.on(name, onSignal);
    stops.get(name)!.add(onStop);
  }
  const unwatchSignal = signal && watchSignal(signal, onStop);
  if (signal?.aborted) onStop();
  return unwatch;
}
