// What a process with coroutines does at its end and on a signal. When Node has nothing left to wait for
// and coroutines still live, nothing can wake them: that is a deadlock (I3). It is reported, each `run` is
// rejected, and the exit code is 2. A process that other things keep alive is never called deadlocked.

import { core } from './core.ts';
import type { Coroutine } from './coroutine.ts';
import { DeadlockError } from './errors.ts';
import { formatDump } from './dump.ts';
import { stackOf } from './probe.ts';
import { roots } from './registry.ts';
import { abandon } from './ending.ts';
import { CoCoroutine } from './yieldable.ts';

const EXIT_CODE = 2;

/** The coroutines that were told, and did not end for it. */
const told = new WeakSet<object>();

/** How often coroutines had run when it was asked whether somebody else who hears of the end wakes them. */
let askedAt = -1;

function onBeforeExit(): void {
  // A promise of `co` that never settles lets the process end, as it always did.
  const stuck = [...roots].filter((root) => !(root instanceof CoCoroutine));
  if (stuck.length === 0) return;
  // Node ends right after this event unless there is something to do: so it comes once more.
  setImmediate(() => {});
  if (askedAt !== core.drains) {
    askedAt = core.drains;
    return;
  }
  const what = stuck.every((root) => told.has(root))
    ? 'these coroutines were cancelled, and wait on; they are given up'
    : 'nothing is left that could wake these coroutines';
  setExitCode();
  // The rejections may end the process, and a pipe takes only so much at once: the report goes first.
  process.stderr.write(`deadlock: ${what}\n${formatDump()}`, () => {
    // Meanwhile somebody may have woken them after all.
    if (askedAt !== core.drains) return;
    for (const root of stuck) if (roots.has(root)) end(root);
  });
}

/** The first time everything is cancelled, so that it can clean up; what then still waits is given up. */
function end(root: Coroutine<unknown>): void {
  const error = deadlockOf(root);
  if (told.has(root)) abandon(root, error);
  else root.addError(error);
  told.add(root);
}

function deadlockOf(root: Coroutine<unknown>): DeadlockError {
  const error = new DeadlockError(`${root.name} waits for ever: ${root.describe() ?? root.state}`);
  // Its own stack would be that of this file: better one that says where the coroutine stands.
  error.stack = [`${error.name}: ${error.message}`, ...stackOf(root)].join('\n    ');
  return error;
}

let hasExitCode = false;

function setExitCode(): void {
  process.exitCode ??= EXIT_CODE;
  if (hasExitCode) return;
  hasExitCode = true;
  // An error that nobody handles would make it 1.
  process.once('exit', (code) => {
    if (code === 1) process.exitCode = EXIT_CODE;
  });
}

let isWatching = false;

/** @internal Begins to watch over the process; called once a coroutine lives. */
export function watchProcess(): void {
  if (isWatching) return;
  isWatching = true;
  process.on('beforeExit', onBeforeExit);
}

// At once, not with the first coroutine: until somebody listens, the signal ends the process.
if (process.env['SKEIN_DUMP'] === '1') process.on('SIGUSR2', () => process.stderr.write(formatDump()));
