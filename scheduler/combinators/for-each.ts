// The same work on many items, with a concurrency limit. Invariants: an item is taken from its source only when
// there is room to work on it, so the source may be endless; whatever ends the loop early closes the
// source; each item has a coroutine of its own, and its slot is free when that and its children have ended.

import { checkOptions, expectWhole, optionNames } from '../kernel/arguments.ts';
import { observe } from '../kernel/coroutine.ts';
import { inWords } from '../kernel/errors.ts';
import { within } from '../kernel/inner-scope.ts';
import { type Co, kind, Leaf, type Operation, SUSPENDED, suspendedSource } from '../kernel/operation.ts';
import type { Scope } from '../kernel/scope.ts';

/** How to go through the items. */
export interface ForEachOptions {
  /**
   * How many items are worked on at once: a whole number, 1 or more, or `Infinity`. There is no default: what is
   * right depends on what the work waits for.
   */
  concurrency: number;
}

const OPTIONS = optionNames<ForEachOptions>({ concurrency: true });

/**
 * Runs a body for each item, at most `concurrency` of them at once. Items are taken one by one as there is
 * room. The first error cancels the others, closes the source, and is thrown after all have ended.
 *
 * @param body is given the item and its number, from 0
 * @throws the first error; an AggregateError if several failed; CancelledError if an item's coroutine was
 * cancelled; TypeError for malformed arguments
 *
 * @example
 * ```ts
 * import { forEach, run, sleep } from 'skein';
 *
 * await run(() =>
 *   forEach(['a', 'b', 'c'], { concurrency: 2 }, function* (name, index) {
 *     yield* sleep(5);
 *     console.log(index, name);
 *   }),
 * ); // after 10 ms
 * ```
 */
export function* forEach<T>(
  items: Iterable<T>,
  options: ForEachOptions,
  body: (item: T, index: number) => Co<unknown> | Operation<unknown>,
): Co<void> {
  if (typeof items?.[Symbol.iterator] !== 'function') {
    throw new TypeError(`forEach expects an array or another iterable, got ${inWords(items)}`);
  }
  checkOptions('forEach', options, OPTIONS);
  const { concurrency } = options;
  if (concurrency !== Infinity) expectWhole('the concurrency of forEach', concurrency, 1);
  if (typeof body !== 'function') throw new TypeError(`forEach expects a body, got ${inWords(body)}`);
  yield* within('forEach', false, null, (inner) => workOn(items, concurrency, body, inner));
}

function* workOn<T>(
  items: Iterable<T>,
  concurrency: number,
  body: (item: T, index: number) => Co<unknown> | Operation<unknown>,
  inner: Scope,
): Co<void> {
  const room = new Room(concurrency - 1);
  let index = 0;
  for (const item of items) {
    if (item === SUSPENDED.value) throw suspendedSource('forEach');
    const number = index++;
    const child = inner.spawn(() => body(item, number), { name: body.name || undefined });
    room.taken++;
    observe(
      child,
      () => room.free(),
      // An error cancels the scope by itself, and the wait for room with it. One that was cancelled is none.
      (error) => child.state === 'cancelled' && room.break(error),
    );
    yield* room.ready;
    // An item that has ended makes room for no other when all of them were cancelled.
    inner.throwIfCancelled();
  }
  room.most = 0;
  yield* room.ready;
}

/** How many items are worked on; `ready` waits until there are at most `most`. */
class Room {
  taken = 0;
  most: number;
  broken: { readonly error: unknown } | null = null;
  readonly ready = new Leaf(ROOM, this, undefined);

  constructor(most: number) {
    this.most = most;
  }

  free(): void {
    this.taken--;
    if (this.taken <= this.most) this.ready.notify();
  }

  break(error: unknown): void {
    this.broken ??= { error };
    this.ready.notify();
  }
}

const ROOM = kind<void, Room>({
  poll({ target }) {
    if (target.broken !== null) throw target.broken.error;
    return target.taken <= target.most;
  },
  arm: () => {},
  disarm: () => {},
  describe: ({ target }) => `waiting for ${target.taken} items`,
});
