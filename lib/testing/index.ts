/**
 * What tests of servers and clients need: a network in memory.
 *
 * @module skein/testing
 */

import { isIP } from 'node:net';
import { checkOptions, optionNames } from '../../scheduler/kernel/arguments.ts';
import { inWords } from '../../scheduler/kernel/errors.ts';
import { Machine } from '../reactor/simulated/machine.ts';
import { MemoryReactor } from '../reactor/simulated/reactor.ts';

/** How to make a network in memory; all are optional. */
export interface MemoryNetworkOptions {
  /** What names stand for, beside `localhost`: an address or several. Other names are not found. */
  readonly names?: Readonly<Record<string, string | readonly string[]>> | undefined;
}

/** A network, for the option `network` of a `Scheduler`. */
export interface Network {
  /** `'memory'` */
  readonly name: string;
  /** Ends of connections that are open: a test may see that none is left. */
  readonly open: number;
}

const OPTIONS = optionNames<MemoryNetworkOptions>({ names: true });

/**
 * A network in memory, without ports of the system and without faults: a machine of its own, on which everything that
 * stands on sockets runs unchanged. With a `VirtualClock` an hour takes no time.
 *
 * All schedulers that are given the same network reach each other; nobody else does. The machine has every address that
 * somebody binds or dials, ports that nobody names are counted up from 49152, and paths of Unix sockets are plain names. What is
 * sent arrives whole, in order and at once, as far as the reader's window of 64 KiB has room. Waiting for what nobody
 * sends keeps no process alive: it is a `DeadlockError`.
 *
 * @throws TypeError for malformed options
 *
 * @example
 * ```ts
 * import { dial, listen, Scheduler, spawn, VirtualClock } from 'skein';
 * import { memoryNetwork } from 'skein/testing';
 *
 * const clock = new VirtualClock();
 * await new Scheduler({ clock, network: memoryNetwork() }).run(function* () {
 *   const acceptor = yield* listen(9981);
 *   spawn(function* () {
 *     const conn = yield* acceptor.accept();
 *     conn.idleTimeout = 3_600_000;
 *     yield* conn.read(); // a TimeoutError, an hour later
 *   }, { onError: (error) => console.log(String(error), clock.now()) });
 *   const conn = yield* dial(9981);
 *   console.log(yield* conn.read()); // null
 *   conn.close();
 *   acceptor.close();
 * });
 * ```
 */
export function memoryNetwork(options: MemoryNetworkOptions = {}): Network {
  checkOptions('memoryNetwork', options, OPTIONS);
  const names = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(options.names ?? {})) {
    const addresses: readonly unknown[] = Array.isArray(value) ? value : [value];
    const wrong = addresses.find((address) => typeof address !== 'string' || isIP(address) === 0);
    if (wrong !== undefined)
      throw new TypeError(`expected the name ${name} to stand for IP addresses, got ${inWords(wrong)}`);
    names.set(name.toLowerCase(), addresses as readonly string[]);
  }
  return new MemoryReactor(new Machine(names));
}
