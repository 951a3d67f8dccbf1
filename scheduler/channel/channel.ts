// Channels: values handed from one coroutine to another. Invariants: a value goes straight to the first
// receiver that waits (H2); receivers wait only while the buffer is empty, senders only while it is full;
// whoever leaves, served or cancelled, has left its queue.
//
//   send ──► receiver waiting? ── yes ─► hand over, wake it
//                 │ no
//                 ├── room in the buffer? ─► store
//                 └── else join the senders, suspend

import { ClosedError, inWords } from '../kernel/errors.ts';
import { nameOf, type NameOptions, notes } from '../kernel/arguments.ts';
import { atLeaf, kind, Leaf, type Operation } from '../kernel/operation.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';
import { Ring } from './ring.ts';

/** What `receive` and `tryReceive` give once a channel is closed and empty. */
export const closed: unique symbol = Symbol('skein.closed');

/** What `tryReceive` gives when nothing is there now. */
export const empty: unique symbol = Symbol('skein.empty');

/**
 * Hands values from coroutine to coroutine, in order. Without a capacity it is a rendezvous: `send` returns
 * after the value was taken. With one, that many values wait in a buffer before `send` has to.
 *
 * @example
 * ```ts
 * import { Channel, closed, run, spawn } from 'skein';
 *
 * await run(function* () {
 *   const numbers = new Channel<number>();
 *   spawn(function* () {
 *     for (let n = 1; n <= 3; n++) yield* numbers.send(n);
 *     numbers.close();
 *   });
 *   for (let n; (n = yield* numbers.receive()) !== closed; ) console.log(n); // 1 2 3
 * });
 * ```
 */
export class Channel<T> {
  /** How many values the buffer holds; 0 for a rendezvous. */
  readonly capacity: number;
  /** @internal */ readonly name: string;
  /** @internal Null for a rendezvous. */ readonly buffer: Ring<T> | null;
  /** @internal */ readonly senders = new WaitQueue<Leaf<void, Channel<T>, T>>();
  /** @internal */ readonly receivers = new WaitQueue<Leaf<T | typeof closed, Channel<T>, undefined>>();
  #isClosed = false;

  /**
   * @param capacity how many values may wait in the buffer: a whole number, or `Infinity`; by default 0
   * @throws TypeError if it is not
   */
  constructor(capacity = 0, options: NameOptions = {}) {
    if (!(capacity === Infinity || (Number.isInteger(capacity) && capacity >= 0))) {
      throw new TypeError(
        `Channel expects a whole number, 0 or more, as its capacity, got ${inWords(capacity)}`,
      );
    }
    this.capacity = capacity;
    this.buffer = capacity > 0 ? new Ring() : null;
    this.name = nameOf('Channel', options, 'a channel');
  }

  /** How many values wait in the buffer. */
  get length(): number {
    return this.buffer?.length ?? 0;
  }

  /** Whether `close` was called; values may still be in the buffer. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Hands a value over: returns when a receiver has taken it, or the buffer has. If it is cancelled or
   * loses in a `select`, nothing was sent.
   *
   * @throws ClosedError if the channel is or gets closed; TypeError for `closed` and `empty`, which are no values
   */
  send(value: T): Operation<void> {
    if (typeof value === 'symbol') checkValue(this.name, value);
    return new Leaf<void, Channel<T>, T>(SEND, this, value);
  }

  /**
   * Takes the next value, or `closed` once the channel is closed and its buffer empty. If it is cancelled
   * or loses in a `select`, nothing was taken.
   */
  receive(): Operation<T | typeof closed> {
    return new Leaf<T | typeof closed, Channel<T>, undefined>(RECEIVE, this, undefined);
  }

  /**
   * Sends if that is possible at once; says whether it was.
   *
   * @throws ClosedError if the channel is closed; TypeError as `send`
   */
  trySend(value: T): boolean {
    if (typeof value === 'symbol') checkValue(this.name, value);
    if (this.#isClosed) throw sendOnClosed(this.name);
    const receiver = this.receivers.shift();
    if (receiver !== null) receiver.fire(value);
    else if (this.buffer !== null && this.buffer.length < this.capacity) this.buffer.push(value);
    else return false;
    return true;
  }

  /** Takes the next value if there is one; else `empty`, or `closed`. */
  tryReceive(): T | typeof closed | typeof empty {
    if (this.buffer !== null && this.buffer.length > 0) {
      const value = this.buffer.shift();
      const sender = this.senders.shift();
      if (sender !== null) {
        // First: if it was a case of a select, disarm hooks of the others run in `fire`, and they may send.
        this.buffer.push(sender.item);
        sender.fire(undefined);
      }
      return value;
    }
    const sender = this.senders.shift();
    if (sender === null) return this.#isClosed ? closed : empty;
    sender.fire(undefined);
    return sender.item;
  }

  /**
   * Ends the stream of values: what is buffered can still be received, then `receive` gives `closed`.
   * Senders that wait get a ClosedError; their values were not sent.
   *
   * @throws ClosedError if it is closed already
   */
  close(): void {
    if (this.#isClosed) throw new ClosedError(`${this.name} is closed already`);
    this.#isClosed = true;
    for (let one = this.receivers.shift(); one !== null; one = this.receivers.shift()) one.fire(closed);
    for (let one = this.senders.shift(); one !== null; one = this.senders.shift()) one.fail(undefined);
  }
}

/**
 * A receiver would take these for the end of the stream, or for nothing. Behind a test of the type, since comparing
 * each value with both costs a buffered send a seventh of its time.
 */
function checkValue(name: string, value: symbol): void {
  if (value !== closed && value !== empty) return;
  const hint = value === closed ? '; to end the stream, call close()' : '';
  throw atLeaf(new TypeError(`${name} expects a value to send, got ${inWords(value)}${hint}`));
}

function sendOnClosed(name: string): ClosedError {
  return atLeaf(new ClosedError(`cannot send on ${name}: it is closed`));
}

const SEND = kind<void, Channel<unknown>, unknown>({
  poll: ({ target, item }) => target.trySend(item),
  arm: (operation) => operation.target.senders.push(operation),
  disarm: (operation) => operation.target.senders.remove(operation),
  raise: ({ target }) => sendOnClosed(target.name),
  describe: ({ target }) => `sending to ${target.name}${notes(target.senders)}`,
});

const RECEIVE = kind<unknown, Channel<unknown>>({
  poll(operation) {
    const value = operation.target.tryReceive();
    if (value === empty) return false;
    operation.value = value;
    return true;
  },
  arm: (operation) => operation.target.receivers.push(operation),
  disarm: (operation) => operation.target.receivers.remove(operation),
  describe: ({ target }) => `receiving from ${target.name}${notes(target.receivers)}`,
});
