import t from 'tap';
import {
  after,
  BusyError,
  type Co,
  type Connection,
  delimited,
  EventLoop,
  lengthPrefixed,
  LimitError,
  type Operation,
  pause,
  run,
  select,
  sleep,
  spawn,
  trySelect,
  UnexpectedEofError,
  wait,
} from '../../../../lib/index.ts';
import { failure, parked, withPair } from '../../../support/connection/pair.ts';
import { readAll, until } from '../../../support/connection/peers.ts';
import { scripted } from '../../../support/connection/scripted.ts';
import { virtually } from '../../../support/scheduler/virtual.ts';

/** The error of an operation. */
function* errorOf(operation: Operation<unknown>): Co<NodeJS.ErrnoException> {
  return yield* failure(() => operation as never);
}

/** All that is left until the end of the stream. */
function* rest(conn: Connection): Co<string> {
  const chunks: Buffer[] = [];
  for (let data; (data = yield* conn.read()) !== null;) chunks.push(data);
  return Buffer.concat(chunks).toString();
}

t.test('readLine gives lines without their ends, and null at a clean end', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.end('one\r\n\ntwo\r\r\nlone \r inside\n\r\n');
      const lines: string[] = [];
      for (let line; (line = yield* conn.readLine()) !== null;) lines.push(line);
      t.same(lines, ['one', '', 'two\r', 'lone \r inside', '']);
      t.equal(yield* conn.readLine(), null, 'and again');
      t.equal(conn.bytesRead, 28);
    }),
  ),
);

t.test('N5 an end in the middle of a line is an error, and its bytes are there for read', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.end('whole\nhalf');
      t.equal(yield* conn.readLine(), 'whole');
      for (let round = 0; round < 2; round++) {
        const error = yield* errorOf(conn.readLine());
        t.ok(error instanceof UnexpectedEofError);
        t.match(error, { code: 'ERR_UNEXPECTED_EOF', name: 'UnexpectedEofError', message: /after 4 bytes/ });
        t.match(error.stack, 'framing.test.ts', 'the stack is the user’s');
        t.notMatch(error.stack, 'lib/connection/framing.ts');
      }
      t.equal(yield* rest(conn), 'half');
    }),
  ),
);

t.test('N9 a line beyond the limit is an error, again at once, and its bytes are there for read', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.write('12345\r\n12345\n123456\r\nx\n');
      t.equal(yield* conn.readLine({ limit: 5 }), '12345', 'the end of the line does not count');
      t.equal(yield* conn.readLine({ limit: 5 }), '12345');
      for (let round = 0; round < 2; round++) {
        const error = yield* errorOf(conn.readLine({ limit: 5 }));
        t.ok(error instanceof LimitError);
        t.match(error, { code: 'ERR_LIMIT', message: 'expected a line of at most 5 bytes, got 6' });
        t.match(error.stack, 'framing.test.ts');
        t.throws(() => trySelect({ line: conn.readLine({ limit: 5 }) }), LimitError, 'without waiting');
      }
      t.equal(yield* conn.readLine({ limit: 6 }), '123456', 'with a higher limit it can be read');
      peer.end('1234567');
      t.equal(yield* conn.readLine({ limit: 1 }), 'x');
      t.match(yield* errorOf(conn.readLine({ limit: 5 })), { message: /got 7 without its end/ });
      t.equal(yield* rest(conn), '1234567');
    }),
  ),
);

t.test('the limit is the same however the bytes are cut', (t) =>
  run(function* () {
    for (const [text, expected] of [
      ['12345\r\n', '12345'],
      ['123456\n', 'ERR_LIMIT'],
      ['12345\r\r\n', 'ERR_LIMIT'],
      ['12345\rx\n', 'ERR_LIMIT'],
    ] as const) {
      for (let cut = 0; cut <= text.length; cut++) {
        const { conn, peer } = scripted();
        peer.feed(text.slice(0, cut));
        const reading = spawn(function* () {
          try {
            return yield* conn.readLine({ limit: 5 });
          } catch (error) {
            return (error as NodeJS.ErrnoException).code;
          }
        });
        yield* parked(reading);
        peer.feed(text.slice(cut));
        t.equal(yield* reading.join(), expected, `${JSON.stringify(text)} cut at ${cut}`);
      }
    }
  }),
);

t.test('a character of several bytes is whole wherever the stream was cut', (t) =>
  run(function* () {
    const text = 'aß€😀z';
    const bytes = Buffer.from(`${text}\n`);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { conn, peer } = scripted();
      const line = spawn(() => conn.readLine());
      yield* parked(line);
      peer.feed(bytes.subarray(0, cut));
      yield* sleep(0);
      peer.feed(bytes.subarray(cut));
      t.equal(yield* line.join(), text, `cut at ${cut}`);
    }
    const { conn, peer } = scripted();
    peer.feed(Buffer.from([0x61, 0xff, 0x0a]));
    t.equal(yield* conn.readLine(), 'a\ufffd', 'what is no text shows');
  }),
);

t.test('readUntil gives what comes with its delimiter, also one of several bytes that is cut', (t) =>
  run(function* () {
    const text = 'a--b-----END-';
    for (let cut = 0; cut <= text.length; cut++) {
      const { conn, peer } = scripted();
      const reading = spawn(function* () {
        const first = String(yield* conn.readUntil('--'));
        return [
          first,
          String(yield* conn.readUntil(Buffer.from('---END'))),
          yield* errorOf(conn.readUntil('#')),
        ];
      });
      yield* parked(reading);
      peer.feed(text.slice(0, cut));
      yield* sleep(0);
      peer.feed(text.slice(cut));
      peer.finish();
      const [first, second, error] = yield* reading.join();
      t.same([first, second], ['a--', 'b-----END'], `cut at ${cut}`);
      t.match(error, { code: 'ERR_UNEXPECTED_EOF', message: 'expected "#", the stream ended after 1 bytes' });
    }
    const { conn, peer } = scripted();
    peer.feed('12345--123456--');
    const limited = (): Operation<Buffer | null> => conn.readUntil('--', { limit: 5 });
    t.equal(String(yield* limited()), '12345--', 'the delimiter does not count');
    t.match(yield* errorOf(limited()), { code: 'ERR_LIMIT', message: /at most 5 bytes, got 6/ });
    t.equal(String(yield* conn.read()), '123456--');
    peer.feed('1234567');
    t.match(yield* errorOf(limited()), { code: 'ERR_LIMIT', message: /got 7 without its end/ });
    t.equal(String(yield* conn.read()), '1234567');
    peer.finish();
    t.equal(yield* limited(), null);
  }),
);

t.test('another delimiter is looked for from the beginning', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    peer.feed('one;two,three');
    t.equal(trySelect({ line: conn.readLine() }), undefined);
    t.equal(String(yield* conn.readUntil(',')), 'one;two,');
    conn.unread(Buffer.from('one;two,'));
    t.equal(trySelect({ line: conn.readLine() }), undefined);
    t.equal(String(yield* conn.readUntil(';')), 'one;');
    conn.unread(Buffer.from('zero\n'));
    t.equal(yield* conn.readLine(), 'zero');
    t.equal(String(yield* conn.read()), 'two,three');
  }),
);

t.test('readExactly gives so many bytes, and says how many came before the end', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      t.equal((yield* conn.readExactly(0)).byteLength, 0, 'none at once');
      peer.end('abcdefg');
      t.equal(String(yield* conn.readExactly(3)), 'abc');
      t.equal((yield* conn.readExactly(0)).byteLength, 0);
      const error = yield* errorOf(conn.readExactly(5));
      t.ok(error instanceof UnexpectedEofError);
      t.match(error.message, 'expected 5 bytes, the stream ended after 4 bytes');
      t.equal(String(yield* conn.readExactly(4)), 'defg');
      t.match(yield* errorOf(conn.readExactly(1)), { message: /ended after 0 bytes/ });
      t.equal((yield* conn.readExactly(0)).byteLength, 0, 'none is there at the end, too');
      t.equal(yield* conn.read(), null);
    }),
  ),
);

t.test('readExactly of much brings what was sent, and memory for no more than comes', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const sent = Buffer.alloc(3_000_000, 'some bytes that repeat');
      peer.write(sent);
      t.ok((yield* conn.readExactly(1_000_000)).equals(sent.subarray(0, 1_000_000)));
      t.ok((yield* conn.readExactly(2_000_000)).equals(sent.subarray(1_000_000)));
      const before = process.memoryUsage().arrayBuffers;
      peer.end('little');
      t.match(yield* errorOf(conn.readExactly(4_000_000_000)), { message: /after 6 bytes/ });
      t.ok(process.memoryUsage().arrayBuffers - before < 50_000_000);
    }),
  ),
);

t.test('peek waits for so many bytes or the end, and leaves them', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      t.equal((yield* conn.peek(0)).byteLength, 0);
      const peeking = spawn(() => conn.peek(4));
      peer.write('abc');
      yield* sleep(10);
      t.equal(peeking.describe(), `peeking at 4 bytes from 127.0.0.1:${peer.localPort}`);
      peer.write('defg');
      const seen = yield* peeking.join();
      t.equal(String(seen), 'abcd');
      t.equal(conn.bytesRead, 0);
      seen.fill('#');
      t.equal(String(yield* conn.readExactly(2)), 'ab', 'it is a copy');
      peer.end();
      t.equal(String(yield* conn.peek(10)), 'cdefg', 'fewer at the end');
      t.equal(yield* rest(conn), 'cdefg');
      t.equal((yield* conn.peek(10)).byteLength, 0, 'none at a clean end');
    }),
  ),
);

t.test('unread puts a copy of bytes before all others', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.write('abc\nd');
      const data = Buffer.from((yield* conn.read())!);
      conn.unread(data);
      t.equal(conn.bytesRead, 0);
      data.fill('#');
      t.equal(String(yield* conn.readExactly(2)), 'ab');
      conn.unread(Buffer.from('0'));
      conn.unread(new Uint8Array(0));
      t.equal(yield* conn.readLine(), '0c');
      t.equal(conn.bytesRead, 4, 'one more than came has been put back');
      const waiting = spawn(() => conn.readLine());
      yield* parked(waiting);
      conn.unread(Buffer.from('e\n'));
      t.equal(yield* waiting.join(), 'e', 'one who waits is told');
      t.equal(String(yield* conn.read()), 'd');
      const reader = spawn(() => conn.read());
      yield* parked(reader);
      conn.unread(Buffer.from('f'));
      t.equal(String(yield* reader.join()), 'f');
      peer.end();
      t.equal(yield* conn.read(), null);
      conn.unread(Buffer.from('g'));
      t.equal(yield* rest(conn), 'g', 'after the end, too');
      t.throws(() => conn.unread('text' as never), { name: 'TypeError', message: /Uint8Array, got "text"/ });
      conn.close();
      t.throws(() => conn.unread(Buffer.from('h')), { code: 'ERR_CLOSED' });
    }),
  ),
);

t.test('read, readInto and recv give what is held before what comes', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      for (const way of ['read', 'readInto', 'recv'] as const) {
        peer.write('line\nheld');
        t.equal(yield* conn.readLine(), 'line');
        t.equal(trySelect({ line: conn.readLine() }), undefined);
        peer.write('more');
        yield* sleep(5);
        const buffer = Buffer.alloc(3);
        const seen: string[] = [];
        const log: string[] = [];
        if (way === 'read') seen.push(String(yield* conn.read()));
        if (way === 'readInto') {
          t.equal(yield* conn.readInto(buffer), 3);
          seen.push(buffer.toString());
          t.equal(yield* conn.readInto(buffer), 1);
          seen.push(buffer.toString('utf8', 0, 1));
        }
        if (way === 'recv') {
          conn.recv((data) => log.push(String(data)));
          t.same(log, [], 'never inside of the call');
          yield* wait(until(() => log.length > 0));
          seen.push(log[0]!);
        }
        t.equal(seen.join(''), 'held', way);
        t.equal(String(yield* conn.readExactly(4)), 'more', way);
      }
    }),
  ),
);

t.test('a recv that is taken back leaves what is held', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    conn.unread(Buffer.from('held'));
    const cancel = conn.recv(() => t.fail('it was taken back'));
    cancel();
    yield* sleep(1);
    t.equal(String(yield* conn.read()), 'held');
    t.notOk(peer.isWanted);
  }),
);

t.test('one who is told of what was put back leaves no request with the socket', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    for (const read of [() => conn.read(), () => conn.readExactly(1)]) {
      const reading = spawn<unknown>(read);
      yield* parked(reading);
      t.ok(peer.isWanted);
      conn.unread(Buffer.from('x'));
      t.equal(String(yield* reading.join()), 'x');
      t.notOk(peer.isWanted);
    }
  }),
);

t.test('N2 there is one reader at a time, of whatever kind', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    const frames = lengthPrefixed();
    const reads: (() => Operation<unknown>)[] = [
      () => conn.readLine(),
      () => conn.readUntil('x'),
      () => conn.readExactly(10),
      () => conn.peek(10),
      () => frames.read(conn),
      () => conn.read(),
      () => conn.readInto(Buffer.alloc(1)),
    ];
    for (const first of reads) {
      const reader = spawn(first, { onError: () => {} });
      yield* parked(reader);
      for (const second of reads) {
        const error = yield* errorOf(second());
        t.ok(error instanceof BusyError);
        t.match(error.message, 'reading from 127.0.0.1:2 already');
      }
      t.throws(() => conn.recv(() => {}), BusyError);
      reader.cancel();
      yield* parked(reader);
    }
    const cancel = conn.recv(() => {});
    t.ok((yield* errorOf(conn.readLine())) instanceof BusyError);
    cancel();
    peer.feed('line\n');
    t.equal(yield* conn.readLine(), 'line');
  }),
);

t.test('N7 closing tells one who waits for a frame, and drops what is held', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.write('half');
      const reading = spawn(() => errorOf(conn.readLine()));
      yield* sleep(10);
      conn.close();
      t.equal((yield* reading.join()).code, 'ERR_CLOSED');
      for (const read of [() => conn.read(), () => conn.readExactly(4), () => conn.peek(0)]) {
        t.equal((yield* errorOf(read())).code, 'ERR_CLOSED');
      }
    }),
  ),
);

t.test('N11 a reset comes after the bytes before it, and is thrown again', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    peer.feed('line\nhalf');
    peer.finish(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }));
    t.equal(yield* conn.readLine(), 'line');
    for (let round = 0; round < 2; round++) {
      const error = yield* errorOf(conn.readLine());
      t.match(error, { code: 'ECONNRESET', syscall: 'read' });
      t.match(error.stack, 'framing.test.ts');
    }
    t.equal(String(yield* conn.read()), 'half');
    t.equal((yield* errorOf(conn.read())).code, 'ECONNRESET');
  }),
);

t.test('N13 nothing is given while the connection is out of its event loop', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const event = new EventLoop();
      event.loop();
      event.add(conn);
      peer.write('one\ntwo\nthr');
      t.equal(yield* conn.readLine(), 'one');
      event.del(conn);
      const line = spawn(() => conn.readLine());
      yield* sleep(5);
      t.equal(line.state, 'suspended');
      event.add(conn);
      t.equal(yield* line.join(), 'two');
      event.del(conn);
      const log: string[] = [];
      conn.recv((data) => log.push(String(data)));
      yield* sleep(5);
      t.same(log, []);
      event.add(conn);
      event.del(conn);
      yield* sleep(5);
      t.same(log, [], 'told, and out again before it was called');
      event.add(conn);
      yield* wait(until(() => log.length > 0));
      t.same(log, ['thr']);
      event.stop();
    }),
  ),
);

t.test('T2 each byte of a frame pushes silence back for one who waits for the rest', (t) =>
  virtually(function* () {
    const { conn, peer } = scripted();
    conn.idleTimeout = 60;
    const reading = spawn(() => errorOf(conn.readLine()));
    for (const part of ['h', 'a', 'l', 'f']) {
      yield* sleep(40);
      t.equal(reading.state, 'suspended');
      peer.feed(part);
    }
    const first = yield* select({ error: reading.join(), late: after(100) });
    t.match(first, { key: 'error', value: { code: 'ERR_TIMEOUT', message: /for 60 ms/ } });
    t.ok(conn.isClosed);
    conn.reset();
  }),
);

t.test('what is held and nobody reads is no silence', (t) =>
  virtually(function* () {
    const { conn, peer } = scripted();
    conn.idleTimeout = 30;
    peer.feed('one\ntwo\n');
    t.equal(yield* conn.readLine(), 'one');
    yield* sleep(120);
    t.equal(yield* conn.readLine(), 'two');
    t.equal((yield* errorOf(conn.readLine())).code, 'ERR_TIMEOUT');
    conn.reset();
  }),
);

t.test('many lines of one chunk give way to others', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    peer.feed('line\n'.repeat(2_000));
    peer.finish();
    let turns = 0;
    const other = spawn(
      function* () {
        for (;;) {
          yield* pause();
          turns++;
        }
      },
      { daemon: true },
    );
    let lines = 0;
    while ((yield* conn.readLine()) !== null) lines++;
    other.cancel();
    t.equal(lines, 2_000);
    t.ok(turns > 10, `the other had ${turns} turns`);
  }),
);

t.test('a frame for which much is there lets others have their turn', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    for (let chunk = 0; chunk < 100; chunk++) peer.feed(Buffer.alloc(1_000, chunk));
    const order: string[] = [];
    const reading = spawn(function* () {
      const all = yield* conn.readExactly(100_000);
      order.push(`frame ending with ${all[99_999]}`);
    });
    spawn(function* () {
      order.push('other');
    });
    yield* reading.join();
    t.same(order, ['other', 'frame ending with 99']);
  }),
);

t.test('an operation may be performed again', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    peer.feed('one\ntwo\n');
    const line = conn.readLine();
    t.same([yield* line, yield* line], ['one', 'two']);
  }),
);

t.test('length-prefixed frames go both ways', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const all = readAll(peer);
      const expected: string[] = [];
      for (const bytes of [1, 2, 4, 8] as const) {
        for (const littleEndian of [false, true]) {
          const frames = lengthPrefixed({ bytes, littleEndian });
          yield* frames.write(conn, 'ü');
          yield* frames.write(conn, Buffer.alloc(0));
          const two = `${'00'.repeat(bytes - 1)}02`;
          expected.push(littleEndian ? `02${'00'.repeat(bytes - 1)}c3bc` : `${two}c3bc`, '00'.repeat(bytes));
        }
      }
      yield* conn.end();
      const sent = yield* wait(all);
      t.equal(sent.toString('hex'), expected.join(''));
      peer.end(sent);
      for (const bytes of [1, 2, 4, 8] as const) {
        for (const littleEndian of [false, true]) {
          const frames = lengthPrefixed({ bytes, littleEndian });
          t.equal(String(yield* frames.read(conn)), 'ü');
          t.equal((yield* frames.read(conn))?.byteLength, 0, 'an empty frame is no end');
        }
      }
      t.equal(yield* lengthPrefixed().read(conn), null);
    }),
  ),
);

t.test('a length beyond the limit is refused before it costs memory', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    const frames = lengthPrefixed({ bytes: 8, limit: 1_000 });
    peer.feed(Buffer.from('ffffffffffffffff00', 'hex'));
    for (let round = 0; round < 2; round++) {
      const error = yield* errorOf(frames.read(conn));
      t.ok(error instanceof LimitError);
      t.match(
        error.message,
        /^expected a frame of at most 1000 bytes, got the length 18446744073709551615|1844674407370955/,
      );
    }
    t.equal((yield* conn.readExactly(9)).toString('hex'), 'ffffffffffffffff00', 'it is still there');
    peer.feed(Buffer.from('00000000000003e8', 'hex'));
    peer.feed(Buffer.alloc(1_000));
    t.equal((yield* frames.read(conn))?.byteLength, 1_000);
    const unlimited = lengthPrefixed({ bytes: 8, limit: Infinity });
    peer.feed(Buffer.from('7fffffffffffffff', 'hex'));
    t.ok((yield* errorOf(unlimited.read(conn))) instanceof LimitError, 'no buffer is so large');
    t.throws(() => frames.write(conn, Buffer.alloc(1_001)), {
      code: 'ERR_LIMIT',
      message: 'expected a frame of at most 1000 bytes, got 1001 to write',
    });
    t.throws(() => lengthPrefixed({ bytes: 1 }).write(conn, Buffer.alloc(256)), { code: 'ERR_LIMIT' });
    t.throws(() => lengthPrefixed().write(conn, Buffer.alloc(65_537)), { code: 'ERR_LIMIT' });
    t.same(peer.output, []);
  }),
);

t.test('N5 an end inside a frame with a length says what is missing', (t) =>
  run(function* () {
    const frames = lengthPrefixed({ bytes: 2 });
    for (const [sent, message] of [
      ['00', 'expected a length of 2 bytes, the stream ended after 1 bytes'],
      ['000561', 'expected a frame of 5 bytes, the stream ended after 1 bytes'],
    ] as const) {
      const { conn, peer } = scripted();
      peer.feed(Buffer.from(sent, 'hex'));
      peer.finish();
      t.match(yield* errorOf(frames.read(conn)), { code: 'ERR_UNEXPECTED_EOF', message });
      t.equal((yield* conn.read())?.toString('hex'), sent);
      t.equal(yield* frames.read(conn), null);
    }
  }),
);

t.test('delimited frames go both ways, and cannot hold their delimiter', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    const frames = delimited('aba', { limit: 5 });
    for (const payload of ['x', '', Buffer.from('bb')]) yield* frames.write(conn, payload);
    const sent = Buffer.concat(peer.output);
    t.equal(String(sent), 'xabaababbaba');
    peer.feed(sent);
    peer.finish();
    const seen: string[] = [];
    for (let frame; (frame = yield* frames.read(conn)) !== null;) seen.push(String(frame));
    t.same(seen, ['x', '', 'bb']);
    for (const payload of ['xabax', 'ab', 'bab']) {
      t.throws(() => frames.write(conn, payload), {
        name: 'TypeError',
        message: `expected a frame without the delimiter "aba", got it at byte ${payload.indexOf('a')}`,
      });
    }
    t.throws(() => frames.write(conn, '123456'), { code: 'ERR_LIMIT' });
    t.throws(() => frames.write(conn, 5 as never), { name: 'TypeError', message: /as a frame, got 5/ });
  }),
);

t.test('bad arguments are named', (t) =>
  run(function* () {
    const { conn } = scripted();
    t.throws(() => conn.readLine({ limit: -1 }), { name: 'TypeError', message: /limit expects .* got -1/ });
    for (const delimiter of ['', new Uint8Array(0), 5 as never, null as never]) {
      t.throws(() => conn.readUntil(delimiter), { name: 'TypeError', message: /at least one byte, got/ });
      t.throws(() => delimited(delimiter), TypeError);
    }
    for (const size of [-1, 1.5, NaN, Infinity, '3' as never, 2 ** 53]) {
      t.throws(() => conn.readExactly(size), {
        name: 'TypeError',
        message: /readExactly expects a whole number/,
      });
      t.throws(() => conn.peek(size), TypeError);
    }
    t.throws(() => lengthPrefixed({ bytes: 3 as never }), {
      name: 'TypeError',
      message: /1, 2, 4 or 8 bytes, got 3/,
    });
    t.throws(() => delimited('\n', { limit: 1.5 }), TypeError);
  }),
);

t.test('a delimiter that its owner changes later is what it was', (t) =>
  run(function* () {
    const { conn, peer } = scripted();
    const delimiter = Buffer.from(';');
    const reading = spawn(() => conn.readUntil(delimiter));
    yield* parked(reading);
    delimiter.fill('#');
    peer.feed('a#b;');
    t.equal(String(yield* reading.join()), 'a#b;');
  }),
);
