// The coroutines that nobody spawned, of every scheduler: where a dump begins, and what must not be left
// when the process ends. Calls of `skein/co` are listed apart, and weakly: as with `co`, one that waits for a promise
// which nobody can settle any more is garbage. So its entry must not outweigh it: between two collections only
// so many are listed, and after each the list is rid of those that are gone.

import type { Coroutine } from './coroutine.ts';

/** Those of `run`: they live until they have ended. */
export const roots = new Set<Coroutine<unknown>>();

type Entry = WeakRef<Coroutine<unknown>>;

/** A root that lives only while something else refers to it. */
export interface Forgettable extends Coroutine<unknown> {
  /** Where it is listed; null if it is not. */
  entry: Entry | null;
}

/** Entries that may come between two collections. */
const FRESH = 2_048;

const entries = new Set<Entry>();
/** How many entries there may be until the next collection. */
let most = FRESH;
/** Told of a collection by the death of an object that nobody refers to; made for the first entry. */
let collections: FinalizationRegistry<undefined> | null = null;

function watchCollections(): void {
  collections ??= new FinalizationRegistry(() => {
    for (const entry of entries) if (entry.deref() === undefined) entries.delete(entry);
    most = entries.size + FRESH;
    watchCollections();
  });
  collections.register({}, undefined);
}

export function listWeakly(root: Forgettable): void {
  if (entries.size >= most) return;
  if (collections === null) watchCollections();
  root.entry = new WeakRef(root);
  entries.add(root.entry);
}

export function strike(root: Coroutine<unknown>): void {
  if (roots.delete(root)) return;
  const { entry } = root as Partial<Forgettable>;
  if (entry !== undefined && entry !== null) entries.delete(entry);
}

/** All that are listed, in the order of their creation. */
export function everyRoot(): Coroutine<unknown>[] {
  const listed = [...roots];
  for (const entry of entries) {
    const root = entry.deref();
    if (root !== undefined) listed.push(root);
  }
  return listed.toSorted((one, other) => one.id - other.id);
}
