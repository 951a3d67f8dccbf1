// A channel for those outside: `for await` in an async function reads from it. Invariants: no value is lost, since
// one is taken from the channel only when `next` asks for it; whoever stops asking leaves no receiver behind.
// It is no coroutine that receives, so a `next` that nobody answers keeps nothing alive, and is no deadlock.

import { Channel, closed, empty } from './channel.ts';
import { inWords } from './errors.ts';
import { ARMED, type Leaf, type Operation } from './operation.ts';

/**
 * Makes a channel's values readable with `for await`, until it is closed. Leaving the loop leaves the channel
 * as it is. Several readers share the values.
 *
 * @throws TypeError if it is no channel
 *
 * @example
 * ```ts
 * import { Channel, run, toAsyncIterable } from 'skein';
 *
 * const numbers = new Channel<number>();
 * const producing = run(function* () {
 *   for (let n = 1; n <= 3; n++) yield* numbers.send(n);
 *   numbers.close();
 * });
 * for await (const n of toAsyncIterable(numbers)) console.log(n); // 1 2 3
 * await producing;
 * ```
 */
export function toAsyncIterable<T>(channel: Channel<T>): AsyncIterable<T> {
  if (!(channel instanceof Channel)) {
    throw new TypeError(`toAsyncIterable expects a channel, got ${inWords(channel)}`);
  }
  return { [Symbol.asyncIterator]: () => new ChannelIterator(channel) };
}

class ChannelIterator<T> implements AsyncIterator<T, undefined> {
  readonly #channel: Channel<T>;
  /** Those that receive for a `next` that has no answer yet, and how each is answered. */
  readonly #receivers = new Map<Leaf<unknown>, (step: IteratorResult<T, undefined>) => void>();
  #hasReturned = false;

  constructor(channel: Channel<T>) {
    this.#channel = channel;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#hasReturned) return Promise.resolve(END);
    // An earlier `next` that waits comes first.
    const value = this.#receivers.size === 0 ? this.#channel.tryReceive() : empty;
    if (value !== empty) return Promise.resolve(stepOf(value));
    return new Promise((resolve) => this.#receive(resolve));
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#hasReturned = true;
    for (const [receiver, answer] of this.#receivers) {
      receiver.cancel();
      answer(END);
    }
    this.#receivers.clear();
    return Promise.resolve(END);
  }

  #receive(answer: (step: IteratorResult<T, undefined>) => void): void {
    const receiver = this.#channel.receive() as Operation<unknown> as Leaf<unknown>;
    this.#receivers.set(receiver, answer);
    receiver.state = ARMED;
    receiver.waiter = {
      wake: () => {
        this.#receivers.delete(receiver);
        answer(stepOf(receiver.value as T | typeof closed));
      },
    };
    receiver.kind.arm(receiver);
  }
}

const END: IteratorReturnResult<undefined> = { done: true, value: undefined };

function stepOf<T>(value: T | typeof closed): IteratorResult<T, undefined> {
  return value === closed ? END : { done: false, value };
}
