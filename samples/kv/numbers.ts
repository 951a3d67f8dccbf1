// Numbers as clients write them. Whole ones are those of 64 bits, in the one form that each has (no '+1', no '01'):
// what is small enough is a `number`, and only what is not becomes a bigint. Fractions are in fractions.ts.

import { NOT_AN_INTEGER, Refusal } from './reply.ts';

const LARGEST = 2n ** 63n - 1n;
const SMALLEST = -(2n ** 63n);

/** A whole number; undefined if the text is none, or too large. Above 2 ** 53 it is a bigint. */
export function wholeOf(text: string): number | bigint | undefined {
  const { length } = text;
  if (length === 0 || length > 20) return undefined;
  const isNegative = text.charCodeAt(0) === 45;
  const first = isNegative ? 1 : 0;
  const lead = text.charCodeAt(first);
  if (lead === 48) return length === 1 ? 0 : undefined;
  let value = 0;
  for (let at = first; at < length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  if (first === length) return undefined;
  if (length <= 15) return isNegative ? -value : value;
  const large = BigInt(text);
  if (large > LARGEST || large < SMALLEST) return undefined;
  return Number.isSafeInteger(value) ? Number(large) : large;
}

/** The sum of two whole numbers; undefined if it has more than 64 bits. */
export function sumOf(one: number | bigint, other: number | bigint): number | bigint | undefined {
  if (typeof one === 'number' && typeof other === 'number') {
    const sum = one + other;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const sum = BigInt(one) + BigInt(other);
  return sum > LARGEST || sum < SMALLEST ? undefined : sum;
}

/** A whole number that a command was given: a count, an index. What is too large for a `number` is rounded. */
export function expectWhole(text: string, refusal = NOT_AN_INTEGER): number {
  const value = wholeOf(text);
  if (value === undefined) throw new Refusal(refusal);
  return Number(value);
}

const UNITS: Record<string, number> = {
  k: 1e3,
  m: 1e6,
  g: 1e9,
  kb: 2 ** 10,
  mb: 2 ** 20,
  gb: 2 ** 30,
  b: 1,
  '': 1,
};

/** An amount of memory in bytes, as Redis reads it: '64mb'; undefined if the text is none. */
export function memoryOf(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,12})([kmg]?b?)$/i.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNITS[unit!.toLowerCase()]!;
}

/** How long a client waits at most: seconds as it writes them, milliseconds as given; Infinity for 0. */
export function timeoutOf(text: string): number {
  const seconds = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
  if (Number.isNaN(seconds) || seconds > 9.2e15)
    throw new Refusal('ERR timeout is not a float or out of range');
  if (seconds < 0) throw new Refusal('ERR timeout is negative');
  return seconds === 0 ? Infinity : Math.ceil(seconds * 1000);
}
