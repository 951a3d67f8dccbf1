// Binding a UDP socket as an operation.

import type { LookupFunction } from 'node:net';
import { checkOptions, expectWhole, optionNames } from '../../scheduler/kernel/arguments.ts';
import { outside } from '../../scheduler/kernel/async-context.ts';
import { kind, Leaf, type Operation } from '../../scheduler/kernel/operation.ts';
import type { Address, AddressLike } from '../common/address.ts';
import { checkLookup } from '../common/checks.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { currentScheduler } from '../../scheduler/kernel/scheduler.ts';
import { networkOf } from '../common/current-reactor.ts';
import { ioError } from '../common/errors.ts';
import type { Endpoint } from '../reactor/contract.ts';
import { udpAddress, UdpSocket } from './socket.ts';

/** How to bind a UDP socket; all are optional. */
export interface UdpOptions {
  /**
   * Datagrams that are kept while nobody receives: 1,024 unless said otherwise, and as many times 4 KiB. Further ones
   * are dropped, and counted by `dropped`.
   */
  readonly capacity?: number | undefined;
  /** Bind an address that another socket has bound (SO_REUSEADDR); which of them a datagram reaches, the system decides. */
  readonly reuseAddr?: boolean | undefined;
  /** Bind only IPv6 on `[::]`, not IPv4 too. */
  readonly ipv6Only?: boolean | undefined;
  /** Sending to a broadcast address is allowed; else it is an `EACCES`. */
  readonly broadcast?: boolean | undefined;
  /** Resolves names, as that of `dial` does: the one that is bound, and those that are sent to. */
  readonly lookup?: LookupFunction | undefined;
}

const OPTIONS = optionNames<UdpOptions>({
  capacity: true,
  reuseAddr: true,
  ipv6Only: true,
  broadcast: true,
  lookup: true,
});

const CAPACITY = 1_024;

/**
 * Binds a UDP socket. A port alone is one of loopback; port 0 lets the system choose one, which `socket.address.port`
 * tells. What the address is decides the family: `'0.0.0.0:9981'` is IPv4, `'[::]:9981'` is IPv6, and IPv4 too unless
 * `ipv6Only` is set. Cancelling binds nothing.
 *
 * @throws TypeError if the address or an option is malformed; the system's error (`EADDRINUSE`, `EACCES`, …) with this
 * coroutine's stack
 *
 * @example
 * ```ts
 * import { bindUdp, run } from 'skein';
 *
 * await run(function* () {
 *   const socket = yield* bindUdp('127.0.0.1:0', { capacity: 64 });
 *   console.log(`bound to ${socket.address}`);
 *   socket.close();
 * });
 * ```
 */
export function bindUdp(address: AddressLike | Address, options: UdpOptions = {}): Operation<UdpSocket> {
  checkOptions('bindUdp', options, OPTIONS);
  const { capacity = CAPACITY, lookup } = options;
  expectWhole('the capacity of bindUdp', capacity, 1);
  checkLookup(lookup, 'bindUdp');
  const request = { to: udpAddress(address), options: { ...options, capacity } };
  return new Leaf<UdpSocket, Request, End | null>(BIND, request, null);
}

interface Request {
  readonly to: Address;
  readonly options: UdpOptions & { readonly capacity: number };
}

/** Ends the binding; after it nobody is told. */
type End = () => void;

const BIND = kind<UdpSocket, Request, End | null>({
  startsWork: true,
  arm(operation) {
    operation.item = bind(
      operation.target,
      currentScheduler(),
      (socket) => operation.fire(socket),
      (error) => operation.fail(error),
    );
  },
  disarm(operation) {
    operation.item?.();
    operation.item = null;
  },
  discard: (_, socket) => socket.close(),
  raise: ({ target: { to } }, error) => ioError(error as Error, `binding ${to}`, to),
  describe: ({ target: { to } }) => `binding ${to}`,
});

function bind(
  { to, options }: Request,
  scheduler: Scheduler,
  onBound: (socket: UdpSocket) => void,
  onError: (error: Error) => void,
): End {
  const { capacity, lookup, ...others } = options;
  const reactor = networkOf(scheduler);
  const release = reactor.hold();
  let endBinding: (() => void) | null = null;
  let isOver = false;
  const finish = (): boolean => {
    if (isOver) return false;
    isOver = true;
    release();
    return true;
  };
  const fail = (error: Error): void => {
    if (finish()) onError(error);
  };
  const onResolved = (error: Error | null, found: Endpoint[]): void => {
    if (isOver) return;
    if (error !== null) {
      fail(error);
      return;
    }
    endBinding = reactor.bind(found[0]!, others, {
      onBound: (socket) => {
        if (finish()) onBound(new UdpSocket(socket, reactor, capacity, lookup));
      },
      onBindError: fail,
    });
  };
  // In nobody's context: what comes to the socket is not the concern of the one who has bound it.
  reactor.resolve(to, (error, found) => outside(onResolved, error, found), lookup);
  return () => {
    if (finish()) endBinding?.();
  };
}
