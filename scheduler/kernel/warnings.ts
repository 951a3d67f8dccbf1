// What a process is warned of: coroutines that harm the others without breaking a rule, and errors that no
// coroutine can be given. Invariant: nothing here throws, whatever has become of `process` and `console`: those who
// call it have work to finish.

export function warnOfHold(coroutine: { readonly name: string }, held: number): void {
  warn(`the coroutine ${coroutine.name} held the thread for ${held.toFixed()} ms; nothing else could run`, {
    code: 'SKEIN_HELD',
    detail:
      'Let others run with pause(), or do the work in a worker thread. ' +
      'If it did no such work, the machine was too busy to run this process.',
  });
}

const warned = new WeakSet<object>();

/** Once for each coroutine: it may go on like this for ever. */
export function warnOfSwallowing(coroutine: { readonly name: string }): void {
  if (warned.has(coroutine)) return;
  warned.add(coroutine);
  warn(`the coroutine ${coroutine.name} was cancelled, and has caught the error again and again`, {
    code: 'SKEIN_SWALLOWED',
    detail: 'Catch what you can handle, and throw a CancelledError on.',
  });
}

/** @internal As `process.emitWarning`. */
export function warn(message: string, options: NodeJS.EmitWarningOptions): void {
  try {
    process.emitWarning(message, options);
  } catch {
    // It is only a warning: whatever keeps Node from emitting it is no error of this process.
    print(`skein: ${message}\n`);
  }
}

/**
 * @internal Reports an error that nobody is left to handle, and that must not end those who have nothing to do with
 * it. Whoever listens to `uncaughtException` gets it; otherwise it is printed, and the process goes on.
 */
export function reportUncaught(what: string, error: unknown): void {
  try {
    if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()) {
      setImmediate(() => {
        throw error;
      });
    } else {
      console.error(`skein: ${what}:`, error);
    }
  } catch {
    // Printing it may throw as well: an error can have a `stack` that does.
    print(`skein: ${what}: an error that cannot be printed\n`);
  }
}

function print(line: string): void {
  try {
    process.stderr.write(line);
  } catch {
    // Nobody is left who could hear of it.
  }
}
