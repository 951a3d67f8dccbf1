// Waiting for the end of a coroutine. The joiners stand in a queue of the coroutine and look at its
// outcome when they are woken; an outcome never changes, so no joiner can miss it.

import { core } from './core.ts';
import type { Coroutine } from './coroutine.ts';
import { DeadlockError } from './errors.ts';
import { ARMED } from './operation.ts';
import { QueuedOperation, WaitQueue } from './wait-queue.ts';

export class JoinOperation<T> extends QueuedOperation<T> {
  /** @internal */ declare target: Coroutine<T>;

  constructor(target: Coroutine<T>) {
    super();
    this.target = target;
  }

  poll(): boolean {
    if (this.target.hasEnded) {
      this.value = this.target.outcome();
      return true;
    }
    if (core.current !== null && isSelfOrAncestor(this.target, core.current)) {
      const whom = this.target === core.current ? 'itself' : 'its ancestor';
      throw new DeadlockError(
        `${core.current.name} joins ${whom} ${this.target.name}, which waits for it to end`,
      );
    }
    return false;
  }

  arm(): void {
    (this.target.joiners ??= new WaitQueue()).push(this as JoinOperation<unknown>);
  }

  disarm(): void {
    this.target.joiners?.remove(this as JoinOperation<unknown>);
  }

  describe(): string {
    return `joining ${this.target.name}`;
  }
}

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
  const join = new JoinOperation(coroutine);
  join.state = ARMED;
  join.waiter = { wake };
  join.arm();
}
