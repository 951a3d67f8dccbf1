// Subjects of the suite for byte streams in which many bytes go both ways, or many coroutines use one stream.

import { createHash } from 'node:crypto';
import {
  BusyError,
  type Co,
  type Connection,
  Mutex,
  sleep,
  spawn,
  TimeoutError,
  timeout,
} from '../../lib/index.ts';
import type { Random } from '../../scheduler/kernel/random.ts';
import { failure } from '../support/connection/pair.ts';
import {
  dawdle,
  randomBytes,
  readAll,
  readCopy,
  readExactly,
  readWithin,
  type Subject,
  writeWithin,
} from '../support/connection/streams.ts';

const MIB = 2 ** 20;

export const basicIO: Subject = function* (t, { a, b }, random) {
  const data = randomBytes(random, 8 * MIB);
  spawn(function* echo() {
    for (let chunk; (chunk = yield* b.read()) !== null;) yield* b.write(chunk);
    yield* b.end();
  });
  spawn(function* send() {
    yield* writePieces(a, data, random);
    yield* a.end();
  });
  const hash = createHash('sha256');
  let size = 0;
  for (let chunk; (chunk = yield* random.below(2) === 0 ? a.read() : readCopy(a)) !== null;) {
    size += chunk.byteLength;
    hash.update(chunk);
  }
  t.equal(size, data.byteLength);
  t.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'));
  t.equal(yield* a.read(), null, 'the end stays the end');
  t.equal(yield* readCopy(a), null);
  t.equal(a.bytesRead, data.byteLength);
  t.equal(b.bytesRead, data.byteLength);
};

export const pingPong: Subject = function* (t, { a, b }) {
  const rounds = 2_000;
  const count = Buffer.alloc(8);
  spawn(function* () {
    for (let round = 0; round < rounds; round++) {
      const heard = (yield* readExactly(b, 8)).readBigUInt64BE();
      const answer = Buffer.alloc(8);
      answer.writeBigUInt64BE(heard + 1n);
      yield* b.write(answer);
    }
  });
  for (let round = 0; round < rounds; round++) {
    yield* a.write(count);
    const heard = yield* readExactly(a, 8);
    if (heard.readBigUInt64BE() !== count.readBigUInt64BE() + 1n)
      throw new Error(`got ${heard.toString('hex')}`);
    heard.copy(count);
  }
  t.equal(count.readBigUInt64BE(), BigInt(rounds));
};

export const racyRead: Subject = function* (t, { a, b }, random) {
  const first = spawn(() => readExactly(a, 1));
  yield* sleep(1);
  for (const read of [() => a.read(), () => a.readInto(Buffer.alloc(1))]) {
    t.ok((yield* failure(read)) instanceof BusyError);
  }
  t.throws(() => a.recv(() => t.fail('it was refused')), { code: 'ERR_BUSY' });
  yield* b.write('x');
  t.equal(String(yield* first.join()), 'x', 'the one who reads is not disturbed');

  const seen = { busy: 0, late: 0 };
  yield* readRacing(t, { a, b }, random, function* read() {
    try {
      const chunk = yield* readWithin(random.below(3), a, random.below(2) === 0 ? readCopy : undefined);
      if (chunk === undefined) seen.late++;
      return chunk;
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      seen.busy++;
      return undefined;
    }
  });
  t.ok(seen.busy > 0 && seen.late > 0, `${seen.busy} were busy, ${seen.late} were late`);
};

export const racyReadInTurn: Subject = function* (t, { a, b }, random) {
  const mutex = new Mutex();
  yield* readRacing(t, { a, b }, random, function* read() {
    const lock = yield* mutex.lock();
    try {
      return yield* readWithin(random.below(3), a, random.below(2) === 0 ? readCopy : undefined);
    } finally {
      lock.unlock();
    }
  });
};

/** Ten coroutines read until each meets the end, and must have it all. */
function* readRacing(
  t: Parameters<Subject>[0],
  { a, b }: { a: Connection; b: Connection },
  random: Random,
  read: () => Co<Buffer | null | undefined>,
): Co<void> {
  const data = randomBytes(random, 2 * MIB);
  const taken: Buffer[] = [];
  const readers = Array.from({ length: 10 }, () =>
    spawn(function* () {
      for (let chunk; (chunk = yield* read()) !== null;) {
        if (chunk !== undefined) taken.push(chunk);
        yield* dawdle(random);
      }
    }),
  );
  // The readers have nothing to read at first.
  yield* sleep(20);
  yield* writePieces(b, data, random);
  yield* b.end();
  for (const reader of readers) yield* reader.join();
  t.ok(Buffer.concat(taken).equals(data), 'no byte was lost or came twice');
  t.equal(yield* a.read(), null);
}

/** In pieces of chance, with breaks. */
function* writePieces(conn: Connection, data: Buffer, random: Random): Co<void> {
  for (let at = 0; at < data.byteLength;) {
    const size = 1 + random.below([100, 10_000, 300_000][random.below(3)]!);
    yield* conn.write(data.subarray(at, at + size));
    at += size;
    if (random.below(20) === 0) yield* dawdle(random);
  }
}

// A message is its writer, its number, its size and so many bytes of one value.
const HEAD = 12;

export const racyWrite: Subject = function* (t, { a, b }, random) {
  const writers = 8;
  const accepted: number[][] = Array.from({ length: writers }, () => []);
  const delivered: number[][] = Array.from({ length: writers }, () => []);
  let late = 0;
  const reading = spawn(function* () {
    // The peer is slow, so that there is something to be late for.
    yield* sleep(30);
    const chunks: Buffer[] = [];
    for (let chunk; (chunk = yield* b.read()) !== null;) {
      chunks.push(chunk);
      if (random.below(4) === 0) yield* sleep(1);
    }
    return Buffer.concat(chunks);
  });
  const writing = accepted.map((mine, writer) =>
    spawn(function* () {
      for (let number = 0; number < 40; number++) {
        const body = Buffer.alloc(
          random.below([100, 20_000, 200_000][random.below(3)]!),
          valueOf(writer, number),
        );
        const head = Buffer.alloc(HEAD);
        head.writeUInt32BE(writer, 0);
        head.writeUInt32BE(number, 4);
        head.writeUInt32BE(body.byteLength, 8);
        const whole = HEAD + body.byteLength;
        const parts = random.below(2) === 0 ? [head, body] : [Buffer.concat([head, body])];
        const result = yield* writeWithin([0, 1, 5, 10_000][random.below(4)]!, a, parts);
        if (result.isLate) late++;
        if (result.accepted === whole) mine.push(number);
        else if (result.accepted !== 0) throw new Error(`${result.accepted} of ${whole} bytes were accepted`);
        // The writer's buffers are its own again.
        for (const part of parts) part.fill(0xff);
      }
    }),
  );
  for (const writer of writing) yield* writer.join();
  yield* a.end();
  const received = yield* reading.join();
  for (let at = 0; at < received.byteLength;) {
    const [writer, number, size] = [0, 4, 8].map((offset) => received.readUInt32BE(at + offset)) as [
      number,
      number,
      number,
    ];
    const body = received.subarray(at + HEAD, at + HEAD + size);
    const isWhole = body.equals(Buffer.alloc(size, valueOf(writer, number)));
    if (!isWhole)
      throw new Error(`message ${number} of writer ${writer}, of ${size} bytes, is not as it was written`);
    delivered[writer]!.push(number);
    at += HEAD + size;
  }
  t.same(delivered, accepted, 'what was accepted has arrived, in the order of each writer, and nothing else');
  t.ok(late > 0, `${late} writes were late`);
};

function valueOf(writer: number, number: number): number {
  return (writer * 31 + number) % 251;
}

export const concurrentMethods: Subject = function* (t, { a, b }, random) {
  const written = new Map([
    [a, 0],
    [b, 0],
  ]);
  const received = new Map(written);
  const count = (counts: Map<Connection, number>, conn: Connection, bytes: number): void => {
    counts.set(conn, counts.get(conn)! + bytes);
  };
  const methods: readonly ((conn: Connection) => Co<unknown>)[] = [
    function* read(conn) {
      count(received, conn, (yield* readWithin(random.below(4), conn))?.byteLength ?? 0);
    },
    function* readInto(conn) {
      count(received, conn, yield* timeout(random.below(4), () => conn.readInto(Buffer.alloc(500))));
    },
    function* write(conn) {
      const parts = Array.from({ length: 1 + random.below(3) }, () => Buffer.alloc(random.below(1_000)));
      count(written, conn, (yield* writeWithin(random.below(4), conn, parts)).accepted);
    },
    function* flush(conn) {
      yield* timeout(random.below(4), () => conn.flush());
    },
    // eslint-disable-next-line require-yield
    function* callbacks(conn) {
      conn.send('sent', () => {});
      count(written, conn, 4);
      conn.recv(() => t.fail('it was taken back'))();
    },
    // eslint-disable-next-line require-yield
    function* properties(conn) {
      conn.idleTimeout = 20_000 + random.below(1_000);
      conn.keepAlive = random.below(2) * 10_000;
      conn.noDelay = random.below(2) === 0;
      return [conn.localAddress, conn.remoteAddress, conn.isClosed, conn.bytesRead, conn.bytesWritten];
    },
  ];
  const users = [a, b].flatMap((conn) =>
    Array.from({ length: 30 }, () =>
      spawn(function* () {
        for (let turn = 0; turn < 30; turn++) {
          try {
            yield* methods[random.below(methods.length)]!(conn);
          } catch (error) {
            if (!(error instanceof BusyError || error instanceof TimeoutError)) throw error;
          }
          yield* dawdle(random);
        }
      }),
    ),
  );
  for (const user of users) yield* user.join();
  for (const conn of [a, b]) spawn(() => conn.end());
  for (const [conn, peer] of [
    [a, b],
    [b, a],
  ] as const) {
    count(received, conn, (yield* readAll(conn)).byteLength);
    t.ok(written.get(peer)! > 0);
    t.equal(received.get(conn), written.get(peer), 'what one has written the other has read');
    t.equal(conn.bytesRead, received.get(conn));
  }
};
