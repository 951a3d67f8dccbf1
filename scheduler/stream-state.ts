// What has become of a stream of Node's. An event that has come does not come again, and some cannot come any more once
// the stream is over: whoever waits for one looks here first, and again when the stream ends. Only what is documented of
// streams is read, so that requests and responses of node:http, and streams that imitate them, are streams too.

import type { Emitter } from './events.ts';

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
