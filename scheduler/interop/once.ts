// From events to operations. Invariants: a listener stands only while the operation waits; it is gone as soon as the event
// has come, or the wait was cancelled or lost in a `select`. Nobody waits for what cannot come any more: the state of a
// stream is looked at first, and again when it ends. Only what is documented of streams is read, so that requests and
// responses of node:http, and streams that imitate them, are streams too.

import { inWords } from '../kernel/errors.ts';
import { ARMED, kind, type Kind, Leaf, type Operation } from '../kernel/operation.ts';
import { watchSignal } from '../kernel/signals.ts';

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
    startsWork: true,
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
  });
}

function isEmitter(source: unknown): source is Emitter {
  const emitter = source as Partial<Emitter> | null | undefined;
  return typeof emitter?.on === 'function' && typeof emitter.off === 'function';
}

function isTarget(source: unknown): source is EventTarget {
  return typeof (source as Partial<EventTarget> | null | undefined)?.addEventListener === 'function';
}

/** What tells a stream from other emitters. */
export interface StreamLike {
  readonly destroyed: boolean;
  readonly closed: boolean;
  readonly errored: Error | null;
  readonly readableEnded?: boolean;
  readonly writableFinished?: boolean;
}

/** What waiting for an event comes to: the arguments of its listeners, or an error. */
export type Outcome = { readonly args: unknown[] } | { readonly error: unknown };

/** The events of a stream after which others cannot come. */
export const LAST_EVENTS = ['end', 'finish', 'close'];

export function isStream(emitter: object): emitter is StreamLike {
  const { destroyed, closed } = emitter as Partial<StreamLike>;
  return typeof destroyed === 'boolean' && typeof closed === 'boolean' && 'errored' in emitter;
}

/** The outcome of waiting for an event that has come, or that cannot come any more; null while it may come. */
export function outcomeOf(stream: StreamLike, event: string | symbol): Outcome | null {
  const { errored } = stream;
  // A stream of HTTP/2 is closed before it has given all, and destroyed after.
  const isClosed = stream.closed && stream.destroyed;
  let hasCome = false;
  let isOver = isClosed;
  if (event === 'error') return errored ? { args: [errored] } : null;
  if (event === 'end') hasCome = stream.readableEnded === true;
  else if (event === 'finish') hasCome = stream.writableFinished === true;
  else if (event === 'close') hasCome = isClosed && !errored;
  else if (event === 'data' || event === 'readable') isOver ||= stream.readableEnded === true;
  else if (event === 'drain') isOver ||= stream.writableFinished === true;
  // Of any other nobody knows.
  else return null;
  if (hasCome) return { args: [] };
  if (errored) return { error: errored };
  if (!isOver) return null;
  const error = new Error(`the stream is over, and its event ${event} did not come`);
  return { error: Object.assign(error, { code: 'ERR_STREAM_PREMATURE_CLOSE' }) };
}

/** Calls back, later, when a stream is closed, also if it was before. Gives a function that stops it. */
export function whenClosed(stream: StreamLike & Emitter, onClosed: () => void): () => void {
  if (stream.destroyed) process.nextTick(() => isWanted && onClosed());
  else stream.on('close', onClosed);
  let isWanted = true;
  return () => {
    isWanted = false;
    stream.off('close', onClosed);
  };
}
