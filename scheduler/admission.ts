// How Mutex, RwLock and Semaphore let coroutines in: first come, first served. Invariants: who stands at
// the head of the line cannot be let in yet, so whatever changes that calls `admit`; nobody passes those
// who wait; what was granted belongs to its operation at that moment, and goes back if nobody takes it.
//
//   acquire ── nobody waits, and it fits? ── yes ─► grant
//                 │ no
//                 └─ join the line ◄── admit: grant to the head, and to the next, while they fit

import { FIRED } from './operation.ts';
import { QueuedOperation, WaitQueue } from './wait-queue.ts';

/** What is held by one who was let in. */
interface Holding {
  /** Gives it back, unless that was done before. Not `Symbol.dispose`, which the first Node 20 lacks. */
  drop(): void;
}

/** Waits to be let in; the result is what is held from then on. */
export abstract class AcquireOperation<Held extends Holding> extends QueuedOperation<Held> {
  /** @internal */ declare line: WaitQueue<AcquireOperation<Held>>;

  constructor(line: WaitQueue<AcquireOperation<Held>>) {
    super();
    this.line = line;
  }

  /** @internal Whether it could be let in now, were nobody ahead. */
  abstract fits(): boolean;
  /** @internal Lets it in. */
  abstract grant(): Held;

  poll(): boolean {
    if (this.line.first !== null || !this.fits()) return false;
    this.value = this.grant();
    return true;
  }

  arm(): void {
    this.line.push(this);
  }

  disarm(): void {
    this.line.remove(this);
    // Those behind may have waited only for the one that leaves.
    admit(this.line);
  }

  /** What was granted and will not be taken goes back. */
  override cancel(): void {
    const granted = this.state === FIRED ? (this.value as Held) : null;
    super.cancel();
    granted?.drop();
  }
}

/** Lets in whoever can be, from the head of the line. */
export function admit<Held extends Holding>(line: WaitQueue<AcquireOperation<Held>>): void {
  for (let head = line.first; head?.fits() === true; head = line.first) {
    line.remove(head);
    head.fire(head.grant());
  }
}
