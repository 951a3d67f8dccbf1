// Fractions as Redis adds them, in a `long double` of x86: 64 bits and an exponent. A sum is rounded to those, half to
// even, and shown with 17 decimals at most: so 0.1 and 0.2 are 0.3, and adding and taking away the same gives nothing.
//
//   text ──► units * 2 ** exponent, rounded ──► exact sum, rounded ──► text, rounded

import { NOT_A_FLOAT, Refusal } from './reply.ts';

const BITS = 64;
/** The exponents of the units of the smallest number, and of the largest. */
const LEAST = -16_445;
const MOST = 16_384 - BITS;
const DECIMALS = 17;
/** A text has fewer characters than this. */
const LONGEST = 5_120;

/** So many units of a power of two. */
interface Fraction {
  readonly units: bigint;
  readonly exponent: number;
}

/** The sum of two fractions; `refusal` is for a first one that is none. */
export function addFractions(text: string, increment: string, refusal = NOT_A_FLOAT): string {
  const one = expectFraction(text, refusal);
  const other = expectFraction(increment);
  const sum = one === null || other === null ? null : sumOf(one, other);
  if (sum === null) throw new Refusal('ERR increment would produce NaN or Infinity');
  return print(sum);
}

/** The number that a text is; null for an infinite one. */
export function expectFraction(text: string, refusal = NOT_A_FLOAT): Fraction | null {
  if (/^[+-]?inf(inity)?$/i.test(text)) return null;
  const fraction = text.length < LONGEST ? fractionOf(text) : undefined;
  if (fraction === undefined) throw new Refusal(refusal);
  return fraction;
}

/** As strtold reads it, in decimal or hexadecimal; undefined for what is no number, or too large or small for one. */
function fractionOf(text: string): Fraction | undefined {
  const decimal = /^([+-]?)(?=\.?\d)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(text);
  const found = decimal ?? /^([+-]?)0x(?=\.?[\da-f])([\da-f]*)\.?([\da-f]*)(?:p([+-]?\d+))?$/i.exec(text);
  if (found === null) return undefined;
  const [, sign, whole = '', decimals = '', power = '0'] = found;
  const digits = BigInt((decimal === null ? '0x' : '') + whole + decimals);
  if (digits === 0n) return { units: 0n, exponent: 0 };
  // Beyond this it is too large, or too small, whatever its digits are.
  const bounded = Math.max(-40_000, Math.min(40_000, Number(power)));
  let fraction;
  if (decimal === null) {
    fraction = rounded(digits, 1n, bounded - 4 * decimals.length);
  } else {
    const tens = bounded - decimals.length;
    fraction =
      tens >= 0 ? rounded(digits * 10n ** BigInt(tens), 1n, 0) : rounded(digits, 10n ** BigInt(-tens), 0);
  }
  if (fraction === null || fraction.units === 0n) return undefined;
  return sign === '-' ? { ...fraction, units: -fraction.units } : fraction;
}

function sumOf(one: Fraction, other: Fraction): Fraction | null {
  const exponent = Math.min(one.exponent, other.exponent);
  const scale = ({ units, exponent: own }: Fraction): bigint => units << BigInt(own - exponent);
  const sum = scale(one) + scale(other);
  if (sum >= 0n) return rounded(sum, 1n, exponent);
  const fraction = rounded(-sum, 1n, exponent);
  return fraction === null ? null : { ...fraction, units: -fraction.units };
}

/** The nearest fraction to `numerator / denominator * 2 ** exponent`, which is not negative; null if it is too large. */
function rounded(numerator: bigint, denominator: bigint, exponent: number): Fraction | null {
  // The quotient gets one bit too many at most, and is rounded once.
  let shift = lengthOf(numerator) - lengthOf(denominator) - BITS;
  if (lengthOf(quotient(numerator, denominator, shift)) > BITS) shift++;
  shift = Math.max(shift, LEAST - exponent);
  const units = quotient(numerator, denominator, shift);
  // Rounding may have made it a power of two of one bit more.
  return exponent + shift + Math.max(0, lengthOf(units) - BITS) > MOST && units > 0n
    ? null
    : { units, exponent: exponent + shift };
}

/** `numerator / (denominator * 2 ** shift)` as a whole number, half to even. */
function quotient(numerator: bigint, denominator: bigint, shift: number): bigint {
  const dividend = shift < 0 ? numerator << BigInt(-shift) : numerator;
  const divisor = shift < 0 ? denominator : denominator << BigInt(shift);
  const whole = dividend / divisor;
  const twice = 2n * (dividend % divisor);
  return twice > divisor || (twice === divisor && (whole & 1n) === 1n) ? whole + 1n : whole;
}

function lengthOf(value: bigint): number {
  // Sixteen digits say it but for the first one's leading zeros.
  const digits = value.toString(16);
  return 4 * (digits.length - 1) + (32 - Math.clz32(parseInt(digits[0]!, 16)));
}

function print({ units, exponent }: Fraction): string {
  const scaled = (units < 0n ? -units : units) * 10n ** BigInt(DECIMALS);
  const value = exponent >= 0 ? scaled << BigInt(exponent) : quotient(scaled, 1n, -exponent);
  const digits = String(value).padStart(DECIMALS + 1, '0');
  const whole = digits.slice(0, -DECIMALS);
  const decimals = digits.slice(-DECIMALS).replace(/0+$/, '');
  const text = decimals === '' ? whole : `${whole}.${decimals}`;
  return units < 0n && text !== '0' ? `-${text}` : text;
}
