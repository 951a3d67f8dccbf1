// What a process with coroutines does at its end and on a signal. When Node has nothing left to wait for
// and coroutines still live, nothing can wake them: that is a deadlock (I3). It is reported, each `run` is
// rejected, and the exit code is 2. A process that other things keep alive is never called deadlocked.

import { DeadlockError } from './errors.ts';
import { formatDump } from './dump.ts';
import { roots } from './registry.ts';
import { abandon } from './scheduler.ts';

const EXIT_CODE = 2;

/** The coroutines that were told, and did not end for it. */
const told = new WeakSet<object>();

function onBeforeExit(): void {
  if (roots.size === 0) return;
  const stuck = [...roots];
  process.stderr.write(`deadlock: nothing is left that could wake these coroutines\n${formatDump()}`);
  process.exitCode ??= EXIT_CODE;
  // An error that nobody handles would make it 1.
  process.once('exit', (code) => {
    if (code === 1) process.exitCode = EXIT_CODE;
  });
  for (const root of stuck) {
    const error = new DeadlockError(`${root.name} waits for ever: ${root.describe() ?? root.state}`);
    // Its stack would be this one, and tell nothing.
    error.stack = `${error.name}: ${error.message}`;
    // The first time everything is cancelled, so that it can clean up; what then still waits is given up.
    if (told.has(root)) abandon(root, error);
    else root.addError(error);
    told.add(root);
  }
}

let isWatching = false;

/** @internal Begins to watch over the process; called once a coroutine lives. */
export function watchProcess(): void {
  if (isWatching) return;
  isWatching = true;
  process.on('beforeExit', onBeforeExit);
  if (process.env['SKEIN_DUMP'] === '1') process.on('SIGUSR2', () => process.stderr.write(formatDump()));
}
