// A framing read that is cut off leaves each byte to the next one: wherever the stream was cut into chunks, and
// at whatever moment.

import t from 'tap';
import {
  Channel,
  type Co,
  type Connection,
  delimited,
  lengthPrefixed,
  type Operation,
  run,
  select,
  sleep,
  spawn,
  timeout,
  TimeoutError,
  trySelect,
} from '../../../../lib/index.ts';
import { everyPoint } from '../../../support/scheduler/every-point.ts';
import { parked, withPair } from '../../../support/connection/pair.ts';
import { scripted } from '../../../support/connection/scripted.ts';
import { virtually } from '../../../support/scheduler/virtual.ts';

interface Case {
  readonly stream: Buffer;
  /** What reading it frame by frame gives. */
  readonly frames: readonly string[];
  /** The operation that is cut off; null at the end of the stream. */
  read(conn: Connection): Operation<string | Buffer | null>;
}

const prefixed = lengthPrefixed({ bytes: 2 });
const separated = delimited('€;');

const cases: Record<string, Case> = {
  readLine: {
    stream: Buffer.from('aü\r\n\nbc\n€\r\n'),
    frames: ['aü', '', 'bc', '€'],
    read: (conn) => conn.readLine(),
  },
  readUntil: {
    stream: Buffer.from('a--b------c--'),
    frames: ['a--', 'b--', '--', '--', 'c--'],
    read: (conn) => conn.readUntil('--'),
  },
  readExactly: {
    stream: Buffer.from('abcdefghijkl'),
    frames: ['abc', 'def', 'ghi', 'jkl'],
    read: (conn) => conn.readExactly(3),
  },
  peek: {
    stream: Buffer.from('abcdefghijkl'),
    frames: ['abcd', 'efgh', 'ijkl'],
    read: (conn) => conn.peek(4),
  },
  'lengthPrefixed.read': {
    stream: Buffer.from('\0\x03abc\0\0\0\x04defg'),
    frames: ['abc', '', 'defg'],
    read: (conn) => prefixed.read(conn),
  },
  'delimited.read': {
    stream: Buffer.from('a€;€€;;€;'),
    frames: ['a', '€', ';'],
    read: (conn) => separated.read(conn),
  },
};

/** Reads frames until there are so many. */
function* readRest(name: string, conn: Connection, frames: string[], count: number): Co<void> {
  while (frames.length < count) {
    const frame = yield* cases[name]!.read(conn);
    frames.push(String(frame));
    // What was only looked at has to be taken.
    if (name === 'peek') frames[frames.length - 1] = String(yield* conn.readExactly(frame!.length));
  }
}

/** Ways in which a read may be cut off; each runs `meanwhile` just before that, or just after. */
const ways: Record<
  string,
  (read: () => Operation<unknown>, isLate: boolean, feed: () => void) => Co<unknown>
> = {
  *cancelled(read, isLate, feed) {
    let result: unknown;
    const victim = spawn(function* () {
      result = yield* read();
    });
    yield* parked(victim);
    if (!isLate) victim.cancel();
    feed();
    if (isLate) victim.cancel();
    yield* parked(victim);
    return result;
  },
  *'timed out'(read, isLate, feed) {
    if (isLate) {
      // In the very moment in which it is over.
      spawn(function* () {
        yield* sleep(5);
        feed();
      });
    }
    let result: unknown;
    try {
      result = yield* timeout(5, read);
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    }
    yield* sleep(10);
    if (!isLate) feed();
    return result;
  },
  *'lost in a select'(read, isLate, feed) {
    const news = new Channel<string>();
    const waiting = spawn(() => select({ frame: read(), news: news.receive() }));
    yield* parked(waiting);
    if (isLate) feed();
    const isLost = news.trySend('news');
    if (!isLate) feed();
    const { key, value } = yield* waiting.join();
    if (isLost !== (key === 'news')) throw new Error('the news was lost');
    return key === 'frame' ? value : undefined;
  },
};

for (const [name, { stream, frames, read }] of Object.entries(cases)) {
  t.test(`${name} that is cut off at any byte loses none, and doubles none`, (t) =>
    virtually(function* () {
      let runs = 0;
      let completed = 0;
      const wrong: string[] = [];
      for (const [way, cutOff] of Object.entries(ways)) {
        for (let from = 0; from <= stream.length; from++) {
          for (let to = from; to <= stream.length; to++) {
            for (const isLate of [false, true]) {
              runs++;
              const { conn, peer } = scripted();
              peer.feed(stream.subarray(0, from));
              const seen: string[] = [];
              const result = yield* cutOff(
                () => read(conn),
                isLate,
                () => peer.feed(stream.subarray(from, to)),
              );
              if (result !== undefined) {
                completed++;
                if (name !== 'peek') seen.push(String(result));
                else if (String(result) !== frames[0]) wrong.push(`peek gave ${String(result)}`);
              }
              peer.feed(stream.subarray(to));
              peer.finish();
              yield* readRest(name, conn, seen, frames.length);
              const end = yield* conn.read();
              if (seen.join('|') === frames.join('|') && end === null && conn.bytesRead === stream.length)
                continue;
              wrong.push(`${way}, cut at ${from} and ${to}, ${isLate ? 'late' : 'early'}: ${seen.join('|')}`);
            }
          }
        }
      }
      t.same(wrong, []);
      t.ok(completed > 0 && completed < runs, `${completed} of ${runs} were complete before`);
    }),
  );

  t.test(`${name} over a socket, cut off at any byte`, (t) =>
    run(() =>
      withPair(function* ({ conn, peer }) {
        for (const [way, cutOff] of Object.entries(ways)) {
          for (let cut = 0; cut <= stream.length; cut++) {
            peer.write(stream.subarray(0, cut));
            const seen: string[] = [];
            const result = yield* cutOff(
              () => read(conn),
              true,
              () => peer.write(stream.subarray(cut)),
            );
            if (result !== undefined && name !== 'peek') seen.push(String(result));
            yield* readRest(name, conn, seen, frames.length);
            t.equal(seen.join('|'), frames.join('|'), `${way} at ${cut}`);
          }
        }
      }),
    ),
  );

  t.test(`${name}, cancelled at every point of a program`, async (t) => {
    const offsets = offsetsOf(stream, read, frames.length);
    const result = await everyPoint(() => {
      const { conn, peer } = scripted();
      const seen: string[] = [];
      function* next(): Co<void> {
        seen.push(String(yield* read(conn)));
      }
      return {
        victims: [
          function* () {
            yield* next();
            yield* timeout(50, next);
            const { value } = yield* select({ frame: read(conn), late: sleep(50) });
            seen.push(String(value));
          },
        ],
        others: [
          function* () {
            for (let at = 0; at < stream.length; at += 2) {
              peer.feed(stream.subarray(at, at + 2));
              yield* sleep(1);
            }
            peer.finish();
          },
        ],
        verify() {
          const expected = seen.map((_, index) => (name === 'peek' ? frames[0] : frames[index]));
          if (seen.join('|') !== expected.join('|')) return `it has seen ${seen.join('|')}`;
          const rest = everything(conn);
          const left = stream.subarray(offsets[seen.length]);
          return rest.equals(left) ? undefined : `after ${seen.join('|')} there was ${String(rest)}`;
        },
      };
    });
    t.same(result.failures, []);
    t.ok(
      result.points > 5 && result.cancelled > 5,
      `${result.cancelled} cancelled at ${result.points} points`,
    );
  });
}

/** How many bytes were taken, by the number of reads. */
function offsetsOf(stream: Buffer, read: Case['read'], count: number): number[] {
  const { conn, peer } = scripted();
  peer.feed(stream);
  const offsets = [0];
  while (offsets.length <= count) {
    trySelect({ frame: read(conn) });
    offsets.push(conn.bytesRead);
  }
  return offsets;
}

/** What is left, without waiting. */
function everything(conn: Connection): Buffer {
  const chunks: Buffer[] = [];
  for (let data; (data = trySelect({ data: conn.read() })?.value);) chunks.push(data);
  return Buffer.concat(chunks);
}
