// How much a peer takes, for timers that must tell a slow reader from one that is gone: that the kernel has taken the
// bytes says nothing of the peer. A look is a system call, and compares with the look before. So it costs nothing until
// a timer is about to give a connection up, and is not for anything that happens per message.

import type { Socket } from './reactor/contract.ts';

/** What it looks at: the socket of an output, which is another one once TLS has begun. */
export interface Taken {
  readonly socket: Pick<Socket, 'unacknowledged' | 'written' | 'sent'>;
}

export class Uptake {
  readonly #output: Taken;
  /** What the peer had taken at the last look; undefined before the first. */
  #taken: number | undefined;
  #left = 0;
  #isTold = true;

  constructor(output: Taken) {
    this.#output = output;
  }

  /** Looks: gives the bytes that the peer has taken since the last look, 0 the first time. */
  look(): number {
    const { socket } = this.#output;
    const unacknowledged = socket.unacknowledged();
    this.#isTold = unacknowledged !== undefined;
    this.#left = unacknowledged ?? socket.written - socket.sent;
    const taken = socket.written - this.#left;
    const more = Math.max(0, taken - (this.#taken ?? taken));
    this.#taken = taken;
    return more;
  }

  /**
   * Looks: whether a peer that was silent for the whole of a timeout should have it once more, since it has taken some of
   * what was left at the last look. Something may have been taken before the first look: there it is enough that something
   * is left.
   */
  isTaking(): boolean {
    const isFirst = this.#taken === undefined;
    const leftBefore = this.#left;
    const more = this.look();
    return isFirst ? this.#left > 0 : more > 0 && (leftBefore > 0 || this.#left > 0);
  }

  /** Bytes that the peer had not taken at the last look. */
  get left(): number {
    return this.#left;
  }

  /** Whether the system tells what the peer takes. If it does not, all that is known is what the kernel has taken. */
  get isTold(): boolean {
    return this.#isTold;
  }
}
