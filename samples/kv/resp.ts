// Requests in RESP2, taken apart in one pass over the text of a chunk. What is unfinished at its end is kept as bytes,
// in a buffer that grows with what has come and never with what was announced; how far a request is, its count and
// the arguments it has so far, is kept as well. So nothing is looked at twice, however it trickles in, and a
// client holds no more than about twice what it has sent.
//
//   chunk ──► text ──► args, args, … ──► unfinished: held ◄── further chunks, until one can complete it

import { Buffer } from 'node:buffer';
import { ProtocolError } from 'skein';
import { splitInline } from './inline.ts';

/** A request without an end of its line, at most. */
const LONGEST_LINE = 65_536;
const MOST_ARGUMENTS = 1_048_576;
const LONGEST_BULK = 536_870_912;
/** What a client may have sent of a request that is not complete; Redis allows 1 GB. */
export const LONGEST_REQUEST = 67_108_864;
/** A buffer larger than this is not kept for the next request, nor are the arguments of so large a text. */
const SPACIOUS = 16_384;

const CR = 13;
const LF = 10;
const ASTERISK = 42;
const DOLLAR = 36;
const MINUS = 45;
const NOTHING = Buffer.alloc(0);

export class RequestParser {
  /** The request that `next` has found. The array is used again: whoever keeps it makes a copy. */
  readonly args: string[] = [];
  #text = '';
  /** What was taken apart ends here. */
  #at = 0;
  /** Where the unfinished request begins in the text, or goes on. */
  #start = 0;
  /** The bytes behind the text, the first `#used` of the buffer. */
  #held: Buffer = NOTHING;
  #used = 0;
  /** How many of them make another look worth while; 0: a line feed does. */
  #needed = 0;
  #hasLineFeed = false;
  /** Arguments that are still to come, and how many there are already. */
  #missing = 0;
  #count = 0;
  /** The length of the argument that comes next; -1 before it was told. */
  #bulk = -1;
  /** Where the request that was found last begins in the text; -1 if it came in several texts, or as an inline one. */
  #found = -1;
  /** Bytes of it that stood in earlier texts. */
  #consumed = 0;
  readonly #longest: number;
  readonly #longestBulk: number;

  /** @param longest how many bytes of an unfinished request may come */
  constructor(longest = LONGEST_REQUEST) {
    this.#longest = longest;
    this.#longestBulk = Math.min(LONGEST_BULK, longest);
  }

  /** Bytes that wait to be taken apart. */
  get waiting(): number {
    return this.#text.length - this.#at + this.#used;
  }

  /** Bytes of the request that is not complete; with those of later requests, if `next` was not asked for them. */
  get unfinished(): number {
    return this.#consumed + this.#at - this.#start + this.waiting;
  }

  /** The request in `args` as it came, which is the form of the append-only file; empty if it has to be made anew. */
  get raw(): string {
    return this.#found < 0 ? '' : this.#text.slice(this.#found, this.#at);
  }

  add(chunk: Buffer): void {
    if (this.#used === 0 && this.#at === this.#text.length) {
      this.#become(chunk.toString('latin1'));
    } else {
      this.#hold(chunk);
    }
  }

  /**
   * Takes the next request apart: it stands in `args` if there is a whole one.
   *
   * @throws ProtocolError, with the words of Redis; there is no way on from there
   */
  next(): boolean {
    for (;;) {
      const text = this.#text;
      if (this.#parse(text)) return true;
      const rest = text.length - this.#at;
      if (this.#used === 0) {
        if (rest > 0) this.#holdRest(text);
        this.#become('');
        if (text.length > SPACIOUS) this.args.length = this.#count;
        return false;
      }
      const isRipe =
        this.#needed > 0 ? this.#used >= this.#needed : this.#hasLineFeed || this.#used > LONGEST_LINE;
      if (rest === 0 && !isRipe) return false;
      this.#become(text.slice(this.#at) + this.#takeHeld());
    }
  }

  #become(text: string): void {
    this.#consumed += this.#at - this.#start;
    this.#text = text;
    this.#at = this.#start = 0;
  }

  /** A request ends here. */
  #complete(at: number): void {
    this.#at = this.#start = at;
    this.#consumed = 0;
  }

  #parse(text: string): boolean {
    const { args } = this;
    if (this.#missing === 0 && !this.#begin(text)) return false;
    if (this.#missing === 0) return true;
    for (; this.#missing > 0; this.#missing--) {
      if (this.#bulk < 0) {
        const at = this.#at;
        if (at === text.length) return false;
        const end = lineEnd(text, at);
        if (end < 0) {
          if (text.length - at > LONGEST_LINE) throw new ProtocolError('too big bulk count string');
          return false;
        }
        if (text.charCodeAt(at) !== DOLLAR) throw new ProtocolError(`expected '$', got '${text[at]!}'`);
        const length = numberIn(text, at + 1, end);
        if (!(length >= 0 && length <= this.#longestBulk)) throw new ProtocolError('invalid bulk length');
        // Refused as soon as it is announced, and not when all of that has come.
        if (this.#consumed + end + 2 - this.#start + length > this.#longest) {
          throw new ProtocolError('too big request');
        }
        this.#bulk = length;
        this.#at = end + 2;
      }
      const from = this.#at;
      const to = from + this.#bulk;
      if (to + 2 > text.length) return false;
      args[this.#count++] = text.slice(from, to);
      this.#bulk = -1;
      this.#at = to + 2;
    }
    if (args.length !== this.#count) args.length = this.#count;
    this.#count = 0;
    this.#found = this.#consumed === 0 ? this.#start : -1;
    this.#complete(this.#at);
    return true;
  }

  /** Reads how many arguments there are; a line without that is a whole request by itself. False without one. */
  #begin(text: string): boolean {
    for (;;) {
      const at = this.#at;
      if (at === text.length) return false;
      if (text.charCodeAt(at) !== ASTERISK) {
        const end = text.indexOf('\n', at);
        if (end < 0) {
          if (text.length - at > LONGEST_LINE) throw new ProtocolError('too big inline request');
          return false;
        }
        const words = splitInline(
          text.slice(at, text.charCodeAt(end - 1) === CR ? Math.max(at, end - 1) : end),
        );
        if (words === null) throw new ProtocolError('unbalanced quotes in request');
        this.#complete(end + 1);
        if (words.length === 0) continue;
        this.args.length = 0;
        this.args.push(...words);
        this.#found = -1;
        return true;
      }
      const end = lineEnd(text, at);
      if (end < 0) {
        if (text.length - at > LONGEST_LINE) throw new ProtocolError('too big mbulk count string');
        return false;
      }
      const count = numberIn(text, at + 1, end);
      if (!(count <= MOST_ARGUMENTS)) throw new ProtocolError('invalid multibulk length');
      this.#at = end + 2;
      if (count <= 0) {
        // An empty request is none.
        this.#complete(this.#at);
        continue;
      }
      this.#missing = count;
      this.#count = 0;
      return true;
    }
  }

  #holdRest(text: string): void {
    this.#hold(Buffer.from(text.slice(this.#at), 'latin1'));
    this.#hasLineFeed = false;
    this.#needed = this.#bulk < 0 ? 0 : this.#bulk + 2;
  }

  #hold(bytes: Buffer): void {
    const used = this.#used + bytes.length;
    if (used + this.#consumed + this.#at - this.#start > this.#longest)
      throw new ProtocolError('too big request');
    if (used > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(64, 2 ** Math.ceil(Math.log2(used))));
      this.#held.copy(grown, 0, 0, this.#used);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#used);
    this.#used = used;
    if (this.#needed === 0 && !this.#hasLineFeed) this.#hasLineFeed = bytes.includes(LF);
  }

  #takeHeld(): string {
    const text = this.#held.toString('latin1', 0, this.#used);
    this.#used = 0;
    this.#hasLineFeed = false;
    if (this.#held.length > SPACIOUS) this.#held = NOTHING;
    return text;
  }
}

/** Where the carriage return of a line stands, if what follows it has come too; else -1. */
function lineEnd(text: string, at: number): number {
  // Nearly all lines are this long.
  if (text.charCodeAt(at + 2) === CR && at + 3 < text.length) return at + 2;
  if (text.charCodeAt(at + 3) === CR && at + 4 < text.length) return at + 3;
  const end = text.indexOf('\r', at);
  return end + 1 < text.length ? end : -1;
}

/** The whole number that stands there; NaN if none does, or one of too many digits. */
function numberIn(text: string, from: number, to: number): number {
  const isNegative = text.charCodeAt(from) === MINUS;
  const first = isNegative ? from + 1 : from;
  if (first === to || to - first > 15 || (text.charCodeAt(first) === 48 && (to - first > 1 || isNegative)))
    return NaN;
  let value = 0;
  for (let at = first; at < to; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return isNegative ? -value : value;
}
