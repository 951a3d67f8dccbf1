// The coroutines that nobody spawned, of every scheduler: where a dump begins, and what must not be left
// when the process ends.

import type { Coroutine } from './coroutine.ts';

export const roots = new Set<Coroutine<unknown>>();
