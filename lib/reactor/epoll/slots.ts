// The memory that the epoll reactor and its addon share, and whose each slot is: what listeners, connections and attempts
// to connect know of the reactor. A batch of records is taken down whole before the first owner hears of it: owners run
// code that may close what the next record is about (N12).
//
//   addon ── deliver(count) ──► record, record, … ──► tell, tell, … ──► microtasks: coroutines ──► flush (addon)
//                                                                          write into `output` ────┘

import { Buffer } from 'node:buffer';
import { constants } from 'node:os';
import { builtin } from '../builtin.ts';
import { type Endpoint, type Host, KEEP_ALIVE } from '../contract.ts';
import { descriptorLimit } from '../descriptors.ts';
import { DeadPeers, type Debtor } from '../peers.ts';
import {
  type Addon,
  ENTRIES_USED,
  GENERATION,
  HEADER_LENGTH,
  HOLDS,
  IS_DELIVERING,
  MUST_DEFER,
  type Native,
  POOL_USED,
  RECORD,
} from './addon.ts';
import { SharedOutput } from './shared-output.ts';

// `Buffer` as a global is a getter.

/** The highest number of descriptors that is provided for; what is not used takes no memory. */
const MOST_SLOTS = 1 << 20;
const RECORDS = 2_048;
const INPUT_SIZE = 262_144;
const ADDRESS_SIZE = 128;
/** A byte that somebody keeps keeps so many. A larger one would cost less time, a smaller one less memory. */
const POOL_SIZE = 16_384;

/** What says that nothing is there, or that nothing more fits. */
export const AGAIN = -constants.errno.EAGAIN;

/** What makes a `Buffer` of memory that is there: `Buffer.from` does no more, but checks first what it was given. */
const View = (Buffer as unknown as { [Symbol.species]: ViewConstructor })[Symbol.species];
type ViewConstructor = new (memory: ArrayBuffer, offset: number, size: number) => Buffer;

const settled = Promise.resolve();

/** Whoever has a slot: hears of a batch in two steps. */
export interface SlotOwner {
  readonly generation: number;
  record(result: number, offset: number): void;
  tell(): void;
}

export class Slots {
  readonly native: Native;
  readonly flags: Uint8Array;
  readonly header = new Int32Array(HEADER_LENGTH);
  readonly input = Buffer.from(new ArrayBuffer(INPUT_SIZE));
  readonly output = new SharedOutput(this.header, () => this.flush());
  /** By slot. */
  readonly owners: (SlotOwner | undefined)[] = [];
  /** Hears of batches. */
  host: Host | null = null;
  /** Connections whose descriptor is open. */
  open = 0;
  /** Told that there are connections. */
  readonly deadPeers: DeadPeers;
  /** What small reads are views of. */
  #pool!: ArrayBuffer;
  readonly #records = new Int32Array(RECORDS * RECORD);
  readonly #address = Buffer.from(new ArrayBuffer(ADDRESS_SIZE));
  /** Those whose records this batch had. */
  readonly #recorded: (SlotOwner | null)[] = Array.from({ length: RECORDS }, () => null);
  /** Those who are told after this turn. */
  #later: SlotOwner[] = [];

  constructor(addon: Addon, debtors: () => Iterable<Debtor>) {
    this.deadPeers = new DeadPeers(debtors);
    this.flags = new Uint8Array(Math.min(MOST_SLOTS, descriptorLimit('hard')));
    this.native = addon.open(
      {
        flags: this.flags,
        header: this.header,
        records: this.#records,
        input: this.input,
        entries: this.output.entries,
        output: this.output.bytes,
        address: this.#address,
      },
      (count) => this.#deliver(count),
    );
    this.#renewPool();
  }

  /** Keeps the process alive until `removeHold`. */
  addHold(): void {
    const { header } = this;
    if (header[HOLDS]!++ === 0 && header[IS_DELIVERING] === 0) this.native.hold();
  }

  removeHold(): void {
    const { header } = this;
    if (--header[HOLDS]! === 0 && header[IS_DELIVERING] === 0) this.native.hold();
  }

  /** Which of those that have borne its number the slot is that the addon has given last. */
  get generation(): number {
    return this.header[GENERATION]!;
  }

  /** Sends the shared output now; owners hear of it later. */
  flush(): void {
    if (this.header[ENTRIES_USED] === 0) return;
    const count = this.native.flush();
    for (let index = 0; index < count; index++) {
      const owner = this.#record(index);
      if (owner !== undefined) this.tellLater(owner);
    }
  }

  tellLater(owner: SlotOwner): void {
    if (this.#later.push(owner) === 1) void settled.then(this.#tellAll);
  }

  /**
   * Bytes that were read, as a buffer that shares its memory with few others: a parked frame's data must not keep
   * the whole input alive (N14).
   */
  takeInput(offset: number, size: number): Buffer {
    if (offset < 0) return new View(this.#pool, ~offset, size);
    const buffer = Buffer.allocUnsafe(size);
    buffer.set(this.input.subarray(offset, offset + size));
    return buffer;
  }

  /** This side's address, or the peer's; without a host if there is none. */
  addressOf(slot: number, generation: number, isPeer: 0 | 1): Endpoint {
    if (this.native.address(slot, generation, isPeer) < 0) return { host: '', port: 0, path: '' };
    return this.leftAddress('');
  }

  /** The address that the last call has left. */
  leftAddress(path: string): Endpoint {
    const address = this.#address;
    const family = address[0]!;
    if (family === 1) return { host: '', port: 0, path };
    const text = address.subarray(4, 4 + address[3]!);
    const host = family === 4 ? text.join('.') : text.toString('latin1');
    return { host, port: this.leftPort, path: '' };
  }

  get leftPort(): number {
    return this.#address.readUInt16BE(1);
  }

  /** The same address as a number if it is of IPv4, which saves its text. */
  leftHost(path: string): Endpoint | number {
    return this.#address[0] === 4 ? this.#address.readUInt32BE(4) : this.leftAddress(path);
  }

  /** What a TCP socket is born with. */
  setDefaults(slot: number, generation: number): void {
    this.native.setNoDelay(slot, generation, 1);
    this.setKeepAlive(slot, generation, KEEP_ALIVE);
  }

  setKeepAlive(slot: number, generation: number, delay: number): void {
    // The kernel counts whole seconds.
    const seconds = delay > 0 ? Math.max(1, Math.round(Math.min(delay, 2 ** 31) / 1000)) : 0;
    this.native.setKeepAlive(slot, generation, seconds);
  }

  #renewPool(): void {
    const pool = Buffer.allocUnsafeSlow(POOL_SIZE);
    // Whoever gave one read's memory away would give those of others away with it.
    builtin('node:worker_threads').markAsUntransferable(pool.buffer);
    // Kept for itself: a view's `buffer` is a getter that costs as much as a view.
    this.#pool = pool.buffer as ArrayBuffer;
    this.native.pool(pool);
  }

  #deliver(count: number): void {
    const recorded = this.#recorded;
    let told = 0;
    for (let index = 0; index < count; index++) {
      const owner = this.#record(index);
      if (owner !== undefined) recorded[told++] = owner;
    }
    // Those of the next batch, too, should find room in it.
    if (this.header[POOL_USED]! * 2 > POOL_SIZE) this.#renewPool();
    if (this.header[MUST_DEFER] !== 0) {
      const deferred = recorded.slice(0, told) as SlotOwner[];
      setImmediate(() => {
        for (const owner of deferred) tell(owner);
      });
      return;
    }
    this.host?.beginBatch();
    for (let index = 0; index < told; index++) {
      const owner = recorded[index]!;
      recorded[index] = null;
      tell(owner);
    }
    this.host?.endBatch();
  }

  /** Takes a record down; its owner, unless that is gone. */
  #record(index: number): SlotOwner | undefined {
    const records = this.#records;
    const at = index * RECORD;
    const owner = this.owners[records[at]!];
    if (owner === undefined || owner.generation !== records[at + 1]) return undefined;
    owner.record(records[at + 2]!, records[at + 3]!);
    return owner;
  }

  readonly #tellAll = (): void => {
    const later = this.#later;
    this.#later = [];
    for (const owner of later) tell(owner);
  };
}

/** Whatever comes of it, the others of its batch are told as well. */
function tell(owner: SlotOwner): void {
  try {
    owner.tell();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}
