// How Mutex, RwLock and Semaphore let coroutines in: first come, first served. Invariants: whoever stands at
// the head of the line cannot be let in yet, so whatever changes that calls `admit`; nobody passes those
// who wait; what was granted belongs to its operation at that moment, and goes back if nobody takes it.
//
//   acquire ── nobody waits, and it fits? ── yes ─► grant
//                 │ no
//                 └─ join the line ◄── admit: grant to the head, and to the next, while they fit

import type { Kind, Leaf } from '../kernel/operation.ts';
import type { WaitQueue } from '../kernel/wait-queue.ts';

/** What is held by one who was let in. */
interface Holding {
  /** Gives it back, unless that was done before. Not `Symbol.dispose`, which the first Node 20 lacks. */
  drop(): void;
}

/** What lets coroutines in. */
interface Gatekeeper<Held extends Holding, Item> {
  /** Those who wait to be let in. */
  readonly line: WaitQueue<AcquireOperation<Held, Item>>;
  /** Whether it could be let in now, were nobody ahead. */
  fits(operation: AcquireOperation<Held, Item>): boolean;
  /** Lets it in. */
  grant(operation: AcquireOperation<Held, Item>): Held;
}

/** Waits to be let in; the result is what is held from then on. */
type AcquireOperation<Held extends Holding, Item> = Leaf<Held, Gatekeeper<Held, Item>, Item>;

/** What all kinds of waiting to be let in do; each adds its description. */
export const ACQUIRE: Pick<
  Kind<Holding, Gatekeeper<Holding, unknown>, unknown>,
  'poll' | 'arm' | 'disarm' | 'discard'
> = {
  poll(operation) {
    const { target } = operation;
    if (target.line.first !== null || !target.fits(operation)) return false;
    operation.value = target.grant(operation);
    return true;
  },
  arm: (operation) => operation.target.line.push(operation),
  disarm(operation) {
    const { line } = operation.target;
    line.remove(operation);
    // Those behind may have waited only for the one that leaves.
    admit(line);
  },
  /** What was granted and will not be taken goes back. */
  discard: (_, held) => (held as Holding).drop(),
};

/** Lets in whoever can be, from the head of the line. */
export function admit<Held extends Holding, Item>(line: WaitQueue<AcquireOperation<Held, Item>>): void {
  for (let head = line.first; head?.target.fits(head) === true; head = line.first) {
    line.remove(head);
    head.fire(head.target.grant(head));
  }
}
