// Binding as an operation.

import { kind } from '../scheduler/kind.ts';
import { Leaf, type Operation } from '../scheduler/operation.ts';
import { Acceptor, type ListenOptions } from './acceptor.ts';
import type { Address, AddressLike } from './address.ts';

/** Binds an acceptor; `make` gives it anew at each performance. */
export function bind(make: () => Acceptor): Operation<Acceptor> {
  return new Leaf<Acceptor, () => Acceptor, Acceptor | null>(BIND, make, null);
}

/** On what makes the acceptor, with the acceptor while it is being performed. */
const BIND = kind<Acceptor, () => Acceptor, Acceptor | null>({
  poll(operation) {
    const { target: make } = operation;
    const acceptor = (operation.item ??= make());
    if (!acceptor.isSettled) return false;
    operation.item = null;
    acceptor.checkBound();
    operation.value = acceptor;
    return true;
  },
  arm: (operation) => operation.item?.bind(() => operation.notify()),
  disarm(operation) {
    operation.item?.close();
    operation.item = null;
  },
  enlist: () => false,
  discard: (_, acceptor) => acceptor.close(),
  describe: ({ item }) => `binding ${item?.address ?? 'an address'}`,
});

/**
 * Listens on an address. A port alone binds loopback; port 0 lets the system choose one, which
 * `acceptor.address.port` tells.
 *
 * @throws TypeError if the address is malformed; the system's error (`EADDRINUSE`, `EACCES`, …)
 *
 * @example
 * ```ts
 * import { listen, run } from 'skein';
 *
 * await run(function* () {
 *   const acceptor = yield* listen('127.0.0.1:0', { backlog: 128 });
 *   console.log(`listening on ${acceptor.address}`);
 *   acceptor.close();
 * });
 * ```
 */
export function listen(address: AddressLike | Address, options?: ListenOptions): Operation<Acceptor> {
  const make = (): Acceptor => new Acceptor(address, options);
  // Made once in vain, so that malformed arguments are an error of this call and not of its performance.
  make();
  return bind(make);
}
