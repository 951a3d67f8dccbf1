// `for await` as a coroutine, and a channel for `for await`. Invariants of the first: whatever ends the loop early closes
// the source, and waits for that; closing does not wait for an item that was asked for where the source has a way around
// it; neither the body's error nor that of closing is lost. Of the second: a value is taken from the channel only when
// `next` asks for it; whoever stops asking leaves no receiver behind. No coroutine receives there, so a `next` that
// nobody answers keeps nothing alive, and is no deadlock.

import { Channel, closed, empty } from '../channel/channel.ts';
import { checkOptions, optionNames } from '../kernel/arguments.ts';
import { toPromise } from '../kernel/bare-yield.ts';
import { inWords, isCancelledError } from '../kernel/errors.ts';
import {
  ARMED,
  type Co,
  type Leaf,
  type Operation,
  SUSPENDED,
  suspendedSource,
} from '../kernel/operation.ts';
import { shield } from '../time/timeout.ts';
import { wait } from './promise.ts';

/** How to iterate. */
export interface IterateOptions {
  /**
   * Milliseconds that the source has to close when the loop ends early; after that it is left behind. An
   * async generator cannot be interrupted, it closes only when it has come to its next `yield`. Default 5,000.
   */
  grace?: number | undefined;
}

const OPTIONS = optionNames<IterateOptions>({ grace: true });

const GRACE = 5_000;

/**
 * Runs a body for each item of an asynchronous iterable, or of an ordinary one, one after the other: what
 * `for await` does in an async function. When the body fails or the loop is cancelled, the source is closed
 * (the iterator's `return`; a stream that is being read is destroyed, a web stream is cancelled through its
 * reader) and that is waited for.
 *
 * @throws what the source or the body throws; an AggregateError if closing the source fails after that;
 * TypeError for malformed arguments
 *
 * @example
 * ```ts
 * import { setTimeout } from 'node:timers/promises';
 * import { iterate, run } from 'skein';
 *
 * async function* ticks() {
 *   for (let tick = 1; tick <= 3; tick++) yield await setTimeout(1, tick);
 * }
 *
 * await run(() =>
 *   iterate(ticks(), function* (tick) {
 *     console.log(tick); // 1 2 3
 *   }),
 * );
 * ```
 */
export function* iterate<T>(
  source: AsyncIterable<T> | Iterable<T | PromiseLike<T>>,
  body: (item: T) => Co<unknown> | Operation<unknown>,
  options: IterateOptions = {},
): Co<void> {
  checkOptions('iterate', options, OPTIONS);
  const { grace = GRACE } = options;
  if (typeof grace !== 'number' || !(grace >= 0)) {
    throw new TypeError(`the grace of iterate is in milliseconds, 0 or more, got ${inWords(grace)}`);
  }
  if (typeof body !== 'function') throw new TypeError(`iterate expects a body, got ${inWords(body)}`);
  const opened = open(source);
  let isLeft = true;
  try {
    for (let step; !(step = yield* opened.next()).done;) yield* body(step.value);
    isLeft = false;
  } catch (error) {
    isLeft = false;
    yield* opened.close(error, grace);
    throw error;
  } finally {
    // By `return`, behind which nobody waits for anything.
    if (isLeft) void opened.startClosing();
  }
}

function open<T>(source: AsyncIterable<T> | Iterable<T | PromiseLike<T>>): Source<T> {
  if (isWebStream<T>(source)) return new Source<T>(source, new StreamIterator(source), true);
  const { [Symbol.asyncIterator]: async, [Symbol.iterator]: sync } = (source ?? {}) as Partial<
    AsyncIterable<T> & Iterable<T>
  >;
  if (typeof async === 'function') return new Source(source, async.call(source), true);
  if (typeof sync === 'function') return new Source(source, sync.call(source), false);
  throw new TypeError(`iterate expects an iterable, asynchronous or not, got ${inWords(source)}`);
}

/** What is used of a `ReadableStream`, whosever it is. */
interface WebStream<T> {
  getReader(): {
    read(): PromiseLike<IteratorResult<T>>;
    cancel(): PromiseLike<unknown>;
    releaseLock(): void;
  };
}

function isWebStream<T>(source: unknown): source is WebStream<T> {
  const stream = source as { getReader?: unknown; cancel?: unknown } | null | undefined;
  return typeof stream?.getReader === 'function' && typeof stream.cancel === 'function';
}

/** The iterator that a web stream has of itself closes only when the item has come that was asked for. */
class StreamIterator<T> {
  readonly #reader: ReturnType<WebStream<T>['getReader']>;

  constructor(stream: WebStream<T>) {
    this.#reader = stream.getReader();
  }

  async next(): Promise<IteratorResult<T>> {
    try {
      const step = await this.#reader.read();
      if (step.done) this.#reader.releaseLock();
      return step;
    } catch (error) {
      this.#reader.releaseLock();
      throw error;
    }
  }

  return(): PromiseLike<unknown> {
    const cancelled = this.#reader.cancel();
    this.#reader.releaseLock();
    return cancelled;
  }
}

/** What is asked of an iterator; what it answers may be anything. */
interface Iterates {
  next(): unknown;
  return?(): unknown;
}

/** An iterator, and what it is at. */
class Source<T> {
  readonly #source: object | string;
  readonly #iterator: Iterates;
  readonly #isAsync: boolean;
  /** It was asked for an item and has not given it yet. */
  #isBusy = false;
  /** It has ended by itself, so there is nothing to close. */
  #hasEnded = false;

  constructor(source: object | string, iterator: Iterates, isAsync: boolean) {
    this.#source = source;
    this.#iterator = iterator;
    this.#isAsync = isAsync;
  }

  *next(): Co<IteratorResult<T>> {
    // Until it has answered; a `next` that throws has ended the iterator.
    this.#hasEnded = true;
    const answer = this.#iterator.next();
    const promise = this.#isAsync ? toPromise(answer) : undefined;
    if (promise !== undefined) {
      this.#isBusy = true;
      this.#hasEnded = false;
      return yield* wait(
        promise.then(
          (step) => {
            this.#isBusy = false;
            return this.#noted(step);
          },
          (error: unknown) => {
            this.#isBusy = false;
            this.#hasEnded = true;
            throw error;
          },
        ),
      );
    }
    const step = this.#noted(answer);
    // An ordinary iterable may be one of promises.
    const item = this.#isAsync || this.#hasEnded ? undefined : toPromise(step.value);
    return item === undefined ? step : { done: false, value: (yield* wait(item)) as T };
  }

  /** An answer that is none ends the iterator, too. */
  #noted(step: unknown): IteratorResult<T> {
    this.#hasEnded = true;
    if ((typeof step !== 'object' && typeof step !== 'function') || step === null) {
      throw new TypeError(`iterate expects its source to give results of an iterator, got ${inWords(step)}`);
    }
    if ((step as IteratorResult<unknown>).value === SUSPENDED.value) throw suspendedSource('iterate');
    this.#hasEnded = Boolean((step as IteratorResult<T>).done);
    return step as IteratorResult<T>;
  }

  startClosing(): Promise<unknown> {
    if (this.#hasEnded) return Promise.resolve();
    // What its `return` would do, if only it were not waiting for the item that was asked for.
    if (this.#isBusy) (this.#source as { destroy?: () => void }).destroy?.();
    return Promise.resolve(this.#iterator.return?.());
  }

  *close(reason: unknown, grace: number): Co<void> {
    if (this.#hasEnded) return;
    let hasClosed = false;
    let closing: Promise<unknown> | undefined;
    try {
      closing = this.startClosing().finally(() => {
        hasClosed = true;
      });
      const begun = closing;
      yield* shield(() => wait(begun), { timeout: grace });
    } catch (error) {
      if (closing !== undefined && !hasClosed) {
        // It is left behind. Should it fail later, that is an unhandled rejection, as of any promise.
        void closing.finally(() => {});
        return;
      }
      if (isCancelledError(reason)) throw error;
      throw new AggregateError([reason, error], 'the body failed, and closing its source failed, too', {
        cause: error,
      });
    }
  }
}

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
