// The machine that a network in memory is: who listens where, which ports are taken, what names stand for. It has every
// address that somebody binds or dials. Invariants: a port is taken as on Linux, where a wildcard and an address of its
// family exclude each other; ports that nobody has named are counted up, so each run has the same ones.

import { constants } from 'node:os';
import { isIPv4, isIPv6 } from 'node:net';
import type { Endpoint, Reactor } from '../contract.ts';
import { systemError } from '../system-error.ts';
import { Deliveries } from './deliveries.ts';
import type { MemorySocket } from './socket.ts';

/** The ports that systems choose from (RFC 6335, section 6). */
const FIRST_PORT = 49_152;
const LAST_PORT = 65_535;

/** Who is bound to an address. */
interface Bound {
  readonly address: Endpoint;
  /** Others who say so as well may be bound to it, too. */
  readonly isShared: boolean;
  /** Bound to `::`, and to IPv6 alone. */
  readonly ipv6Only: boolean;
}

/** An attempt to connect, which begins anew when there may be room. */
export interface Attempt {
  begin(): void;
}

/** Somebody who listens. */
export interface Listening extends Bound {
  /** Puts an end into the queue; false if that is full, and the attempt waits for room. */
  admit(socket: MemorySocket, attempt: Attempt): boolean;
  forget(attempt: Attempt): void;
}

/** Somebody who receives datagrams. */
export interface Receiving extends Bound {
  arrive(data: Buffer, host: string, port: number): void;
}

/** A reactor on a machine. */
export interface Site extends Pick<Reactor, 'resolve'> {
  readonly machine: Machine;
  open: number;
}

export class Machine {
  readonly deliveries = new Deliveries();
  readonly listeners = new Bindings<Listening>('listen');
  readonly datagrams = new Bindings<Receiving>('bind');
  readonly #names: ReadonlyMap<string, readonly string[]>;
  #lastPort = FIRST_PORT - 1;

  constructor(names: ReadonlyMap<string, readonly string[]>) {
    this.#names = names;
  }

  /** What a name stands for; undefined for one that nobody knows. */
  addressesOf(name: string): readonly string[] | undefined {
    const known = this.#names.get(name.toLowerCase());
    return known ?? (/(?:^|\.)localhost$/i.test(name) ? ['127.0.0.1'] : undefined);
  }

  /** A port that nobody has. */
  choosePort(): number {
    for (let tries = 0; tries <= LAST_PORT - FIRST_PORT; tries++) {
      this.#lastPort = this.#lastPort === LAST_PORT ? FIRST_PORT : this.#lastPort + 1;
      if (!this.listeners.hasPort(this.#lastPort) && !this.datagrams.hasPort(this.#lastPort))
        return this.#lastPort;
    }
    throw systemError(constants.errno.EADDRINUSE, 'bind');
  }
}

export class Bindings<B extends Bound> {
  readonly #syscall: string;
  readonly #byPort = new Map<number, Set<B>>();
  readonly #byPath = new Map<string, B>();
  /** Files of Unix sockets that have stayed. */
  readonly #left = new Set<string>();
  #turn = 0;

  constructor(syscall: string) {
    this.#syscall = syscall;
  }

  hasPort(port: number): boolean {
    return this.#byPort.has(port);
  }

  hasFile(path: string): boolean {
    return this.#byPath.has(path) || this.#left.has(path);
  }

  /** @throws EADDRINUSE */
  add(one: B): void {
    const { address } = one;
    const { path, port } = address;
    const others = path === '' ? [...(this.#byPort.get(port) ?? [])] : [];
    const isTaken = path === '' ? others.some((other) => excludes(one, other)) : this.hasFile(path);
    if (isTaken) throw systemError(constants.errno.EADDRINUSE, this.#syscall, address);
    if (path !== '') this.#byPath.set(path, one);
    else this.#byPort.set(port, new Set(others).add(one));
  }

  delete(one: B, leavesFile = false): void {
    const { path, port } = one.address;
    if (path !== '') {
      if (this.#byPath.get(path) !== one) return;
      this.#byPath.delete(path);
      if (leavesFile) this.#left.add(path);
      return;
    }
    const all = this.#byPort.get(port);
    if (all?.delete(one) && all.size === 0) this.#byPort.delete(port);
  }

  /** Who gets what is sent to an address: those who name it come before wildcards, and those who share it take turns. */
  find({ host, port, path }: Endpoint): B | undefined {
    if (path !== '') return this.#byPath.get(path);
    const all = [...(this.#byPort.get(port) ?? [])].filter((bound) => reaches(bound, host));
    const named = all.filter((bound) => bound.address.host === host);
    const some = named.length > 0 ? named : all;
    return some[this.#turn++ % some.length];
  }

  /** All who are bound to a port of IPv4. */
  all(port: number): B[] {
    return [...(this.#byPort.get(port) ?? [])].filter(({ address: { host } }) => !isIPv6(host));
  }
}

/** Whether somebody who is bound hears what is sent to a host. */
function reaches({ address, ipv6Only }: Bound, host: string): boolean {
  if (address.host === host) return true;
  if (address.host === '0.0.0.0') return isIPv4(host);
  return address.host === '::' && (isIPv6(host) || !ipv6Only);
}

function excludes(one: Bound, other: Bound): boolean {
  if (one.isShared && other.isShared) return false;
  return reaches(one, other.address.host) || reaches(other, one.address.host);
}

/** The address that stands for a wildcard where somebody is to be reached. */
export function dialled(to: Endpoint): Endpoint {
  if (to.host === '0.0.0.0') return { ...to, host: '127.0.0.1' };
  return to.host === '::' ? { ...to, host: '::1' } : to;
}

/** A host as somebody sees it who is bound to `::`, where IPv4 is written in IPv6 (RFC 4291, section 2.5.5.2). */
export function seenFrom(bound: Endpoint, host: string): string {
  return bound.host === '::' && isIPv4(host) ? `::ffff:${host}` : host;
}

/** The host that one talks from who talks to this one. */
export function sourceFor(host: string): string {
  return host.startsWith('127.') ? '127.0.0.1' : host;
}

/** IPv4 as such, however it is written. */
export function plainHost(host: string): string {
  return host.startsWith('::ffff:') && isIPv4(host.slice(7)) ? host.slice(7) : host;
}
