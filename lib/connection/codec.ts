// Frames in both directions: with their length before them, or with a delimiter behind them. Each is a pair of
// functions over a connection and keeps nothing of it; reading is a framing read as `readLine` is.

import { constants } from 'node:buffer';
import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import { inWords } from '../../scheduler/kernel/errors.ts';
import type { Operation } from '../../scheduler/kernel/operation.ts';
import type { Connection } from './connection.ts';
import {
  DelimiterFraming,
  delimiterOf,
  endBetween,
  FRAME_OPTIONS,
  type FrameOptions,
  type Framing,
  limitOf,
  show,
  tooLong,
  unexpectedEnd,
} from './framing.ts';
import type { Held } from './read-buffer.ts';

/** How frames are read and written. */
export interface FrameFormat {
  /**
   * The next frame; null at the end of the stream. Cancelling loses nothing.
   *
   * @throws LimitError for a frame that is too long; UnexpectedEofError if the stream ends inside of one; in both
   * cases the bytes are still there for `read`. Otherwise as `read`
   */
  read(conn: Connection): Operation<Buffer | null>;
  /**
   * Writes a frame, text as UTF-8. Otherwise as `Connection.write`.
   *
   * @throws LimitError if it is too long; TypeError if it cannot be a frame
   */
  write(conn: Connection, payload: string | Uint8Array): Operation<void>;
}

/** How long the length is, and how long a frame may be; all are optional. */
export interface LengthPrefixedOptions extends FrameOptions {
  /** Bytes of the length; 4 unless said otherwise. */
  readonly bytes?: 1 | 2 | 4 | 8 | undefined;
  /** Least significant byte first; otherwise network order, most significant first. */
  readonly littleEndian?: boolean | undefined;
}

const PREFIXED = optionNames<LengthPrefixedOptions>({ limit: true, bytes: true, littleEndian: true });

/**
 * Frames with their length before them, an unsigned number that does not count itself. A length beyond `limit` is
 * refused before any memory is used for it.
 *
 * @throws TypeError for other options
 *
 * @example
 * ```ts
 * import { dial, lengthPrefixed, listen, run, spawn } from 'skein';
 *
 * const frames = lengthPrefixed({ bytes: 2 });
 *
 * await run(function* () {
 *   const acceptor = yield* listen(0);
 *   spawn(function* () {
 *     const conn = yield* dial(acceptor.address);
 *     yield* frames.write(conn, 'hello'); // 00 05 68 65 6c 6c 6f
 *     conn.close();
 *   });
 *   const conn = yield* acceptor.accept();
 *   for (let frame; (frame = yield* frames.read(conn)) !== null; ) console.log(String(frame)); // hello
 *   conn.close();
 *   acceptor.close();
 * });
 * ```
 */
export function lengthPrefixed(options: LengthPrefixedOptions = {}): FrameFormat {
  checkOptions('lengthPrefixed', options, PREFIXED);
  const { bytes = 4, littleEndian = false } = options;
  if (![1, 2, 4, 8].includes(bytes)) {
    throw new TypeError(`lengthPrefixed expects a length of 1, 2, 4 or 8 bytes, got ${inWords(bytes)}`);
  }
  // No frame is longer than its length can say, or than a buffer can be.
  const limit = Math.min(
    limitOf('lengthPrefixed', options, PREFIXED),
    256 ** bytes - 1,
    constants.MAX_LENGTH - bytes,
  );
  const framing = new PrefixFraming(bytes, littleEndian, limit);
  return {
    read: (conn) => conn.readFrame(framing),
    write(conn, payload) {
      const data = payloadOf(payload, limit);
      return conn.writeAll([prefixOf(data.byteLength, bytes, littleEndian), data]);
    },
  };
}

/**
 * Frames with a delimiter behind them, which `read` takes off and `write` puts there. It cannot be part of a
 * frame. `limit` does not count it.
 *
 * @throws TypeError for a delimiter of no bytes
 *
 * @example
 * ```ts
 * import { delimited, dial, listen, run, spawn } from 'skein';
 *
 * const frames = delimited('\0');
 *
 * await run(function* () {
 *   const acceptor = yield* listen(0);
 *   spawn(function* () {
 *     const conn = yield* dial(acceptor.address);
 *     yield* frames.write(conn, 'one');
 *     yield* frames.write(conn, 'two');
 *     conn.close();
 *   });
 *   const conn = yield* acceptor.accept();
 *   for (let frame; (frame = yield* frames.read(conn)) !== null; ) console.log(String(frame)); // one, two
 *   conn.close();
 *   acceptor.close();
 * });
 * ```
 */
export function delimited(delimiter: string | Uint8Array, options: FrameOptions = {}): FrameFormat {
  checkOptions('delimited', options, FRAME_OPTIONS);
  const end = delimiterOf(delimiter);
  const limit = limitOf('delimited', options);
  const framing = new DelimiterFraming(end, limit, true);
  return {
    read: (conn) => conn.readFrame(framing),
    write(conn, payload) {
      const data = payloadOf(payload, limit);
      const frame = Buffer.concat([data, end]);
      // It must not begin earlier either, with the last bytes of the frame and some of its own.
      const index = frame.indexOf(end);
      if (index === data.byteLength) return conn.write(frame);
      throw new TypeError(`expected a frame without the delimiter ${show(end)}, got it at byte ${index}`);
    },
  };
}

/** Bytes behind their number. */
class PrefixFraming implements Framing<Buffer | null> {
  readonly #bytes: number;
  readonly #isLittleEndian: boolean;
  readonly #limit: number;

  constructor(bytes: number, isLittleEndian: boolean, limit: number) {
    this.#bytes = bytes;
    this.#isLittleEndian = isLittleEndian;
    this.#limit = limit;
  }

  describe(): string {
    return 'reading a frame';
  }

  take(held: Held): Buffer | undefined {
    const prefix = this.#bytes;
    if (!held.has(prefix)) return undefined;
    const length = held.numberAtFront(prefix, this.#isLittleEndian);
    if (length > this.#limit) throw tooLong('a frame', this.#limit, `the length ${length}`);
    if (!held.has(prefix + length)) return undefined;
    held.skip(prefix);
    return held.take(length);
  }

  end(held: Held): null {
    const prefix = this.#bytes;
    if (held.size < prefix) return endBetween(held, `a length of ${prefix} bytes`);
    const length = held.numberAtFront(prefix, this.#isLittleEndian);
    throw unexpectedEnd(`a frame of ${length} bytes`, held.size - prefix);
  }
}

function prefixOf(length: number, bytes: number, isLittleEndian: boolean): Buffer {
  const prefix = Buffer.alloc(bytes);
  let rest = length;
  for (let place = 0; place < bytes; place++) {
    prefix[isLittleEndian ? place : bytes - 1 - place] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return prefix;
}

function payloadOf(payload: string | Uint8Array, limit: number): Uint8Array {
  if (typeof payload !== 'string' && !(payload instanceof Uint8Array)) {
    throw new TypeError(`expected a string or a Uint8Array as a frame, got ${inWords(payload)}`);
  }
  const data = typeof payload === 'string' ? Buffer.from(payload) : payload;
  if (data.byteLength > limit) throw tooLong('a frame', limit, `${data.byteLength} to write`);
  return data;
}
