// What the subjects of the suite for byte streams have in common: a pair of connected streams of their own, of
// which nothing must be left; and reading and writing with deadlines.

import { createCipheriv } from 'node:crypto';
import type { Test } from 'tap';
import {
  type Co,
  type Connection,
  dump,
  type Operation,
  pause,
  type Scheduler,
  sleep,
  timeout,
  TimeoutError,
} from '../../../lib/index.ts';
import { reactor } from './reactor.ts';
import { Random } from '../../../scheduler/kernel/random.ts';
import { defaultScheduler } from '../../../scheduler/kernel/scheduler.ts';
import { descriptors } from '../network/descriptors.ts';

/** Two ends of one stream. */
export interface StreamPair {
  readonly a: Connection;
  readonly b: Connection;
  /** Gives up what made them, such as a listener; they are closed by whoever uses them. */
  stop(): void;
}

/** A kind of stream. */
export interface Transport {
  readonly name: string;
  makePair(): Co<StreamPair>;
  /** What a reader may meet after the peer's `reset`: codes of errors, and 'end' if it may look like an end. */
  readonly afterReset: readonly string[];
  /** Where it is, if not on the network of the system. */
  readonly scheduler?: Scheduler;
  /** What of it is open there. */
  readonly open?: () => number;
}

/** What is tried of a stream. */
export type Subject = (t: Test, pair: StreamPair, random: Random, transport: Transport) => Co<void>;

/** Milliseconds for a subject, which no machine needs. */
const LONGEST = 30_000;

/** Milliseconds until nothing is left. Less than a lingering connection waits for a peer that does nothing. */
const CLEANING = 4_000;

/** Plays a subject with a pair of its own. */
export async function play(t: Test, transport: Transport, seed: number, subject: Subject): Promise<void> {
  const { scheduler = defaultScheduler, open = () => reactor.open } = transport;
  const before = open();
  // By name: meanwhile what has loaded the tests may close some of its own.
  const known = new Set(descriptors());
  const left = (): string[] => descriptors().filter((descriptor) => !known.has(descriptor));
  await scheduler.run(function* () {
    const pair = yield* transport.makePair();
    try {
      yield* timeout(LONGEST, () => subject(t, pair, new Random(seed), transport));
    } finally {
      // Those that were closed have to end by themselves.
      for (const end of [pair.a, pair.b]) if (!end.isClosed) end.reset();
      pair.stop();
    }
    // A stream in memory has no descriptor, but while it ends it has a timer.
    const isLeft = (): boolean => open() > before || left().length > 0 || scheduler.timers.live > 0;
    const since = performance.now();
    while (isLeft() && performance.now() - since < CLEANING) yield* sleep(2);
  });
  t.equal(open(), before, 'no stream is left');
  t.same(left(), [], 'no descriptor is left');
  t.equal(scheduler.timers.live, 0, 'no timer is left');
  t.same(dump(), [], 'no coroutine is left');
}

/** What a read gives; undefined if the deadline came first. */
export function* readWithin(
  ms: number,
  conn: Connection,
  read: (conn: Connection) => Co<Buffer | null> | Operation<Buffer | null> = () => conn.read(),
): Co<Buffer | null | undefined> {
  try {
    return yield* timeout(ms, () => read(conn));
  } catch (error) {
    if (error instanceof TimeoutError) return undefined;
    throw error;
  }
}

/** As `read`, by way of a buffer of one's own. */
export function* readCopy(conn: Connection): Co<Buffer | null> {
  const buffer = Buffer.alloc(20_000);
  const size = yield* conn.readInto(buffer);
  return size === 0 ? null : buffer.subarray(0, size);
}

/** The bytes that were handed over, and whether the deadline cut the write off. */
export interface Written {
  readonly accepted: number;
  readonly isLate: boolean;
}

export function* writeWithin(ms: number, conn: Connection, parts: readonly Uint8Array[]): Co<Written> {
  let accepted = 0;
  try {
    yield* timeout(ms, function* () {
      try {
        yield* parts.length === 1 ? conn.write(parts[0]!) : conn.writeAll(parts);
      } catch (error) {
        accepted = acceptedOf(error);
        throw error;
      }
    });
  } catch (error) {
    if (error instanceof TimeoutError) return { accepted, isLate: true };
    throw error;
  }
  return { accepted: parts.reduce((sum, part) => sum + part.byteLength, 0), isLate: false };
}

/** How many bytes a write had handed over that failed. */
export function acceptedOf(error: unknown): number {
  return (error as { accepted?: number }).accepted ?? 0;
}

/** So many bytes, and not one more of those that come with them. */
export function* readExactly(conn: Connection, size: number): Co<Buffer> {
  const chunks: Buffer[] = [];
  let received = 0;
  while (received < size) {
    const chunk = yield* conn.read();
    if (chunk === null) throw new Error(`the stream ended after ${received} of ${size} bytes`);
    chunks.push(chunk);
    received += chunk.byteLength;
  }
  if (received > size) throw new Error(`expected ${size} bytes, got ${received}`);
  return Buffer.concat(chunks);
}

/** All up to the end. */
export function* readAll(conn: Connection): Co<Buffer> {
  const chunks: Buffer[] = [];
  for (let chunk; (chunk = yield* conn.read()) !== null;) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Waits for one's turn some times, or for a moment: chance decides. */
export function* dawdle(random: Random): Co<void> {
  if (random.below(2) === 0) yield* sleep(random.below(3));
  else yield* pause();
}

/** Bytes of chance, quickly: what a cipher makes of zeros. */
export function randomBytes(random: Random, size: number): Buffer {
  const key = Buffer.from(Array.from({ length: 16 }, () => random.below(256)));
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}
