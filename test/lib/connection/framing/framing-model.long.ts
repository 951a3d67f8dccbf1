// Random mixtures of reads over random streams, cut into random chunks and cut off at random moments, compared with
// a model that has the stream as one buffer.

import * as fc from 'fast-check';
import t from 'tap';
import {
  Channel,
  type Co,
  type Connection,
  type Coroutine,
  delimited,
  lengthPrefixed,
  type Operation,
  run,
  select,
  spawn,
  suspend,
} from '../../../../lib/index.ts';
import {
  DELIMITED_LIMIT,
  type Outcome,
  predict,
  PREFIXED_LIMIT,
  type Step,
} from '../../../support/connection/framing-model.ts';
import { scripted } from '../../../support/connection/scripted.ts';

/** Another seed each time; set SKEIN_SEED to the one in the name of a test that failed. */
const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);
const RUNS = Number(process.env['SKEIN_RUNS'] ?? 5_000);

const prefixed = lengthPrefixed({ bytes: 1, limit: PREFIXED_LIMIT });
const separated = delimited('€', { limit: DELIMITED_LIMIT });

/** How a step goes: chunks that come before it, and when and how it is cut off. */
interface Turn {
  readonly step: Step;
  readonly chunksBefore: number;
  /** Chunks that come while it waits, after which it is cut off; Infinity for never. */
  readonly patience: number;
  /** Right after the last of them: it was told of it and has not looked. */
  readonly isTold: boolean;
  readonly way: 'cancel' | 'select';
}

const size = fc.oneof(fc.nat(8), fc.nat(600));
const limit = fc.constantFrom(0, 1, 5, 70, 1_000);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('line' as const), limit }),
  fc.record({
    kind: fc.constant('until' as const),
    delimiter: fc.constantFrom(';', '--', '€', 'ab;'),
    limit,
  }),
  fc.record({
    kind: fc.constantFrom('exactly' as const, 'peek' as const, 'into' as const, 'unread' as const),
    size,
  }),
  fc.record({ kind: fc.constantFrom('prefixed' as const, 'delimited' as const, 'read' as const) }),
);
const turn: fc.Arbitrary<Turn> = fc.record({
  step,
  chunksBefore: fc.nat(2),
  patience: fc.oneof(fc.constant(Infinity), fc.nat(3)),
  isTold: fc.boolean(),
  way: fc.constantFrom('cancel' as const, 'select' as const),
});
const program = fc.record({
  stream: fc
    .array(
      fc.constantFrom('\n', '\r\n', '\r', 'a', 'ab;', '-', '€', '\x03', 'x'.repeat(70), 'y'.repeat(300)),
      {
        maxLength: 40,
      },
    )
    .map((parts) => Buffer.from(parts.join(''))),
  cuts: fc.array(fc.constantFrom(1, 2, 3, 7, 50, 200, 1_000), { minLength: 1, maxLength: 10 }),
  turns: fc.array(turn, { maxLength: 25 }),
});

function perform(conn: Connection, one: Step): Operation<Buffer | string | null> {
  switch (one.kind) {
    case 'line':
      return conn.readLine({ limit: one.limit });
    case 'until':
      return conn.readUntil(one.delimiter, { limit: one.limit });
    case 'exactly':
      return conn.readExactly(one.size);
    case 'peek':
      return conn.peek(one.size);
    case 'prefixed':
      return prefixed.read(conn);
    case 'delimited':
      return separated.read(conn);
    default:
      return conn.read();
  }
}

/** What an operation gave, in the words of the model; undefined while it has not ended, or if it was cut off. */
interface Seen {
  result: Buffer | string | null | undefined;
}

/** Plays a program; throws where it does not do as the model says. Gives how many steps were complete. */
function* play({ stream, cuts, turns }: { stream: Buffer; cuts: number[]; turns: Turn[] }): Co<number> {
  const { conn, peer } = scripted();
  /** All that was not given to anybody. */
  let rest = stream;
  /** Where the next chunk begins; beyond the stream when its end was told. */
  let at = 0;
  let cut = 0;
  let read = 0;
  let complete = 0;
  const given: Buffer[] = [];

  function feed(): boolean {
    if (at > stream.byteLength) return false;
    if (at === stream.byteLength) {
      at++;
      peer.finish();
      return true;
    }
    const length = cuts[cut++ % cuts.length]!;
    peer.feed(stream.subarray(at, at + length));
    at = Math.min(at + length, stream.byteLength);
    return true;
  }

  function check(one: Step, { result }: Seen): void {
    if (result === undefined) return;
    complete++;
    const expected = predict(one, rest);
    const what = `${JSON.stringify(one)} at ${read}`;
    let taken = expected.taken;
    if ((one.kind === 'read' || one.kind === 'into') && Buffer.isBuffer(result)) {
      taken = result.byteLength;
      if (taken === 0 || !result.equals(rest.subarray(0, taken))) throw wrong(what, result, expected);
    } else if (Buffer.isBuffer(expected.result) && one.kind === 'line') {
      if (result !== expected.result.toString()) throw wrong(what, result, expected);
    } else if (Buffer.isBuffer(expected.result)) {
      if (!Buffer.isBuffer(result) || !result.equals(expected.result)) throw wrong(what, result, expected);
    } else if (result !== expected.result) {
      throw wrong(what, result, expected);
    }
    rest = rest.subarray(taken);
    read += taken;
    if (conn.bytesRead !== read) throw new Error(`${what}: bytesRead is ${conn.bytesRead}`);
    if (!Buffer.isBuffer(result)) return;
    // It belongs to whoever has it: what is still to come does not change, and neither does this.
    result.fill('#');
    given.push(result);
  }

  function* attempt(one: Turn): Co<void> {
    const seen: Seen = { result: undefined };
    const news = new Channel<null>();
    const reading = spawn(() => into(seen, one, conn, news));
    yield* settle(reading);
    for (let fed = 0; !hasEnded(reading); fed++) {
      if (fed >= one.patience && !one.isTold) break;
      if (!feed()) throw new Error(`${JSON.stringify(one.step)} waits for more than the end`);
      if (fed >= one.patience) break;
      yield* settle(reading);
    }
    if (one.way === 'cancel') reading.cancel();
    else news.trySend(null);
    yield* settle(reading);
    if (!hasEnded(reading)) throw new Error(`${JSON.stringify(one.step)} hangs`);
    check(one.step, seen);
  }

  for (const one of turns) {
    for (let left = one.chunksBefore; left > 0; left--) feed();
    if (one.step.kind === 'unread') {
      const back = Buffer.alloc(one.step.size, 'back\n;');
      conn.unread(back);
      rest = Buffer.concat([back, rest]);
      read -= back.byteLength;
      back.fill('!');
    } else {
      yield* attempt(one);
    }
  }
  while (feed());
  for (let data; (data = yield* conn.read()) !== null;) check({ kind: 'read' }, { result: data });
  if (rest.byteLength > 0) throw new Error(`${rest.byteLength} bytes were lost`);
  for (const one of given) if (!one.every((byte) => byte === 0x23)) throw new Error('a result has changed');
  return complete;
}

/** Performs a step, alone or as a case of a select, and notes its outcome. */
function* into(seen: Seen, { step: one, way }: Turn, conn: Connection, news: Channel<null>): Co<void> {
  try {
    const buffer = Buffer.alloc(one.kind === 'into' ? one.size + 1 : 0);
    const operation = one.kind === 'into' ? conn.readInto(buffer) : perform(conn, one);
    let result: number | Seen['result'];
    if (way === 'select') {
      const first = yield* select({ operation, news: news.receive() });
      if (first.key === 'news') return;
      result = first.value;
    } else {
      result = yield* operation;
    }
    seen.result = typeof result === 'number' ? (result > 0 ? buffer.subarray(0, result) : null) : result;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ABORT_ERR') seen.result = code;
  }
}

/** Until it has ended, or all that has come was looked at. */
function* settle(reading: Coroutine<unknown>): Co<void> {
  for (let round = 0; round < 10 && !hasEnded(reading); round++) {
    yield* suspend((resume) => queueMicrotask(resume));
  }
}

function hasEnded({ state }: Coroutine<unknown>): boolean {
  return state === 'done' || state === 'cancelled' || state === 'failed';
}

function wrong(what: string, result: unknown, expected: Outcome): Error {
  return new Error(`${what} gave ${inShort(result)}, not ${inShort(expected.result)}`);
}

function inShort(value: unknown): string {
  return JSON.stringify(String(value).slice(0, 200));
}

t.test(`reads give what the model says in ${RUNS} programs (seed ${seed})`, async (t) => {
  let complete = 0;
  await fc.assert(
    fc.asyncProperty(program, async (one) => {
      complete += await run(() => play(one));
    }),
    { seed, numRuns: RUNS },
  );
  t.comment(`${complete} reads were complete`);
  t.ok(complete > RUNS);
});
