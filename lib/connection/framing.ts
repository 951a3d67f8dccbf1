// How a whole frame is told from what follows it: a line, so many bytes. A framing looks at the bytes
// that are held and takes its frame once that is complete. Until then they stay where they are, so one
// that is cancelled or loses in a `select` leaves each byte to the next reader (N8).

import { constants } from 'node:buffer';
import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import { inWords } from '../../scheduler/kernel/errors.ts';
import { atLeaf } from '../../scheduler/kernel/operation.ts';
import { checkCount } from '../common/checks.ts';
import { LimitError, UnexpectedEofError } from '../common/errors.ts';
import type { Held } from './read-buffer.ts';

/** Bytes of a line or a frame, unless said otherwise (N9). */
export const DEFAULT_LIMIT = 65_536;

const LINE_FEED = Buffer.from('\n');
const CARRIAGE_RETURN = 0x0d;

/** How long a line or a frame may be. */
export interface FrameOptions {
  /** Bytes that a line or a frame may have, without what ends it or tells its length; 65,536 unless said otherwise. */
  readonly limit?: number | undefined;
}

/** @internal */
export const FRAME_OPTIONS = optionNames<FrameOptions>({ limit: true });

/** How a frame is told from what follows it. */
export interface Framing<T> {
  /** The wait in words: "reading a line". */
  describe(): string;
  /** The frame at the front, which it takes; undefined while it is not complete. What it throws takes nothing. */
  take(held: Held): T | undefined;
  /** What there is to say at the end of the stream, with what is held no complete frame. */
  end(held: Held): T;
}

/** Text up to the end of its line, which is '\n' or '\r\n'. */
export class LineFraming implements Framing<string | null> {
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  describe(): string {
    return 'reading a line';
  }

  take(held: Held): string | undefined {
    const index = held.find(LINE_FEED);
    if (index < 0) {
      // The last byte may be a '\r' that counts no more than the '\n' does.
      if (held.size - 1 > this.#limit) throw tooLong('a line', this.#limit, `${held.size} without its end`);
      return undefined;
    }
    const size = index > 0 && held.byteAt(index - 1) === CARRIAGE_RETURN ? index - 1 : index;
    if (size > this.#limit) throw tooLong('a line', this.#limit, `${size}`);
    const line = held.text(size);
    held.skip(index + 1);
    return line;
  }

  end(held: Held): null {
    return endBetween(held, 'the end of a line');
  }
}

/** Bytes up to a delimiter, with it or without. */
export class DelimiterFraming implements Framing<Buffer | null> {
  readonly delimiter: Buffer;
  readonly #limit: number;
  readonly #isStripped: boolean;

  constructor(delimiter: Buffer, limit: number, isStripped: boolean) {
    this.delimiter = delimiter;
    this.#limit = limit;
    this.#isStripped = isStripped;
  }

  describe(): string {
    return `reading up to ${show(this.delimiter)}`;
  }

  take(held: Held): Buffer | undefined {
    const { byteLength } = this.delimiter;
    const index = held.find(this.delimiter);
    if (index < 0) {
      // The last bytes may be the beginning of the delimiter.
      if (held.size - byteLength + 1 <= this.#limit) return undefined;
      throw tooLong('a frame', this.#limit, `${held.size} without its end`);
    }
    if (index > this.#limit) throw tooLong('a frame', this.#limit, `${index}`);
    if (!this.#isStripped) return held.take(index + byteLength);
    const frame = held.take(index);
    held.skip(byteLength);
    return frame;
  }

  end(held: Held): null {
    return endBetween(held, show(this.delimiter));
  }
}

/** So many bytes. */
export class SizeFraming implements Framing<Buffer> {
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  describe(): string {
    return `reading ${this.#size} bytes`;
  }

  take(held: Held): Buffer | undefined {
    return held.has(this.#size) ? held.take(this.#size) : undefined;
  }

  end(held: Held): never {
    throw unexpectedEnd(`${this.#size} bytes`, held.size);
  }
}

/** A copy of so many bytes, or of those before the end of the stream; they stay. */
export class PeekFraming implements Framing<Buffer> {
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  describe(): string {
    return `peeking at ${this.#size} bytes`;
  }

  take(held: Held): Buffer | undefined {
    return held.has(this.#size) ? held.copy(this.#size) : undefined;
  }

  end(held: Held): Buffer {
    return held.copy(held.size);
  }
}

/** The limit that was asked for. */
export function limitOf(what: string, options: FrameOptions | undefined, names = FRAME_OPTIONS): number {
  if (options === undefined) return DEFAULT_LIMIT;
  const { limit } = options;
  checkCount(limit, 'limit');
  if (limit !== undefined) return limit;
  // Only now, since this is asked for each line: one whose limit is there has not been misspelt.
  checkOptions(what, options, names);
  return DEFAULT_LIMIT;
}

/** A delimiter as bytes of our own. */
export function delimiterOf(delimiter: string | Uint8Array): Buffer {
  if ((typeof delimiter === 'string' || delimiter instanceof Uint8Array) && delimiter.length > 0) {
    return Buffer.from(delimiter as string);
  }
  throw new TypeError(`expected a delimiter of at least one byte, got ${inWords(delimiter)}`);
}

export function checkFrameSize(size: unknown, what: string): void {
  if (Number.isInteger(size) && (size as number) >= 0 && (size as number) <= constants.MAX_LENGTH) return;
  throw new TypeError(
    `${what} expects a whole number of bytes from 0 to ${constants.MAX_LENGTH}, got ${inWords(size)}`,
  );
}

/** The end of the stream where a frame may begin: null. Inside of one it is an error (N5). */
export function endBetween(held: Held, expected: string): null {
  if (held.size > 0) throw unexpectedEnd(expected, held.size);
  return null;
}

export function unexpectedEnd(expected: string, size: number): Error {
  return atLeaf(new UnexpectedEofError(`expected ${expected}, the stream ended after ${size} bytes`));
}

export function tooLong(what: string, limit: number, came: string): Error {
  return atLeaf(new LimitError(`expected ${what} of at most ${limit} bytes, got ${came}`));
}

/** A delimiter in messages. */
export function show(delimiter: Buffer): string {
  return inWords(delimiter.toString());
}
