// Subjects of the suite for byte streams in which time is up: before, while or after something waits.

import { createHash } from 'node:crypto';
import {
  all,
  CancelledError,
  type Co,
  type Connection,
  pause,
  sleep,
  spawn,
  TimeoutError,
  timeout,
} from '../../lib/index.ts';
import { failure } from '../support/connection/pair.ts';
import {
  acceptedOf,
  randomBytes,
  readAll,
  readExactly,
  readWithin,
  type Subject,
  writeWithin,
} from '../support/connection/streams.ts';

/** More than any transport holds while nobody reads: one that took so much would hold it in memory. */
const TOO_MUCH = 128 * 2 ** 20;

export const readTimeout: Subject = function* (t, { a, b }, random) {
  for (const read of [() => a.read(), () => a.readInto(Buffer.alloc(10))]) {
    t.ok((yield* failure(() => timeout<unknown>(10, read))) instanceof TimeoutError);
  }
  yield* b.write('works');
  t.equal(String(yield* readExactly(a, 5)), 'works');

  // Bytes and deadlines come at the same time.
  const data = randomBytes(random, 50_000);
  spawn(function* () {
    for (let at = 0; at < data.byteLength;) {
      const size = 1 + random.below(500);
      yield* b.write(data.subarray(at, at + size));
      at += size;
      yield* sleep(random.below(3));
    }
    yield* b.end();
  });
  const taken: Buffer[] = [];
  let late = 0;
  for (;;) {
    const chunk = yield* readWithin(random.below(3), a);
    if (chunk === null) break;
    if (chunk === undefined) late++;
    else taken.push(chunk);
  }
  t.ok(late > 0, `${late} reads were late`);
  t.ok(Buffer.concat(taken).equals(data));
};

export const idleRead: Subject = function* (t, { a, b }) {
  const ms = 40;
  a.idleTimeout = ms;
  const sent: number[] = [];
  spawn(
    function* () {
      for (let count = 0; count < 5; count++) {
        sent.push(performance.now());
        yield* b.write('x');
        yield* sleep(ms / 2);
      }
    },
    // On a machine that stands still, it is too late.
    { onError() {} },
  );
  const error = yield* failure(() => readAll(a));
  t.ok(error instanceof TimeoutError, String(error));
  t.ok(performance.now() - sent[a.bytesRead - 1]! >= ms, 'each byte puts it off');
  t.ok(a.isClosed);
  t.equal(yield* b.read(), null, 'the peer sees an end');
  b.close();
};

export const writeTimeout: Subject = function* (t, { a, b }, random) {
  const expected = createHash('sha256');
  let size = 0;
  const seen = { whole: 0, nothing: 0 };
  for (let late = 0; late < 6 && size < TOO_MUCH;) {
    // Large ones are borrowed, small ones copied.
    const bytes = randomBytes(random, late % 2 === 0 ? 300_000 : 1_000);
    const copy = Buffer.from(bytes);
    const { accepted, isLate } = yield* writeWithin(20, a, [bytes]);
    bytes.fill(0xff);
    t.ok(accepted === 0 || accepted === bytes.byteLength, `${accepted} of ${bytes.byteLength} were accepted`);
    if (accepted > 0) expected.update(copy);
    size += accepted;
    if (!isLate) continue;
    late++;
    seen[accepted > 0 ? 'whole' : 'nothing']++;
  }
  t.ok(seen.whole > 0, 'one was cut off after it was handed over');
  t.ok(seen.nothing > 0, 'one was cut off while it waited its turn');
  const reading = spawn(() => readAll(b));
  yield* a.write('works');
  expected.update('works');
  yield* a.end();
  const received = yield* reading.join();
  t.equal(received.byteLength, size + 5);
  t.equal(createHash('sha256').update(received).digest('hex'), expected.digest('hex'));
};

export const idleWrite: Subject = function* (t, { a, b }, _random, { afterReset }) {
  a.idleTimeout = 50;
  const error = yield* failure(() => fill(a));
  t.ok(error instanceof TimeoutError, String(error));
  t.ok(a.isClosed);
  t.ok((yield* failure(() => a.write('x'))) instanceof TimeoutError);
  let outcome = 'end';
  try {
    yield* readAll(b);
  } catch (reset) {
    outcome = (reset as NodeJS.ErrnoException).code ?? String(reset);
  }
  t.ok(afterReset.includes(outcome), `the peer meets ${outcome}`);
  b.close();
};

/** Writes until it waits, and for ever. */
function* fill(conn: Connection): Co<number> {
  const piece = Buffer.alloc(300_000, 'f');
  for (let size = 0; size < TOO_MUCH; size += piece.byteLength) yield* conn.write(piece);
  throw new Error(`${TOO_MUCH} bytes were taken although nobody read`);
}

export const pastTimeout: Subject = function* (t, { a, b }) {
  let hasRun = false;
  spawn(function* () {
    hasRun = true;
    yield* pause();
  });
  const operations = {
    read: () => a.read(),
    readInto: () => a.readInto(Buffer.alloc(1)),
    write: () => a.write('never'),
    writeAll: () => a.writeAll(['not', 'either']),
    flush: () => a.flush(),
    end: () => a.end(),
  };
  for (const [name, operation] of Object.entries(operations)) {
    for (const ms of [0, -1]) {
      const error = yield* failure(() => timeout<unknown>(ms, operation));
      t.ok(error instanceof TimeoutError, name);
      t.notOk('accepted' in error, 'nothing was handed over');
    }
  }
  t.notOk(hasRun, 'nobody had a turn meanwhile');
  yield* b.write('there');
  yield* sleep(20);
  t.equal(yield* readWithin(0, a), undefined, 'although something is there');
  t.equal(String(yield* readExactly(a, 5)), 'there');
  yield* a.write('done');
  t.equal(String(yield* readExactly(b, 4)), 'done', 'nothing came before it');
};

export const presentTimeout: Subject = function* (t, { a, b }) {
  const reader = spawn(() => readExactly(a, 6));
  const seen = { accepted: 0 };
  const writer = spawn(() => fillAndTell(a, seen));
  // Until the writer waits, whatever the transport holds.
  for (let before = -1; before < a.bytesWritten || writer.state !== 'suspended';) {
    before = a.bytesWritten;
    yield* sleep(20);
  }
  reader.cancel('enough');
  writer.cancel('enough');
  for (const user of [reader, writer]) {
    const error = yield* failure(() => user.join());
    t.ok(error instanceof CancelledError);
    t.equal(error.cause, 'enough');
  }
  const reading = spawn(() => readAll(b));
  yield* b.write('answer');
  t.equal(String(yield* readExactly(a, 6)), 'answer');
  yield* a.end();
  const received = yield* reading.join();
  t.equal(received.byteLength, seen.accepted);
  t.ok(received.equals(Buffer.alloc(seen.accepted, 'f')));
};

export const futureTimeout: Subject = function* (t, { a, b }) {
  const ms = 60;
  const seen = { accepted: 0 };
  const since = performance.now();
  const together = yield* failure(() => timeout(ms, () => all([() => a.read(), () => fillAndTell(a, seen)])));
  t.ok(together instanceof TimeoutError);
  const alone = performance.now();
  t.ok(alone - since >= ms, 'not early');
  t.equal(yield* readWithin(ms, a), undefined);
  t.ok(performance.now() - alone >= ms, 'not early');
  const reading = spawn(() => readAll(b));
  yield* a.write('more');
  yield* a.end();
  const received = yield* reading.join();
  t.equal(received.byteLength, seen.accepted + 4);
  t.equal(String(received.subarray(-4)), 'more');
  yield* b.write('answer');
  t.equal(String(yield* readExactly(a, 6)), 'answer');
};

/** Writes until it is cut off, and notes how many bytes were handed over. */
function* fillAndTell(conn: Connection, seen: { accepted: number }): Co<never> {
  const piece = Buffer.alloc(300_000, 'f');
  try {
    for (;;) {
      yield* conn.write(piece);
      seen.accepted += piece.byteLength;
    }
  } catch (error) {
    seen.accepted += acceptedOf(error);
    throw error;
  }
}
