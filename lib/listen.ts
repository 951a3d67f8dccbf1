// Binding as an operation.

import { Leaf, type Operation } from '../scheduler/operation.ts';
import { Acceptor, type ListenOptions } from './acceptor.ts';
import type { Address, AddressLike } from './address.ts';

/** Binds an acceptor; `make` gives it anew at each performance. */
export class ListenOperation extends Leaf<Acceptor> {
  /** @internal */ declare make: () => Acceptor;
  /** @internal */ declare acceptor: Acceptor | null;

  constructor(make: () => Acceptor) {
    super();
    this.make = make;
    this.acceptor = null;
  }

  poll(): boolean {
    const acceptor = (this.acceptor ??= this.make());
    if (!acceptor.isSettled) return false;
    this.acceptor = null;
    acceptor.checkBound();
    this.value = acceptor;
    return true;
  }

  arm(): void {
    this.acceptor?.bind(() => this.notify());
  }

  disarm(): void {
    this.acceptor?.close();
    this.acceptor = null;
  }

  override enlist(): boolean {
    return false;
  }

  describe(): string {
    return `binding ${this.acceptor?.address ?? 'an address'}`;
  }
}

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
  return new ListenOperation(make);
}
