// What a peer may send that means no good.

import t from 'tap';
import {
  type Co,
  type Connection,
  dial,
  LimitError,
  pause,
  run,
  select,
  serve,
  sleep,
  spawn,
  UnexpectedEofError,
} from '../../../../lib/index.ts';
import { Random } from '../../../../scheduler/kernel/random.ts';
import { connect, readAll, until } from '../../../support/connection/peers.ts';
import { scripted } from '../../../support/connection/scripted.ts';

/** Another seed each time; set SKEIN_SEED to the one in the name of a test that failed. */
const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);
const INPUTS = 100_000;
const MUTATIONS = 10_000;
/** One after the other, on the same connection. */
const PER_CLIENT = 10;
const LIMIT = 100;

/** What an honest client says. */
const HONEST = Buffer.from('HELO example.org\r\nMAIL FROM:<ü@example.org>\r\n\r\nQUIT\r\n');

/** Random bytes, with line ends among them more often than chance has it. */
function randomInput(random: Random): Buffer {
  const bytes = Buffer.allocUnsafe(random.below(300));
  for (let at = 0; at < bytes.length; at++) {
    const kind = random.below(24);
    bytes[at] = kind === 0 ? 0x0a : kind === 1 ? 0x0d : random.below(256);
  }
  return bytes;
}

/** What an honest client says, but for some bytes that were changed, taken out or doubled. */
function mutatedInput(random: Random): Buffer {
  let bytes = Buffer.from(HONEST);
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(bytes.length);
    const from = [at, at + 1 + random.below(5), at - random.below(20)][random.below(3)]!;
    bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, from))]);
    if (bytes.length === 0) return bytes;
    bytes[random.below(bytes.length)] = random.below(256);
  }
  return bytes;
}

interface Tally {
  bytes: number;
  lines: number;
  limits: number;
  cutShort: number;
  others: unknown[];
}

/** Reads lines until the end; what is too long, or is cut short, is read as bytes instead. */
function* readLines(conn: Connection, tally: Tally): Co<void> {
  for (;;) {
    try {
      const line = yield* conn.readLine({ limit: LIMIT });
      if (line === null) break;
      tally.lines++;
    } catch (error) {
      if (error instanceof LimitError) {
        tally.limits++;
        yield* conn.readExactly(LIMIT);
      } else if (error instanceof UnexpectedEofError) {
        tally.cutShort++;
        yield* conn.read();
      } else {
        throw error;
      }
    }
  }
  tally.bytes += conn.bytesRead;
}

function newTally(): Tally {
  return { bytes: 0, lines: 0, limits: 0, cutShort: 0, others: [] };
}

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

t.test(`any bytes give lines or typed errors (seed ${seed})`, { timeout: 120_000 }, (t) =>
  run(function* () {
    const random = new Random(seed);
    const tally = newTally();
    let fed = 0;
    let before = 0;
    for (let round = 0; round < INPUTS + MUTATIONS; round += PER_CLIENT) {
      if (round === 10_000) before = memory();
      const { conn, peer } = scripted();
      const reading = spawn(() => readLines(conn, tally));
      for (let left = PER_CLIENT; left > 0; left--) {
        const input = round < INPUTS ? randomInput(random) : mutatedInput(random);
        fed += input.length;
        const cut = random.below(input.length + 1);
        peer.feed(input.subarray(0, cut));
        yield* pause();
        peer.feed(input.subarray(cut));
        yield* pause();
      }
      peer.finish();
      yield* reading.join();
    }
    t.equal(tally.bytes, fed, 'each byte was read once');
    t.ok(tally.lines > INPUTS && tally.limits > 1_000 && tally.cutShort > 1_000, JSON.stringify(tally));
    t.ok(memory() - before < 100e6, `grew by ${memory() - before} bytes`);
  }),
);

t.test(`hostile clients do not disturb another one (seed ${seed})`, { timeout: 120_000 }, async (t) => {
  const random = new Random(seed);
  const stop = new AbortController();
  const tally = newTally();
  let port = 0;
  const server = run(() =>
    serve(
      0,
      function* (conn) {
        if ((yield* conn.readLine()) === 'hostile') {
          yield* readLines(conn, tally);
          return;
        }
        for (let line; (line = yield* conn.readLine()) !== null;) yield* conn.write(`${line}!\n`);
      },
      {
        signal: stop.signal,
        onListening: (address) => (port = address.port),
        onError: (error) => tally.others.push(error),
      },
    ),
  );
  await until(() => port !== 0);
  const quiet = new AbortController();
  let echoes = 0;
  const honest = run(function* () {
    const conn = yield* dial(port);
    yield* conn.write('honest\n');
    while (!quiet.signal.aborted || echoes < 10) {
      yield* conn.write(`line ${echoes}\n`);
      const first = yield* select({ line: conn.readLine(), late: sleep(20_000) });
      if (first.value !== `line ${echoes}!`) throw new Error(`got ${String(first.value)}`);
      echoes++;
      yield* sleep(1);
    }
    conn.close();
  });
  let sent = 0;
  const CLIENTS = 11;
  for (let client = 0; client < CLIENTS; client++) {
    const socket = await connect({ port });
    socket.write('hostile\n');
    sent += 'hostile\n'.length;
    for (let left = (INPUTS + MUTATIONS) / CLIENTS; left > 0; left--) {
      const input = random.below(11) === 0 ? mutatedInput(random) : randomInput(random);
      sent += input.length;
      // As fast as the server takes it.
      if (!socket.write(input)) await new Promise((resolve) => socket.once('drain', resolve));
    }
    socket.end();
    await readAll(socket);
  }
  quiet.abort();
  await honest;
  stop.abort();
  await server;
  t.same(tally.others, []);
  t.equal(tally.bytes, sent);
  t.ok(tally.lines > 10_000 && tally.limits > 0, JSON.stringify(tally));
  t.ok(echoes >= 10, `${echoes} echoes`);
});
