// From events to operations. Invariant: a listener stands only while the operation waits; it is gone as
// soon as the event has come, or the wait was cancelled or lost in a `select`.

import { inWords } from './errors.ts';
import { ARMED, Leaf, type Operation } from './operation.ts';

/** What Node calls an EventEmitter: sockets, streams, processes. */
export interface Emitter {
  on(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
  off(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
}

/**
 * Waits for the next event of an emitter, and gives the arguments of its listeners; or of an EventTarget,
 * and gives the Event. It listens only while it waits: what was emitted before is not seen.
 *
 * @throws what an emitter emits as its event `error` meanwhile, unless that is the event waited for;
 * TypeError if the first argument emits nothing
 *
 * @example
 * ```ts
 * import { EventEmitter } from 'node:events';
 * import { once, run, spawn } from 'skein';
 *
 * await run(function* () {
 *   const job = new EventEmitter();
 *   spawn(function* () {
 *     job.emit('progress', 50, '%');
 *   });
 *   const [amount, unit] = yield* once(job, 'progress');
 *   console.log(amount, unit); // 50 %
 * });
 * ```
 */
export function once<Args extends unknown[] = unknown[]>(
  emitter: Emitter,
  event: string | symbol,
): Operation<Args>;
export function once(target: EventTarget, event: string): Operation<Event>;
export function once(source: Emitter | EventTarget, event: string | symbol): Operation<unknown> {
  if (typeof event !== 'string' && typeof event !== 'symbol') {
    throw new TypeError(`once expects the name of an event, got ${inWords(event)}`);
  }
  if (isEmitter(source)) return new EmitterOperation(source, event);
  if (isTarget(source) && typeof event === 'string') return new TargetOperation(source, event);
  if (isTarget(source)) throw new TypeError(`the event of an EventTarget is a string, got ${inWords(event)}`);
  throw new TypeError(`once expects an EventEmitter or an EventTarget, got ${inWords(source)}`);
}

/** Listens from `arm` on until there is a result. */
abstract class OnceOperation<T> extends Leaf<T> {
  /** @internal */ declare event: string | symbol;

  constructor(event: string | symbol) {
    super();
    this.event = event;
  }

  /** @internal Adds the listeners, which `disarm` removes. */
  abstract listen(): void;

  poll(): boolean {
    return false;
  }

  arm(): void {
    try {
      this.listen();
    } catch (error) {
      this.fail(error);
    }
    // An emitter may run anything when a listener is added.
    if (this.state !== ARMED) this.disarm();
  }

  /** For the same reason it is armed only when no other case is ready. */
  override enlist(): boolean {
    return false;
  }

  describe(): string {
    return `waiting for the event ${String(this.event)}`;
  }
}

class EmitterOperation extends OnceOperation<unknown[]> {
  /** @internal */ declare emitter: Emitter;
  /** @internal */ declare onEvent: (...args: unknown[]) => void;
  /** @internal Null when the error is what is waited for. */
  declare onError: ((error: unknown) => void) | null;

  constructor(emitter: Emitter, event: string | symbol) {
    super(event);
    this.emitter = emitter;
    // Settled first: removing a listener may run anything, too.
    this.onEvent = (...args) => {
      this.fire(args);
      this.disarm();
    };
    this.onError =
      event === 'error'
        ? null
        : (error) => {
            this.fail(error);
            this.disarm();
          };
  }

  listen(): void {
    this.emitter.on(this.event, this.onEvent);
    if (this.onError !== null) this.emitter.on('error', this.onError);
  }

  disarm(): void {
    this.emitter.off(this.event, this.onEvent);
    if (this.onError !== null) this.emitter.off('error', this.onError);
  }
}

class TargetOperation extends OnceOperation<Event> {
  /** @internal */ declare target: EventTarget;
  /** @internal */ declare onEvent: (event: Event) => void;

  constructor(target: EventTarget, event: string) {
    super(event);
    this.target = target;
    this.onEvent = (happened) => {
      this.fire(happened);
      this.disarm();
    };
  }

  listen(): void {
    this.target.addEventListener(String(this.event), this.onEvent);
  }

  disarm(): void {
    this.target.removeEventListener(String(this.event), this.onEvent);
  }
}

function isEmitter(source: unknown): source is Emitter {
  const emitter = source as Partial<Emitter> | null | undefined;
  return typeof emitter?.on === 'function' && typeof emitter.off === 'function';
}

function isTarget(source: unknown): source is EventTarget {
  return typeof (source as Partial<EventTarget> | null | undefined)?.addEventListener === 'function';
}
