// Notices peers that have vanished with bytes that they have not acknowledged. For one that owes nothing the kernel asks
// by itself (SO_KEEPALIVE); while something is unacknowledged it does not, but repeats that for a quarter of an hour and
// more. TCP_USER_TIMEOUT would bound it, and end a peer as well that is there, and has only not read for so long. So the
// kernel is asked, every now and then, about those to whom something was written: a peer that is gone leaves all that is
// repeated, and each question for room, without an answer.
// Invariants: nothing is done per message; a peer that has answered between two looks is not in doubt; looks are counted,
// and not the time, so that a blocked thread makes nobody older.

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
