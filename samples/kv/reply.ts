// Replies in RESP2, as text in which each character is one byte (latin1), as keys and values are: V8 keeps such text
// in one byte a character, joins it without copying, and a Map finds it by itself. A command gives its reply as such
// text, and what a whole chunk of commands has to say becomes bytes once, for one write.

export const OK = '+OK\r\n';
export const QUEUED = '+QUEUED\r\n';
export const PONG = '+PONG\r\n';
export const NIL = '$-1\r\n';
export const NIL_ARRAY = '*-1\r\n';
export const EMPTY_ARRAY = '*0\r\n';
export const ZERO = ':0\r\n';
export const ONE = ':1\r\n';

export function simple(text: string): string {
  return `+${text}\r\n`;
}

export function integer(value: number | bigint | string): string {
  return `:${value}\r\n`;
}

export function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

export function bulkOrNil(text: string | undefined): string {
  return text === undefined ? NIL : bulk(text);
}

/** An array of replies that are made already. */
export function array(replies: readonly string[]): string {
  return `*${replies.length}\r\n${replies.join('')}`;
}

/** An array of bulk strings; a command in the append-only file has the same form. */
export function bulks(texts: Iterable<string>): string {
  let count = 0;
  let body = '';
  for (const text of texts) {
    count++;
    body += `$${text.length}\r\n${text}\r\n`;
  }
  return `*${count}\r\n${body}`;
}

/** An error. What a client has sent may stand in it, and must not end the line. */
export function failure(text: string): string {
  return `-${text.replace(/[\r\n]/g, ' ')}\r\n`;
}

/** A command refuses: the client is told why, with this text. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

export const SYNTAX = 'ERR syntax error';
export const NOT_AN_INTEGER = 'ERR value is not an integer or out of range';
export const NOT_A_FLOAT = 'ERR value is not a valid float';
export const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value';
export const NO_SUCH_KEY = 'ERR no such key';
export const OUT_OF_RANGE = 'ERR value is out of range';
export const NOT_POSITIVE = 'ERR value is out of range, must be positive';
export const INDEX_OUT_OF_RANGE = 'ERR index out of range';
