// What a host stands for.

import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import type { Endpoint } from './contract.ts';

/** The addresses that a host stands for, later: it may be a name. There is at least one, or an error. */
export function resolve(to: Endpoint, onResolved: (error: Error | null, found: Endpoint[]) => void): void {
  if (to.path !== '' || isIP(to.host) !== 0) {
    queueMicrotask(() => onResolved(null, [to]));
    return;
  }
  lookup(to.host, { all: true }, (error, found) => {
    const addresses = error === null ? found : [];
    onResolved(
      error,
      addresses.map(({ address }) => ({ host: address, port: to.port, path: '' })),
    );
  });
}
