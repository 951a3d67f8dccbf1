// The prime numbers by a chain of coroutines: one for each prime, which lets pass what it does not divide.
// C. A. R. Hoare shows it in "Communicating Sequential Processes" (1978).
//
//   npx tsx --conditions=skein-source samples/sieve.ts 100        (the primes up to 100)
//
// Notice that no coroutine knows how long the chain is, and that it grows while numbers run through it.
// The end runs through it just so: whoever finds its source closed has no more to give, and closes its own.

import { CancelledError, Channel, closed, run, spawn } from 'skein';
import { refuseToStart } from './environment.ts';

/** All numbers that may be prime, in order. */
function* count(limit: number, to: Channel<number>) {
  for (let n = 2; n <= limit; n++) yield* to.send(n);
  to.close();
}

/** Lets pass what `prime` does not divide. */
function* filter(prime: number, from: Channel<number>, to: Channel<number>) {
  for (let n; (n = yield* from.receive()) !== closed;) if (n % prime !== 0) yield* to.send(n);
  to.close();
}

/** What comes through all filters is prime, and becomes the next filter. */
function* sieve(limit: number) {
  let numbers = new Channel<number>();
  const first = numbers;
  spawn(() => count(limit, first));
  for (let prime; (prime = yield* numbers.receive()) !== closed;) {
    console.log(prime);
    const [divisor, from, to] = [prime, numbers, new Channel<number>()];
    spawn(() => filter(divisor, from, to), { name: `filter of ${divisor}` });
    numbers = to;
  }
}

const last = Number(process.argv[2] ?? 1000);
if (Number.isNaN(last)) {
  refuseToStart(`sieve.ts expects a number, up to which to print the primes, got "${process.argv[2]}"`);
}
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

try {
  await run(() => sieve(last), { signal: stop.signal });
} catch (error) {
  if (!(error instanceof CancelledError)) throw error;
  console.log('interrupted');
}
