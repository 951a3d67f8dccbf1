// The reactor over epoll, by the addon in native/. It owns the memory that both sides share, and knows whose
// each slot is. A batch of records is taken down whole before the first owner hears of it: owners run code that
// may close what the next record is about (N12).
//
//   addon ── deliver(count) ──► record, record, … ──► tell, tell, … ──► microtasks: coroutines ──► flush (addon)
//                                                                          write into `output` ────┘

import cluster from 'node:cluster';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { Buffer } from 'node:buffer';
import { constants } from 'node:os';
import { markAsUntransferable } from 'node:worker_threads';
import { attempt } from '../attempt.ts';
import {
  type Carrier,
  type ConnectOwner,
  type Endpoint,
  type Host,
  KEEP_ALIVE,
  type Listener,
  type ListenerOwner,
  type ListenOptions,
  type Reactor,
  type Socket,
} from '../contract.ts';
import { descriptorLimit, roomForSockets } from '../descriptors.ts';
import { bindDatagrams } from '../node/datagrams.ts';
import { NodeReactor } from '../node/reactor.ts';
import { resolve } from '../resolve.ts';
import { DeadPeers, type Debtor, queuedByTable, silenceByTable } from '../peers.ts';
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
import { EpollAttempt } from './attempt.ts';
import { EpollListener } from './listener.ts';
import { SharedOutput } from './shared-output.ts';
import { EpollSocket } from './socket.ts';

// `Buffer` as a global is a getter.

/** The highest number of descriptors that is provided for; what is not used takes no memory. */
const MOST_SLOTS = 1 << 20;
const RECORDS = 2_048;
const INPUT_SIZE = 262_144;
const ADDRESS_SIZE = 128;
/** A byte that somebody keeps keeps so many. A larger one would cost less time, a smaller one less memory. */
const POOL_SIZE = 16_384;

/** What makes a `Buffer` of memory that is there: `Buffer.from` does no more, but checks first what it was given. */
const View = (Buffer as unknown as { [Symbol.species]: ViewConstructor })[Symbol.species];
type ViewConstructor = new (memory: ArrayBuffer, offset: number, size: number) => Buffer;

const settled = Promise.resolve();

/** Whoever has a slot: hears of a batch in two steps. */
interface SlotOwner {
  readonly generation: number;
  record(result: number, offset: number): void;
  tell(): void;
}

export class EpollReactor implements Reactor {
  readonly name = 'epoll';
  host: Host | null = null;
  open = 0;
  readonly native: Native;
  readonly flags: Uint8Array;
  readonly header = new Int32Array(HEADER_LENGTH);
  readonly input = Buffer.from(new ArrayBuffer(INPUT_SIZE));
  readonly output = new SharedOutput(this.header, () => this.flushOutput());
  /** By slot. */
  readonly sockets: (SlotOwner | undefined)[] = [];
  readonly deadPeers = new DeadPeers(() => this.#debtors());
  /** What says that nothing is there, or that nothing more fits. */
  readonly again = constants.errno.EAGAIN;
  /** What small reads are views of. */
  #pool!: ArrayBuffer;
  readonly #records = new Int32Array(RECORDS * RECORD);
  readonly #address = Buffer.from(new ArrayBuffer(ADDRESS_SIZE));
  /** Those whose records this batch had. */
  readonly #recorded: (SlotOwner | null)[] = Array.from({ length: RECORDS }, () => null);
  /** Those who are told after this turn. */
  #later: SlotOwner[] = [];
  /** For what only Node can do: its streams, and the listeners that the workers of a cluster share. */
  readonly #portable = new NodeReactor(
    (stream) => this.#queued(stream),
    (stream) => this.#silence(stream),
  );
  /** Of those that were detached, for as long as Node has not closed them. */
  readonly descriptors = new WeakMap<Duplex, number>();

  constructor(addon: Addon) {
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

  listen(endpoint: Endpoint, options: ListenOptions, owner: ListenerOwner): Listener {
    // With `reusePort` the kernel shares the address among the workers, and node:net does not ask the primary either.
    if (!cluster.isWorker || options.reusePort === true)
      return new EpollListener(this, endpoint, options, owner);
    this.#portable.host = this.host;
    return this.#portable.listen(endpoint, options, owner);
  }

  connect(endpoint: Endpoint, owner: ConnectOwner): () => void {
    return attempt(this.#connect, endpoint, owner);
  }

  readonly #connect = (to: Endpoint, owner: ConnectOwner): (() => void) => {
    const connecting = new EpollAttempt(this, to, owner);
    return () => connecting.end();
  };

  readonly bind = bindDatagrams;

  resolve(...[to, onResolved, lookup]: Parameters<Reactor['resolve']>): void {
    resolve(to, onResolved, lookup);
  }

  room(): number {
    return roomForSockets();
  }

  adopt(stream: Duplex, carrier: Carrier): Socket {
    this.#portable.host = this.host;
    return this.#portable.adopt(stream, carrier);
  }

  hold(): () => void {
    this.addHold();
    return () => this.removeHold();
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

  flush(): void {
    this.flushOutput();
    this.#portable.flush();
  }

  /** Sends the shared output now; owners hear of it later. */
  flushOutput(): void {
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

  /** The connection that a listener has accepted. */
  accepted(listener: EpollListener, slot: number, local: Endpoint | null): Socket {
    const { generation } = this;
    const address = this.#address;
    const port = address.readUInt16BE(1);
    const remote = address[0] === 4 ? address.readUInt32BE(4) : this.leftAddress(listener.address.path);
    const here = local ?? this.addressOf(slot, generation, 0);
    return new EpollSocket(this, { listener, slot, generation, local: here, remote, remotePort: port });
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
    return { host, port: address.readUInt16BE(1), path: '' };
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

  *#debtors(): Generator<Debtor> {
    for (const owner of this.sockets) if (owner instanceof EpollSocket) yield owner;
  }

  #silence(stream: net.Socket): number {
    const descriptor = this.descriptors.get(stream);
    if (descriptor === undefined) return silenceByTable(stream);
    return stream.destroyed ? 0 : this.native.silence(descriptor);
  }

  #queued(stream: Duplex): number | undefined {
    const descriptor = this.descriptors.get(stream);
    if (descriptor === undefined) return queuedByTable(stream);
    return stream.destroyed ? 0 : Math.max(0, this.native.queued(descriptor));
  }

  #renewPool(): void {
    const pool = Buffer.allocUnsafeSlow(POOL_SIZE);
    // Whoever gave one read's memory away would give those of others away with it.
    markAsUntransferable(pool.buffer);
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
    const owner = this.sockets[records[at]!];
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
