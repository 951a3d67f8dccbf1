// A channel for those outside: `for await` in an async function reads from it. Invariant: no value is lost.
// A value is taken from the channel only when `next` asks for it, and whoever stops asking leaves no
// receiver behind.

import { Channel, closed, empty } from './channel.ts';
import type { Coroutine } from './coroutine.ts';
import { inWords } from './errors.ts';
import { observe } from './join.ts';
import { currentScheduler } from './run.ts';

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
  /** Those who receive for a `next` that has no answer yet. */
  readonly #receivers = new Set<Coroutine<T | typeof closed>>();
  #hasReturned = false;

  constructor(channel: Channel<T>) {
    this.#channel = channel;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#hasReturned) return Promise.resolve(END);
    // An earlier `next` that waits comes first.
    const value = this.#receivers.size === 0 ? this.#channel.tryReceive() : empty;
    if (value !== empty) return Promise.resolve(stepOf(value));
    return new Promise((resolve, reject) => {
      const receiver = currentScheduler().spawn(null, () => this.#channel.receive(), {
        name: 'toAsyncIterable',
      });
      this.#receivers.add(receiver);
      observe(
        receiver,
        (received) => {
          this.#receivers.delete(receiver);
          resolve(stepOf(received));
        },
        (error) => {
          this.#receivers.delete(receiver);
          if (this.#hasReturned) resolve(END);
          else reject(error as Error);
        },
      );
    });
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#hasReturned = true;
    for (const receiver of this.#receivers) receiver.cancel();
    return Promise.resolve(END);
  }
}

const END: IteratorReturnResult<undefined> = { done: true, value: undefined };

function stepOf<T>(value: T | typeof closed): IteratorResult<T, undefined> {
  return value === closed ? END : { done: false, value };
}
