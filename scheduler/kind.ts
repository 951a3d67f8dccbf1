// What tells one kind of operation from another: a table of functions, not a class. All operations are then
// objects of one shape, and the code that every suspension passes through stays fast however many kinds a
// process uses (ARCHITECTURE.md, "One shape for all operations").

import type { Leaf } from './operation.ts';

/** What the operations of one kind do. */
export interface Behaviour<T, Target, Item> {
  /** Completes at once if it can: leaves the result in `value` and returns true. */
  poll(operation: Leaf<T, Target, Item>): boolean;
  /** Registers with what is waited for. */
  arm(operation: Leaf<T, Target, Item>): void;
  /** Takes back what `arm` did. */
  disarm(operation: Leaf<T, Target, Item>): void;
  /** The wait in words, for dumps: "reading from 127.0.0.1:52100". */
  describe(operation: Leaf<T, Target, Item>): string;
  /** Makes the error to throw of what `fail` was given; runs in the leaf, on the user's stack. */
  raise?(operation: Leaf<T, Target, Item>, error: unknown): unknown;
  /** The result has arrived, and nobody will take it. */
  discard?(operation: Leaf<T, Target, Item>, value: T): void;
  /** Its timer has expired. By default that is the result. */
  expire?(operation: Leaf<T, Target, Item>): void;
  /**
   * Becomes a case of a `select`. False if `poll` would start something: it then waits until no other case is
   * ready (H4).
   */
  enlist?(operation: Leaf<T, Target, Item>): boolean;
  /** Goes on waiting when its coroutine is cancelled. Default false. */
  isFirm?: boolean;
}

export type Kind<T, Target, Item> = Required<Behaviour<T, Target, Item>>;

/** The `poll` of whatever has to begin before it can be ready. */
export const neverReady = (): boolean => false;

/** Completes a behaviour with what is usual. One literal, so that the tables, too, have one shape. */
export function kind<T, Target = undefined, Item = undefined>(
  behaviour: Behaviour<T, Target, Item>,
): Kind<T, Target, Item> {
  return {
    poll: behaviour.poll,
    arm: behaviour.arm,
    disarm: behaviour.disarm,
    describe: behaviour.describe,
    raise: behaviour.raise ?? ((_, error) => error),
    discard: behaviour.discard ?? (() => {}),
    expire: behaviour.expire ?? ((operation) => operation.fire(undefined as T)),
    enlist: behaviour.enlist ?? (() => true),
    isFirm: behaviour.isFirm ?? false,
  };
}
