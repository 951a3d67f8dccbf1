// Numbers as clients write them. Whole ones are those of 64 bits, in the one form that each has (no '+1', no '01'):
// what is small enough is a `number`, and only what is not becomes a bigint. Fractions are added as decimals and not
// as doubles, so 0.1 and 0.2 are 0.3.

import { NOT_A_FLOAT, NOT_AN_INTEGER, Refusal } from './reply.ts';

const LARGEST = 2n ** 63n - 1n;
const SMALLEST = -(2n ** 63n);
const DECIMALS = 17;

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

/** A decimal fraction: `units` of a part with so many `decimals`. */
interface Decimal {
  readonly units: bigint;
  readonly decimals: number;
}

function decimalOf(text: string): Decimal | undefined {
  const found = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,4}))?$/i.exec(text);
  if (found === null) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = found;
  if (whole === '' && fraction === '') return undefined;
  const decimals = fraction.length - Number(exponent);
  const units = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  return decimals >= 0 ? { units, decimals } : { units: units * 10n ** BigInt(-decimals), decimals: 0 };
}

/** The sum of two fractions, with at most 17 decimals. */
export function addDecimals(text: string, increment: string, refusal = NOT_A_FLOAT): string {
  const one = text.length > 255 ? undefined : decimalOf(text);
  if (one === undefined) throw new Refusal(refusal);
  if (/^[+-]?inf(inity)?$/i.test(increment)) throw new Refusal('ERR increment would produce NaN or Infinity');
  const other = increment.length > 255 ? undefined : decimalOf(increment);
  if (other === undefined) throw new Refusal(NOT_A_FLOAT);
  const decimals = Math.max(one.decimals, other.decimals);
  const scale = ({ units, decimals: own }: Decimal): bigint => units * 10n ** BigInt(decimals - own);
  return printDecimal(scale(one) + scale(other), decimals);
}

function printDecimal(units: bigint, decimals: number): string {
  let value = units < 0n ? -units : units;
  let places = decimals;
  if (places > DECIMALS) {
    const part = 10n ** BigInt(places - DECIMALS);
    value = (value + part / 2n) / part;
    places = DECIMALS;
  }
  const digits = String(value).padStart(places + 1, '0');
  const whole = digits.slice(0, digits.length - places);
  const fraction = digits.slice(digits.length - places).replace(/0+$/, '');
  const sign = units < 0n && value !== 0n ? '-' : '';
  return fraction === '' ? sign + whole : `${sign}${whole}.${fraction}`;
}

/** How long a client waits at most: seconds as it writes them, milliseconds as given; Infinity for 0. */
export function timeoutOf(text: string): number {
  const seconds = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
  if (Number.isNaN(seconds) || seconds > 9.2e15)
    throw new Refusal('ERR timeout is not a float or out of range');
  if (seconds < 0) throw new Refusal('ERR timeout is negative');
  return seconds === 0 ? Infinity : Math.ceil(seconds * 1000);
}
