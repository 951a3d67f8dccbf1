// What the sockets over Node's streams have in common: they gather what a turn writes, keep the process alive while
// somebody waits for them, and say when a batch of events begins and ends. The portable reactor is one; the epoll reactor has
// one for what only Node can do, such as TLS.

import type net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Host } from '../contract.ts';
import { DeadPeers, type Debtor, queuedByTable, silenceByTable } from '../peers.ts';

/** A socket, to those who tell it of the end of its turn. */
interface Written {
  flushTurn(): void;
}

/** A timer's longest delay; it only stands for the waiting. */
const FOREVER = 2_147_483_647;

/**
 * Keeps the process alive while somebody waits for a socket. The sockets themselves never do (R8), so a process in which all
 * wait for nothing ends instead of hanging.
 */
class Holds {
  #count = 0;
  #timer: NodeJS.Timeout | null = null;

  add(): void {
    if (this.#count++ > 0) return;
    if (this.#timer === null) this.#timer = setInterval(() => {}, FOREVER);
    else this.#timer.ref();
  }

  remove(): void {
    if (--this.#count === 0) this.#timer?.unref();
  }
}

const settled = Promise.resolve();

export class StreamHost {
  host: Host | null = null;
  readonly holds = new Holds();
  /** Written to in this turn. */
  #dirty: Written[] = [];
  #isTelling = false;
  /** Bytes that the kernel holds for the peer of one of Node's sockets; undefined if it cannot be asked (R15). */
  readonly queued: (stream: Duplex) => number | undefined;

  /** Milliseconds in which the kernel repeats what it has, in vain; 0 if it need not, less if it has nothing. */
  readonly silence: (stream: net.Socket) => number;
  /** Those over TCP. */
  readonly debtors = new Set<Debtor>();
  readonly deadPeers = new DeadPeers(() => this.debtors);

  constructor(queued = queuedByTable, silence = silenceByTable) {
    this.queued = queued;
    this.silence = silence;
  }

  hold(): () => void {
    this.holds.add();
    return () => this.holds.remove();
  }

  /** Calls `socket.flushTurn()` at the end of the turn. */
  flushLater(socket: Written): void {
    if (this.#dirty.push(socket) === 1 && !this.#isTelling) void settled.then(this.#flushAll);
  }

  beginBatch(): void {
    this.#isTelling = true;
    this.host?.beginBatch();
  }

  endBatch(): void {
    this.host?.endBatch();
    this.#isTelling = false;
    this.flush();
  }

  flush(): void {
    if (this.#dirty.length > 0) this.#flushAll();
  }

  readonly #flushAll = (): void => {
    const dirty = this.#dirty;
    // Mostly there is one, and its list serves again.
    if (dirty.length === 1) {
      const socket = dirty.pop()!;
      socket.flushTurn();
      return;
    }
    this.#dirty = [];
    for (const socket of dirty) socket.flushTurn();
  };
}
