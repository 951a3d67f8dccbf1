// The stack of a suspended coroutine, every `yield*` level of it, at no cost until asked for: the
// generator is resumed, the leaf notes its stack and suspends again, and no user code runs (I2). Leaves know
// by a flag, not by what they are sent: an iterator in between may not pass that on. Invariant: nothing is thrown
// while the generator is resumed, since it would end the coroutine, not the dump.

import type { Coroutine } from '../kernel/coroutine.ts';
import { limitStacks } from '../kernel/errors.ts';
import { expectRoom } from '../kernel/inner-scope.ts';
import { probeWith } from '../kernel/operation.ts';

/** Bears the stack that the last leaf has noted. */
let noted: Error | undefined;

/** Half of the stack that a thread has by default, in values of eight bytes. */
const HALF_A_STACK = 61_000;

/**
 * Whether half of the stack is free. Resuming a generator takes as much of it as all its levels of `yield*` need, and
 * that cannot be known before; near its end the overflow would be thrown into the generator.
 */
export function hasRoom(): boolean {
  try {
    expectRoom(HALF_A_STACK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The user's frames of a suspended coroutine, innermost first, as V8 writes them ("at echo (file:line:column)").
 * Empty for one that runs, has not started, has ended, waits for its children or at a bare `yield`. Call it only
 * if `hasRoom`.
 */
export function stackOf(coroutine: Coroutine<unknown>): string[] {
  const { generator } = coroutine;
  // Only then is its generator parked inside a leaf.
  if (coroutine.op === null || coroutine.bare !== null || generator === null) return [];
  probeWith(noteStack);
  try {
    generator.next();
  } finally {
    probeWith(null);
  }
  // Written only here, outside of the generator: that may run an `Error.prepareStackTrace` of the user's, and
  // what it throws must not end the coroutine.
  const error = noted;
  noted = undefined;
  return usersFrames(String(error?.stack));
}

/** Called by the leaf. */
function noteStack(): void {
  try {
    const limit = limitStacks(Infinity);
    noted = new Error();
    limitStacks(limit);
  } catch {
    // Whoever has replaced `Error` gets no stacks.
  }
}

/** The frame of `note`, and in it the folder of this package: of its source, or of what was built from it. */
const HOME = /^ *at note \((.*[\\/])scheduler[\\/]kernel[\\/]operation\.[jt]s:\d+:\d+\)$/m;

function usersFrames(stack: string): string[] {
  const lines = stack.split('\n').map((line) => line.trim());
  // Bundled into one file, ours cannot be told from the user's: then only the leaf's two frames are left out.
  const home = HOME.exec(stack)?.[1];
  const isOurs = (line: string): boolean =>
    home !== undefined && OUR_FOLDERS.some((folder) => line.includes(home + folder));
  const from = lines.findIndex((line) => line.startsWith('at note (')) + 2;
  const to = lines.findIndex(
    (line) => line.startsWith('at stackOf (') && (home === undefined || isOurs(line)),
  );
  return lines.slice(from, to).filter((line) => !isOurs(line) && !line.endsWith('.next (<anonymous>)'));
}

const OUR_FOLDERS = ['scheduler/', 'scheduler\\', 'lib/', 'lib\\'];
