// The stack of a suspended coroutine, every `yield*` level of it, at no cost until asked for: the
// generator is resumed with PROBE, the leaf notes its stack and suspends again, and no user code runs (I2).

import type { Coroutine } from './coroutine.ts';
import { PROBE, takeNotedStack } from './operation.ts';

/**
 * The frames of a suspended coroutine, innermost first, as V8 writes them ("at echo (file:line:column)").
 * Empty for one that runs, has not started, has ended, waits for its children or at a bare `yield`.
 */
export function stackOf(coroutine: Coroutine<unknown>): string[] {
  const { generator } = coroutine;
  // Only then is its generator parked inside a leaf, which alone may see PROBE.
  if (coroutine.op === null || coroutine.bare !== null || generator === null) return [];
  generator.next(PROBE);
  const lines = (takeNotedStack() ?? '').split('\n').map((line) => line.trim());
  // Our own frames are the first two, `note` and the leaf's `next`, and the last `stackOf` and below.
  const from = lines.findIndex((line) => line.startsWith('at note (')) + 2;
  const to = lines.findLastIndex((line) => line.startsWith('at stackOf ('));
  return lines.slice(from, to).filter((line) => !line.endsWith('.next (<anonymous>)'));
}
