// The addon without lib/ around it, for tests of its own checks.

import type net from 'node:net';
import t from 'tap';
import { descriptorLimit } from '../../../lib/reactor/descriptors.ts';
import {
  type Addon,
  ENTRIES_USED,
  ENTRY,
  GENERATION,
  HEADER_LENGTH,
  loadAddon,
  type Native,
  RECORD,
} from '../../../lib/reactor/epoll/addon.ts';
import { connect, until } from './peers.ts';

export const SLOTS = Math.min(4_096, descriptorLimit('hard'));
export const ENTRIES = 64;
export const INPUT_SIZE = 65_536;

/** Runs tests that need the addon, if there is one. */
export function withAddon(test: (addon: Addon) => void): void {
  let addon: Addon | undefined;
  try {
    addon = loadAddon();
  } catch (error) {
    t.comment(String(error));
  }
  if (addon === undefined) t.comment('the addon was not built, or this is not Linux');
  else test(addon);
}

/** A reactor's memory, and what the addon has said through it. */
export class Bare {
  readonly shared = arrays();
  readonly native: Native;
  /** Each record as slot, generation, result, offset. */
  readonly said: [slot: number, generation: number, result: number, offset: number][] = [];

  constructor(loaded: Addon) {
    this.native = loaded.open(this.shared, (count) => {
      for (let at = 0; at < count * RECORD; at += RECORD) {
        this.said.push([...this.shared.records.subarray(at, at + RECORD)] as never);
      }
    });
  }

  get generation(): number {
    return this.shared.header[GENERATION]!;
  }

  /** Listens on a port of its own. */
  listen(): { slot: number; generation: number; port: number } {
    const slot = this.native.listen('127.0.0.1', 0, 16, 0);
    return { slot, generation: this.generation, port: this.shared.address.readUInt16BE(1) };
  }

  /** An accepted connection and its peer. */
  async pair(on: {
    slot: number;
    generation: number;
    port: number;
  }): Promise<{ slot: number; generation: number; peer: net.Socket }> {
    const peer = await connect({ port: on.port });
    let slot = -1;
    await until(() => (slot = this.native.accept(on.slot, on.generation)) >= 0, 'a connection');
    return { slot, generation: this.generation, peer };
  }

  /** Puts an entry down as it stands. */
  entry(index: number, ...numbers: [number, number, number, number, number]): void {
    this.shared.entries.set(numbers, index * ENTRY);
  }

  flush(entries: number): number {
    this.shared.header[ENTRIES_USED] = entries;
    return this.native.flush();
  }
}

// Each array has memory of its own, so that a sanitizer sees what lies beyond its end.
export function arrays() {
  return {
    flags: new Uint8Array(SLOTS),
    header: new Int32Array(HEADER_LENGTH),
    records: new Int32Array(ENTRIES * RECORD),
    input: Buffer.from(new ArrayBuffer(INPUT_SIZE)),
    entries: new Int32Array(ENTRIES * ENTRY),
    output: Buffer.from(new ArrayBuffer(4_096)),
    address: Buffer.from(new ArrayBuffer(128)),
  };
}

export type Call = (...args: unknown[]) => unknown;

/** How each call that names a slot is called after slot and generation, by its name. */
export const ofSlot: Readonly<Record<string, readonly unknown[]>> = {
  accept: [],
  read: [new Uint8Array(8), 0, 8],
  send: [new Uint8Array(8), 0, 8],
  shutdown: [],
  detach: [],
  setNoDelay: [1],
  setKeepAlive: [15],
  address: [0],
  close: [0],
};

/** How the others are called. */
export const others: Readonly<Record<string, readonly unknown[]>> = {
  listen: ['127.0.0.1', 0, 16, 0],
  connect: ['127.0.0.1', 1],
  queued: [0],
  silence: [0],
  pool: [new Uint8Array(64)],
};
