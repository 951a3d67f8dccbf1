// Connecting to whichever of a name's addresses answers first (Happy Eyeballs, RFC 8305): a dead address costs a
// fraction of a second, and not the minutes after which the system gives it up. All addresses are asked for at once, so
// sections 3 (which of two queries is answered first) and 7 (networks without IPv4) are the resolver's matter.
// Invariants: it ends once, with a connection or with all attempts failed; when it ends, or is ended, nothing is left
// of it, and nothing is called back any more.
//
//   resolve ──► interleave ──► begin ──► begin ──► …     each 250 ms after the one before, or when one fails
//                                 └─────────┴─► the first to connect: the others are ended

import { isIPv6, type LookupFunction } from 'node:net';
import { outside } from '../../scheduler/kernel/async-context.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { Timer } from '../../scheduler/kernel/timers.ts';
import { networkOf } from '../common/current-reactor.ts';
import type { Endpoint, Reactor, Socket } from '../reactor/contract.ts';

/** Milliseconds that an attempt is given before the next begins: the Connection Attempt Delay of section 8. */
const ATTEMPT_DELAY = 250;

/** Who hears how it ends. */
export interface Dialler {
  onConnect(socket: Socket): void;
  /** The name could not be resolved, or every attempt has failed. */
  onFailure(): void;
}

/** One address, and how the attempt at it stands. */
export interface Attempt {
  readonly to: Endpoint;
  state: 'not tried' | 'connecting' | 'over';
  error: Error | null;
  /** Ends it while it is connecting. */
  end: () => void;
}

export class HappyEyeballs {
  /** In the order in which they are begun; none until the name is resolved. */
  attempts: readonly Attempt[] = [];
  /** Why the name could not be resolved. */
  lookupError: Error | null = null;
  readonly #reactor: Reactor;
  readonly #dialler: Dialler;
  /** When the next attempt begins. */
  readonly #timer: Timer;
  /** Lets the process end: a resolver need not keep it alive. */
  readonly #release: () => void;
  #begun = 0;
  #failed = 0;
  #isOver = false;

  constructor(to: Endpoint, lookup: LookupFunction | undefined, scheduler: Scheduler, dialler: Dialler) {
    this.#reactor = networkOf(scheduler);
    this.#release = this.#reactor.hold();
    this.#dialler = dialler;
    this.#timer = new Timer(scheduler.timers, () => this.#beginNext());
    // What is opened and told from here on belongs to nobody's context: a connection may outlive the one it was
    // dialled in, and a resolver may answer in that of another who asked for the same name.
    const onResolved = this.#onResolved.bind(this);
    this.#reactor.resolve(to, (error, found) => outside(onResolved, error, found), lookup);
  }

  /** Ends it; after this nobody is told. An answer of the resolver that comes later is passed over. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer.stop();
    for (const attempt of this.attempts) if (attempt.state === 'connecting') attempt.end();
    this.#release();
  }

  #onResolved(error: Error | null, found: Endpoint[]): void {
    if (this.#isOver) return;
    if (error !== null) {
      this.lookupError = error;
      this.#fail();
      return;
    }
    this.attempts = interleave(found).map((to) => ({ to, state: 'not tried', error: null, end: () => {} }));
    this.#beginNext();
  }

  /** Section 5: attempts begin one after the other, and go on side by side. */
  #beginNext(): void {
    const attempt = this.attempts[this.#begun];
    // All are under way: one of them has failed, or a timer was left.
    if (attempt === undefined) return;
    this.#begun++;
    attempt.state = 'connecting';
    attempt.end = this.#reactor.connect(attempt.to, {
      onConnect: (socket) => {
        attempt.state = 'over';
        this.end();
        this.#dialler.onConnect(socket);
      },
      onConnectError: (error) => {
        attempt.state = 'over';
        attempt.error = error;
        this.#failed++;
        if (this.#failed === this.attempts.length) this.#fail();
        else this.#beginNext();
      },
    });
    if (this.#begun < this.attempts.length) this.#timer.start(ATTEMPT_DELAY);
  }

  #fail(): void {
    this.end();
    this.#dialler.onFailure();
  }
}

/**
 * Section 4: the families take turns, so that one without a route does not hold the other up; the first is that which
 * the system prefers, and within a family its order stands. The First Address Family Count is 1.
 */
export function interleave(found: readonly Endpoint[]): Endpoint[] {
  const [first] = found;
  if (first === undefined) return [];
  const preferred = found.filter(({ host }) => isIPv6(host) === isIPv6(first.host));
  const others = found.filter(({ host }) => isIPv6(host) !== isIPv6(first.host));
  const sorted: Endpoint[] = [];
  for (const [index, address] of preferred.entries()) sorted.push(address, ...others.slice(index, index + 1));
  return [...sorted, ...others.slice(preferred.length)];
}
