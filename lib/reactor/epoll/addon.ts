// The addon (native/skein.c) as TypeScript sees it: its calls, and the names of the numbers that both sides
// write into the arrays they share. Which is loaded: the one that was built here, else the one for this
// platform that came with the package.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

// Flags of a slot.
export const READABLE = 1;
export const WANTED = 2;
export const LARGE = 4;
export const SENT_WANTED = 32;

// Results in a record that are no count of bytes and no negated errno.
export const SAYS_READABLE = -10001;
export const SAYS_WRITABLE = -10002;
export const SAYS_CONNECTED = -10003;
export const SAYS_SENT = -10004;
export const SAYS_BLOCKED = -10005;
export const SAYS_FAILED = -10006;

// Places in `header`.
export const ENTRIES_USED = 0;
export const OUTPUT_USED = 1;
export const FLUSHES = 2;
export const IS_DELIVERING = 3;
export const POOL_USED = 4;
export const HOLDS = 5;
export const GENERATION = 6;
export const MUST_DEFER = 7;
export const HEADER_LENGTH = 8;

/** Numbers in a record: slot, generation, result, offset. */
export const RECORD = 4;
/** Numbers in an entry: slot (inverted if it is not the first of its slot), generation, offset, length, next. */
export const ENTRY = 5;

// Options of `listen`.
export const IPV6_ONLY = 1;
export const REUSE_PORT = 2;

/** The memory that both sides share; native/skein.c says what is in it. */
export interface Shared {
  readonly flags: Uint8Array;
  readonly header: Int32Array;
  readonly records: Int32Array;
  readonly input: Buffer;
  readonly entries: Int32Array;
  readonly output: Buffer;
  readonly address: Buffer;
}

/** Each call gives a count or a slot, or a negated errno: EBADF for a slot that was closed. */
export interface Native {
  /** A path has the port -1. Leaves the address that it is bound to. */
  listen(host: string, port: number, backlog: number, options: number): number;
  /** Leaves the peer's address. */
  accept(slot: number, generation: number): number;
  connect(host: string, port: number): number;
  read(slot: number, generation: number, buffer: Uint8Array, offset: number, length: number): number;
  send(slot: number, generation: number, buffer: Uint8Array, offset: number, length: number): number;
  /** Sends what `output` holds; gives the number of records that this has left. */
  flush(): number;
  shutdown(slot: number, generation: number): number;
  close(slot: number, generation: number, isReset: 0 | 1): number;
  /** Lets go of a connection; its descriptor is the caller's. */
  detach(slot: number, generation: number): number;
  setNoDelay(slot: number, generation: number, isOn: 0 | 1): number;
  setKeepAlive(slot: number, generation: number, seconds: number): number;
  /** Leaves this side's or the peer's address. */
  address(slot: number, generation: number, isPeer: 0 | 1): number;
  /** Bytes that the kernel holds for the peer, on any descriptor. */
  queued(descriptor: number): number;
  /** Milliseconds without an acknowledgement while the kernel repeats what it has; 0 if it need not, less if it has nothing. */
  silence(descriptor: number): number;
  /** Where reads of few bytes go from now on; their records have an inverted offset in it. */
  pool(bytes: Uint8Array): void;
  /** Keeps the process alive, or lets it end, as `header[HOLDS]` says. */
  hold(): void;
}

export interface Addon {
  /** Calls `deliver` with the number of records; what it was given keeps living as long as the thread. */
  open(shared: Shared, deliver: (count: number) => void): Native;
}

/** @throws Error if there is none for this platform */
export function loadAddon(): Addon {
  const { bun, deno } = process.versions;
  // They have Node-API, but not the loop of libuv that the addon stands in.
  if (bun !== undefined || deno !== undefined) throw new Error('the addon needs Node, not Bun or Deno');
  const require = createRequire(import.meta.url);
  const load = require('node-gyp-build') as (folder: string) => Partial<Addon>;
  const addon = load(join(dirname(require.resolve('skein/package.json')), 'native'));
  if (addon.open === undefined) throw new Error(`the addon does not support ${process.platform}`);
  return addon as Addon;
}
