// The body of a request as one piece, bounded: a client must not decide how much memory it takes.

import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { suspend } from '../../scheduler/interop/suspend.ts';
import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import { inWords } from '../../scheduler/kernel/errors.ts';
import type { Operation } from '../../scheduler/kernel/operation.ts';
import { LimitError } from '../common/errors.ts';
import { prematureClose } from '../reactor/system-error.ts';

/** How to read a body. */
export interface BodyOptions {
  /** The most bytes that it may have. Default 1 MiB. */
  readonly limit?: number | undefined;
}

const OPTIONS = optionNames<BodyOptions>({ limit: true });

const LIMIT = 1_048_576;

/**
 * The whole body of a request to `serveHttp`, or of any other message of `node:http`. Bytes that came before the
 * wait was cancelled are lost.
 *
 * @throws LimitError if it is longer, which `serveHttp` answers with 413; the stream's error, or
 * `ERR_STREAM_PREMATURE_CLOSE`, if it breaks off; TypeError for a malformed limit
 *
 * @example
 * ```ts
 * import { type Co, readBody } from 'skein';
 * import type { IncomingMessage, ServerResponse } from 'node:http';
 *
 * function* sum(request: IncomingMessage, response: ServerResponse): Co<void> {
 *   const numbers = JSON.parse(String(yield* readBody(request))) as number[];
 *   response.end(String(numbers.reduce((total, next) => total + next, 0)));
 * }
 * ```
 */
export function readBody(request: IncomingMessage, options: BodyOptions = {}): Operation<Buffer> {
  checkOptions('readBody', options, OPTIONS);
  const { limit = LIMIT } = options;
  if (typeof limit !== 'number' || !(limit >= 0)) {
    throw new TypeError(`the limit of readBody is in bytes, 0 or more, got ${inWords(limit)}`);
  }
  return suspend<Buffer>(function readingBody(resume) {
    return collect(request, limit, resume);
  });
}

/** Calls back once, with the bytes or with an error; gives a function that stops. */
function collect(
  source: Readable,
  limit: number,
  onBody: (error: Error | null, body?: Buffer) => void,
): () => void {
  const chunks: Buffer[] = [];
  let size = 0;
  const stop = (): void => {
    source.off('data', onData).off('end', onEnd).off('error', finish).off('close', onClose).pause();
  };
  const finish = (error: Error | null): void => {
    stop();
    if (error === null) onBody(null, Buffer.concat(chunks, size));
    else onBody(error);
  };
  const onData = (chunk: Buffer): void => {
    size += chunk.byteLength;
    if (size <= limit) {
      chunks.push(chunk);
      return;
    }
    const error = new LimitError(`expected a body of at most ${limit} bytes, got ${size} or more`);
    finish(Object.assign(error, { statusCode: 413 }));
  };
  const onEnd = (): void => finish(null);
  const onClose = (): void => finish(prematureClose());
  if (source.readableEnded) onEnd();
  else if (source.destroyed || source.errored) finish(source.errored ?? prematureClose());
  // It is paused where somebody has read before, and a listener alone would not make it flow.
  else source.on('data', onData).on('end', onEnd).on('error', finish).on('close', onClose).resume();
  return stop;
}
