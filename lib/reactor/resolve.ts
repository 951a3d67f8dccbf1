// What a host stands for: the one place where names become addresses. Invariants: the answer comes later, and once,
// whatever the resolver does; it is at least one address, or an error.

import { isIP, type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { builtin } from './builtin.ts';
import type { Endpoint, OnResolved } from './contract.ts';

/** The longest IPv6 address and the longest name of an interface behind it, with a `%` between them. */
const LONGEST = 45 + 1 + 15;

/** As R16 has it; `everywhere` are the addresses that `*` stands for. */
export function resolve(
  to: Endpoint,
  onResolved: OnResolved,
  lookup?: LookupFunction,
  everywhere: () => readonly string[] = everyAddress,
): void {
  let isAnswered = false;
  const answer: OnResolved = (error, found) => {
    if (isAnswered) return;
    isAnswered = true;
    queueMicrotask(() => onResolved(error, found));
  };
  if (to.path !== '' || isAddress(to.host)) {
    answer(null, [to]);
    return;
  }
  if (to.host === '*') {
    const { port } = to;
    answer(
      null,
      everywhere().map((host) => ({ host, port, path: '' })),
    );
    return;
  }
  try {
    // The family is left to the system: it knows which it has an address of.
    const ask = lookup ?? builtin('node:dns').lookup;
    ask(to.host, { all: true, verbatim: true }, (error: unknown, found: unknown) => {
      if (error !== null && error !== undefined) answer(asError(error), []);
      else answer(...checked(to, found));
    });
  } catch (error) {
    answer(asError(error), []);
  }
}

/** The first stands for the second as well, to whoever binds it. */
function everyAddress(): string[] {
  const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ family }) => family === 'IPv6'),
  );
  return [...(hasIPv6 ? ['::'] : []), '0.0.0.0'];
}

/** The addresses in a resolver's answer, which may be anything: it may be a user's. */
function checked({ host, port }: Endpoint, found: unknown): [error: Error | null, found: Endpoint[]] {
  if (!Array.isArray(found) || !found.every(isEntry)) {
    const got = builtin('node:util').inspect(found, { depth: 1, maxArrayLength: 3, breakLength: Infinity });
    return [new TypeError(`expected lookup to give [{ address, family }, …] for ${host}, got ${got}`), []];
  }
  if (found.length > 0) return [null, found.map(({ address }) => ({ host: address, port, path: '' }))];
  const error = new Error(`getaddrinfo ENOTFOUND ${host}`);
  return [Object.assign(error, { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: host }), []];
}

function isEntry(entry: unknown): entry is { address: string } {
  const { address } = (entry ?? {}) as { address?: unknown };
  return typeof address === 'string' && isAddress(address);
}

/** `isIP` takes interfaces of any length, and no system does. */
function isAddress(host: string): boolean {
  return host.length <= LONGEST && isIP(host) !== 0;
}

function asError(error: unknown): Error {
  return error instanceof Error
    ? error
    : new Error(`lookup failed with ${builtin('node:util').inspect(error)}`, { cause: error });
}
