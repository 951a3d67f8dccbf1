// From events to operations. Invariants: a listener stands only while the operation waits; it is gone as
// soon as the event has come, or the wait was cancelled or lost in a `select`. Nobody waits for the end of a stream that
// has ended.

import { inWords } from './errors.ts';
import { kind, type Kind, neverReady } from './kind.ts';
import { ARMED, Leaf, type Operation } from './operation.ts';
import { watchSignal } from './signals.ts';
import { isStream, LAST_EVENTS, outcomeOf, type StreamLike } from './stream-state.ts';

/** What Node calls an EventEmitter: sockets, streams, processes. */
export interface Emitter {
  /** Adds a listener. */
  on(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
  /** Takes a listener away. */
  off(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
}

/**
 * Waits for the next event of an emitter, and gives the arguments of its listeners; or of an EventTarget,
 * and gives the Event. It listens only while it waits: what was emitted before is not seen. A stream shows what has become
 * of it, so the wait for its `end`, `finish`, `close` or `error` is over at once if that has come.
 *
 * @throws what an emitter emits as its event `error` meanwhile, unless that is the event waited for;
 * `ERR_STREAM_PREMATURE_CLOSE` if a stream is over, and its `end`, `finish`, `data`, `readable` or `drain` cannot come any
 * more; TypeError if the first argument emits nothing
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
  if (isEmitter(source)) return emission(source, event);
  if (isTarget(source) && typeof event === 'string') return dispatch(source, event);
  if (isTarget(source)) throw new TypeError(`the event of an EventTarget is a string, got ${inWords(event)}`);
  throw new TypeError(`once expects an EventEmitter or an EventTarget, got ${inWords(source)}`);
}

interface EmitterListeners {
  event: string | symbol;
  onEvent: (...args: unknown[]) => void;
  /** Null when the error is what is waited for. */
  onError: ((error: unknown) => void) | null;
  /** Looks at what has become of a stream; null for other emitters. */
  look: (() => void) | null;
}

interface TargetListener {
  event: string;
  onEvent: (event: Event) => void;
  /** Of a signal, which has one listener for all who wait; null for other targets. */
  unwatch: (() => void) | null;
}

const EMISSION = listening<unknown[], Emitter, EmitterListeners>(
  (emitter, { event, onEvent, onError, look }) => {
    emitter.on(event, onEvent);
    if (onError !== null) emitter.on('error', onError);
    if (look === null) return;
    for (const last of LAST_EVENTS) emitter.on(last, look);
    // Later, for the last events may be on their way: a stream is closed a moment before it emits so.
    if (outcomeOf(emitter as Emitter & StreamLike, event) !== null) process.nextTick(look);
  },
  (emitter, { event, onEvent, onError, look }) => {
    emitter.off(event, onEvent);
    if (onError !== null) emitter.off('error', onError);
    if (look !== null) for (const last of LAST_EVENTS) emitter.off(last, look);
  },
);

const DISPATCH = listening<Event, EventTarget, TargetListener>(
  (target, item) => {
    const { event, onEvent } = item;
    if (event === 'abort' && target instanceof AbortSignal) item.unwatch = watchSignal(target, onEvent);
    else target.addEventListener(event, onEvent);
  },
  (target, item) => {
    if (item.unwatch === null) target.removeEventListener(item.event, item.onEvent);
    else item.unwatch();
  },
);

function emission(emitter: Emitter, event: string | symbol): Operation<unknown[]> {
  const operation = new Leaf<unknown[], Emitter, EmitterListeners>(EMISSION, emitter, {
    event,
    // Settled first: removing a listener may run anything, too.
    onEvent(...args) {
      operation.fire(args);
      EMISSION.disarm(operation);
    },
    onError:
      event === 'error'
        ? null
        : (error) => {
            operation.fail(error);
            EMISSION.disarm(operation);
          },
    look: isStream(emitter) ? look : null,
  });
  function look(): void {
    if (operation.state !== ARMED) return;
    const outcome = outcomeOf(emitter as Emitter & StreamLike, event);
    if (outcome === null) return;
    if ('args' in outcome) operation.fire(outcome.args);
    else operation.fail(outcome.error);
    EMISSION.disarm(operation);
  }
  return operation;
}

function dispatch(target: EventTarget, event: string): Operation<Event> {
  const operation = new Leaf<Event, EventTarget, TargetListener>(DISPATCH, target, {
    event,
    unwatch: null,
    onEvent(happened) {
      operation.fire(happened);
      DISPATCH.disarm(operation);
    },
  });
  return operation;
}

/** Listens from `arm` on until there is a result. */
function listening<T, Source, Listeners extends { event: string | symbol }>(
  listen: (source: Source, listeners: Listeners) => void,
  unlisten: (source: Source, listeners: Listeners) => void,
): Kind<T, Source, Listeners> {
  return kind<T, Source, Listeners>({
    poll: neverReady,
    arm(operation) {
      const { target, item } = operation;
      try {
        listen(target, item);
      } catch (error) {
        operation.fail(error);
      }
      // An emitter may run anything when a listener is added.
      if (operation.state !== ARMED) unlisten(target, item);
    },
    disarm: ({ target, item }) => unlisten(target, item),
    describe: ({ item }) => `waiting for the event ${String(item.event)}`,
    /** For the same reason it is armed only when no other case is ready. */
    enlist: () => false,
  });
}

function isEmitter(source: unknown): source is Emitter {
  const emitter = source as Partial<Emitter> | null | undefined;
  return typeof emitter?.on === 'function' && typeof emitter.off === 'function';
}

function isTarget(source: unknown): source is EventTarget {
  return typeof (source as Partial<EventTarget> | null | undefined)?.addEventListener === 'function';
}
