// Notices peers that have vanished with bytes that they have not acknowledged. The kernel probes a connection that has
// nothing to send (SO_KEEPALIVE); while something is unacknowledged it only repeats that, for a quarter of an hour and more.
// TCP_USER_TIMEOUT would bound this, but would also end a peer that is there and does not read for as long. So we look, every
// two seconds, at those to whom something was written: a peer that has vanished answers neither what is repeated nor the
// question for room. Invariants: nothing is done per message; a peer that has answered between two looks is not in
// doubt; looks are counted, and not the time, so that a blocked thread makes nobody older.

import net from 'node:net';
import type { Duplex } from 'node:stream';
import { endianness } from 'node:os';
import { builtin } from './builtin.ts';

/** Milliseconds between two looks. */
const EVERY = 2_000;

/** Milliseconds by which a look may come too early, after the one before. */
const JITTER = 100;

/** Milliseconds from the first probe of the kernel to the last: ten, one a second. */
const PROBES = 10_000;

/** A connection, to the one who looks. */
export interface Debtor {
  /** Milliseconds of silence before the kernel asks; 0 for never. */
  readonly keepAlive: number;
  /**
   * Milliseconds without an acknowledgement, while the kernel repeats what it has for the peer; 0 if there is nothing that
   * it has to repeat. The kernel is asked only if something was written that the peer may not have.
   */
  silence(): number;
  /** Fails, as if the kernel had given it up (ETIMEDOUT). */
  expire(): void;
}

export class DeadPeers {
  readonly #all: () => Iterable<Debtor>;
  /** Looks in a row at which nothing was answered, of those in doubt. */
  #doubts = new Map<Debtor, number>();
  #timer: NodeJS.Timeout | null = null;

  /** `all` gives those there are. */
  constructor(all: () => Iterable<Debtor>) {
    this.#all = all;
  }

  /** There are some. */
  watch(): void {
    this.#timer ??= setInterval(() => this.#look(), EVERY).unref();
  }

  #look(): void {
    const doubts = new Map<Debtor, number>();
    const dead: Debtor[] = [];
    let isEmpty = true;
    for (const debtor of this.#all()) {
      isEmpty = false;
      if (debtor.keepAlive === 0) continue;
      const before = this.#doubts.get(debtor) ?? 0;
      // It may have answered meanwhile, and be silent again.
      const silence = debtor.silence();
      if (silence === 0 || silence < before * EVERY - JITTER) continue;
      const looks = before + 1;
      if (looks * EVERY < debtor.keepAlive + PROBES) doubts.set(debtor, looks);
      else dead.push(debtor);
    }
    this.#doubts = doubts;
    for (const debtor of dead) debtor.expire();
    if (!isEmpty) return;
    clearInterval(this.#timer!);
    this.#timer = null;
  }
}

/** Reading takes one part of so many of the time. */
const SHARE = 50;

/** Milliseconds after which the table is too old to be compared with. */
const OLDEST = 500;

/**
 * A line: the number, this side, the peer, the state, the bytes to be sent if there are any, those that have come, a timer,
 * how often something was repeated in vain, the user, how often was asked for room in vain.
 */
const LINE =
  /^ *\d+: ([\dA-F]+):([\dA-F]{4}) ([\dA-F]+):([\dA-F]{4}) [\dA-F]{2} (?!0{8})([\dA-F]{8}):[\dA-F]{8} [\dA-F]{2}:[\dA-F]{8} ([\dA-F]{8}) +\d+ +(\d+)/gm;

/** What is there for a peer. */
interface Debt {
  readonly size: number;
  /** It is repeated, and has not become less since the table was read before. */
  readonly isInVain: boolean;
}

/**
 * What the kernel holds for the peers of Node's sockets, by the two addresses: Linux lists all TCP sockets in a table
 * (proc(5)). Reading it costs as much as there are sockets. So only timers ask; reading takes at most a fiftieth of the time;
 * and only sockets that hold something are kept. It is never older than half a second, since a timer that looked twice at
 * the same table would take it for a peer that takes nothing. Null where there is no such table.
 */
let table: Map<string, Debt> | null = null;
let readAgainAt = -Infinity;

/** Bytes that the peer has not acknowledged; undefined if that cannot be known. */
export function queuedByTable(stream: Duplex): number | undefined {
  if (!(stream instanceof net.Socket)) return undefined;
  const debt = debtOf(stream);
  return debt === undefined ? undefined : debt.size;
}

/** Infinity while the kernel repeats what it has for the peer in vain, 0 if it need not, -1 if it has nothing. */
export function silenceByTable(stream: net.Socket): number {
  const debt = debtOf(stream);
  if (debt === undefined || debt.size === 0) return -1;
  return debt.isInVain ? Infinity : 0;
}

const NOTHING: Debt = { size: 0, isInVain: false };

function debtOf(stream: net.Socket): Debt | undefined {
  if (stream.destroyed) return NOTHING;
  const { localAddress, localPort, remoteAddress, remotePort } = stream;
  if (localAddress === undefined || remoteAddress === undefined) return undefined;
  const begun = performance.now();
  if (begun >= readAgainAt) {
    table = readTable();
    const ended = performance.now();
    readAgainAt = ended + Math.min((ended - begun) * SHARE, OLDEST);
  }
  if (table === null) return undefined;
  return table.get(keyOf(localAddress, localPort!, remoteAddress, remotePort!)) ?? NOTHING;
}

function readTable(): Map<string, Debt> | null {
  if (process.platform !== 'linux') return null;
  const found = new Map<string, Debt>();
  try {
    readInto(found, '/proc/net/tcp');
  } catch {
    return null;
  }
  try {
    readInto(found, '/proc/net/tcp6');
  } catch {
    // There is no IPv6 here.
  }
  return found;
}

function readInto(found: Map<string, Debt>, file: string): void {
  for (const line of builtin('node:fs').readFileSync(file, 'latin1').matchAll(LINE)) {
    const [, here, port, there, peerPort, size, repeated, asked] = line;
    const key = keyOf(addressOf(here!), parseInt(port!, 16), addressOf(there!), parseInt(peerPort!, 16));
    const queued = parseInt(size!, 16);
    const isRepeated = parseInt(repeated!, 16) > 0 || Number(asked) > 0;
    found.set(key, { size: queued, isInVain: isRepeated && queued >= (table?.get(key)?.size ?? 0) });
  }
}

function keyOf(here: string, port: number, there: string, peerPort: number): string {
  return `${withoutZone(here)} ${port} ${withoutZone(there)} ${peerPort}`;
}

/** The table has no zones. */
function withoutZone(address: string): string {
  const end = address.indexOf('%');
  return end < 0 ? address : address.slice(0, end);
}

/** An address as Node writes it; in the table it is words of 32 bits in the order of this machine. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  if (bytes.byteLength === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new net.SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
