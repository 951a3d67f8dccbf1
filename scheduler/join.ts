// Waiting for the end of a coroutine. The joiners stand in a queue of the coroutine and look at its
// outcome when they are woken; an outcome never changes, so no joiner can miss it.

import { core } from './core.ts';
import type { Coroutine } from './coroutine.ts';
import { DeadlockError } from './errors.ts';
import { kind, type Kind } from './kind.ts';
import { ARMED, Leaf } from './operation.ts';
import { WaitQueue } from './wait-queue.ts';

export type JoinOperation<T> = Leaf<T, Coroutine<T>, undefined>;

export function join<T>(target: Coroutine<T>): JoinOperation<T> {
  return new Leaf<T, Coroutine<T>, undefined>(JOIN as Kind<T, Coroutine<T>, undefined>, target, undefined);
}

const JOIN = kind<unknown, Coroutine<unknown>>({
  poll(operation) {
    const { target } = operation;
    if (target.hasEnded) {
      operation.value = target.outcome();
      return true;
    }
    if (core.current !== null && isSelfOrAncestor(target, core.current)) {
      const whom = target === core.current ? 'itself' : 'its ancestor';
      throw new DeadlockError(`${core.current.name} joins ${whom} ${target.name}, which waits for it to end`);
    }
    return false;
  },
  arm: (operation) => (operation.target.joiners ??= new WaitQueue()).push(operation),
  disarm: (operation) => operation.target.joiners?.remove(operation),
  describe: ({ target }) => `joining ${target.name}`,
});

/** Ancestors are older, so that joining a child is no walk. */
function isSelfOrAncestor(target: Coroutine<unknown>, coroutine: Coroutine<unknown>): boolean {
  let node = coroutine;
  while (node.id > target.id && node.parent !== null) node = node.parent.owner;
  return node === target;
}

/** Calls back with the outcome of a coroutine, from its last step or, if it has ended, at once. */
export function observe<T>(
  coroutine: Coroutine<T>,
  onValue: (value: T) => void,
  onError: (error: unknown) => void,
): void {
  const wake = (): void => {
    let value: T;
    try {
      value = coroutine.outcome() as T;
    } catch (error) {
      onError(error);
      return;
    }
    onValue(value);
  };
  if (coroutine.hasEnded) {
    wake();
    return;
  }
  const operation = join(coroutine);
  operation.state = ARMED;
  operation.waiter = { wake };
  JOIN.arm(operation as JoinOperation<unknown>);
}
