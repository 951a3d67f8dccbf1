// What a process is warned of: coroutines that harm the others without breaking a rule.

import type { Coroutine } from './coroutine.ts';

export function warnOfHold(coroutine: Coroutine<unknown>, held: number): void {
  process.emitWarning(
    `the coroutine ${coroutine.name} held the thread for ${held.toFixed()} ms; nothing else could run`,
    {
      code: 'SKEIN_HELD',
      detail:
        'Let others run with pause(), or do the work in a worker thread. ' +
        'If it did no such work, the machine was too busy to run this process.',
    },
  );
}

const warned = new WeakSet<Coroutine<unknown>>();

/** Once for each coroutine: it may go on like this for ever. */
export function warnOfSwallowing(coroutine: Coroutine<unknown>): void {
  if (warned.has(coroutine)) return;
  warned.add(coroutine);
  process.emitWarning(
    `the coroutine ${coroutine.name} was cancelled, and has caught the error again and again`,
    { code: 'SKEIN_SWALLOWED', detail: 'Catch what you can handle, and throw a CancelledError on.' },
  );
}
