// What a process with coroutines does at its end and on a signal. When Node has nothing left to wait for
// and coroutines still live, nothing can wake them: that is a deadlock (I3). It is reported, each `run` is
// rejected, and the exit code is 2. A process that other things keep alive is never called deadlocked.

import { abandon, type Coroutine, roots } from '../kernel/coroutine.ts';
import { DeadlockError } from '../kernel/errors.ts';
import { core } from '../kernel/operation.ts';
import { formatDump } from './dump.ts';
import { stackOf } from './stack.ts';

const EXIT_CODE = 2;

/** The coroutines that were told, and did not end for it. */
const told = new WeakSet<object>();

/** Rounds in a row in which nobody did anything: another listener of the event may begin something in a later one. */
const QUIET_ROUNDS = 10;

let quietRounds = 0;

/** How often coroutines had run in the last round. */
let askedAt = -1;

/** Runs in a round that has more to do than to come to its end. */
let witness: NodeJS.Immediate | undefined;

function onBeforeExit(): void {
  clearImmediate(witness);
  // A promise of `co` that never settles lets the process end, as it always did: those are no roots here.
  const stuck = [...roots];
  if (stuck.length === 0) return;
  if (askedAt !== core.drains) quietRounds = 0;
  askedAt = core.drains;
  // Node ends right after this event unless there is something to do: so it comes once more.
  setImmediate(() => {
    // One that is not waited for runs only if the loop goes round again for something else, such as a timer.
    witness = setImmediate(() => (quietRounds = 0)).unref();
  });
  if (quietRounds++ < QUIET_ROUNDS) return;
  quietRounds = 0;
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
