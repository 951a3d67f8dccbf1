// What a dial that has failed tells: which addresses were tried, and how the attempt at each has ended or stands.

import { atLeaf } from '../scheduler/at-leaf.ts';
import { TimeoutError } from '../scheduler/errors.ts';
import { Address } from './address.ts';
import type { Attempt, HappyEyeballs } from './happy-eyeballs.ts';
import { detailed, ioError } from './io-error.ts';

/** The error of the only attempt; else one with the errors of all, in `errors`. */
export function dialError(address: Address, { attempts, lookupError }: HappyEyeballs): NodeJS.ErrnoException {
  const action = `dialling ${address}`;
  const errors = attempts.map(({ error }) => error!);
  const last = errors.at(-1);
  if (last === undefined || errors.length === 1) return ioError(last ?? lookupError!, action, address);
  const error = new AggregateError(
    errors,
    `${action}: ${errors.length} attempts failed: ${inWords(attempts)}`,
  );
  // Where a family has no route its attempts fail first: what the last has met says more.
  return detailed(atLeaf(error), last, address);
}

/** The error when the time was up. */
export function dialTimeout(address: Address, timeout: number, { attempts }: HappyEyeballs): TimeoutError {
  const found = attempts.length === 0 ? `still looking ${address.host} up` : inWords(attempts);
  const error = new TimeoutError(`dialling ${address} took more than ${timeout} ms: ${found}`);
  const errors = attempts.flatMap((attempt) => attempt.error ?? []);
  return Object.assign(detailed(atLeaf(error), null, address), { errors });
}

/** "[::1]:80 ECONNREFUSED; 127.0.0.1:80 still connecting". */
function inWords(attempts: readonly Attempt[]): string {
  return attempts.map((attempt) => `${Address.of(attempt.to)} ${standing(attempt)}`).join('; ');
}

function standing({ state, error }: Attempt): string {
  if (error === null) return state === 'connecting' ? 'still connecting' : state;
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
