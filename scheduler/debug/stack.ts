// The stack of a suspended coroutine, every `yield*` level of it, at no cost until asked for: the
// generator is resumed, the leaf notes its stack and suspends again, and no user code runs (I2). Leaves know
// by a flag, not by what they are sent: an iterator in between may not pass that on. Invariant: nothing is thrown
// while the generator is resumed, since it would end the coroutine, not the dump.

import type { Coroutine } from '../kernel/coroutine.ts';
import { limitStacks } from '../kernel/errors.ts';
import { expectRoom } from '../kernel/inner-scope.ts';
import { probeWith } from '../kernel/operation.ts';

/** Bears the stack that the last leaf has noted, from `note` in operation.ts on. */
let noted: { stack?: string } | undefined;

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
  const bearer = noted;
  noted = undefined;
  return usersFrames(String(bearer?.stack));
}

/** Called by the leaf. */
function noteStack(): void {
  try {
    const limit = limitStacks(Infinity);
    noted = {};
    Error.captureStackTrace(noted, noteStack);
    limitStacks(limit);
  } catch {
    // Whoever has replaced `Error` gets no stacks.
  }
}

function usersFrames(stack: string): string[] {
  const lines = stack.split('\n').map((line) => line.trim());
  const to = lines.findIndex((line) => RESUMED.test(line) && (HOMES.length === 0 || isOurs(line)));
  return lines
    .slice(FIRST, to === -1 ? undefined : to)
    .filter((line) => !isOurs(line) && !line.endsWith('.next (<anonymous>)'));
}

/** Behind the line that says what it is a stack of, and the two frames of the leaf. */
const FIRST = 3;

/** The frame of `stackOf`, which a bundler may have given a number. */
const RESUMED = /^at stackOf(?:\$?\d+)? \(/;

/** Where this module stands below the folder of the package: as a source or what was made of it alone, or in our build. */
const PLACE = /(?:scheduler\/debug\/stack\.[jt]s|dist\/skein\/kernel\.js)(?:[?#].*)?$/;

/** The folders of the package that have modules of ours; those of the sources also in frames that a source map gives. */
const FOLDERS = ['scheduler/', 'lib/', 'dist/'];

/** What the places of our frames begin with. None in a bundle of a user's, where ours cannot be told from theirs. */
const HOMES = homes(String(import.meta.url));

function homes(url: string): string[] {
  const root = url.replace(PLACE, '');
  if (root === url) return [];
  const places = [root];
  // So V8 writes it when a source map gives the place, or a loader has compiled the module.
  if (root.startsWith('file://')) {
    places.push(decodeURIComponent(root.slice('file://'.length)).replace(/^\/(?=[a-z]:)/i, ''));
  }
  return places.flatMap((place) => FOLDERS.map((folder) => place + folder));
}

function isOurs(line: string): boolean {
  const place = forward(line);
  return HOMES.some((home) => place.includes(home));
}

/** With the separators of a URL, on Windows too. */
function forward(path: string): string {
  return path.replaceAll('\\', '/');
}
