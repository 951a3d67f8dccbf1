import net from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { type Co, type Connection, run, serve } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { until } from '../../support/connection/peers.ts';

const CLIENTS = 1_000;
const MESSAGES = 100;
const LARGEST = 18; // 2^18 = 256 KiB

function* echo(conn: Connection): Co<void> {
  for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
}

/** The linear congruential generator of ANSI C's example `rand`: the same sizes in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff) / 0x80000000;
}

/** Every byte of a stream follows from its place and its client, so any piece can be checked at once. */
const pattern = Buffer.from(Uint8Array.from({ length: 2 ** LARGEST + 512 }, (_, index) => index & 255));

function expected(id: number, from: number, size: number): Buffer {
  const start = (id + from) & 255;
  return pattern.subarray(start, start + size);
}

/** Sends messages of many sizes one after another, and checks each byte that comes back; gives their number. */
async function talk(port: number, id: number): Promise<number> {
  const random = generator(id + 1);
  const socket = net.connect(port, '127.0.0.1');
  let sent = 0;
  let received = 0;
  let wrong = 0;
  let isThere = (): void => {};
  socket.on('data', (data) => {
    if (!data.equals(expected(id, received, data.byteLength))) wrong++;
    received += data.byteLength;
    if (received === sent) isThere();
  });
  const closed = new Promise<void>((resolve, reject) => socket.once('close', resolve).once('error', reject));
  for (let message = 0; message < MESSAGES; message++) {
    const data = expected(id, sent, Math.max(1, Math.floor(2 ** (random() * LARGEST))));
    sent += data.byteLength;
    const answer = new Promise<void>((resolve) => (isThere = resolve));
    socket.write(data);
    await answer;
  }
  socket.end();
  await closed;
  if (wrong > 0 || received !== sent)
    throw new Error(`client ${id}: ${wrong} wrong chunks, ${received} received, ${sent} sent`);
  return received;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that are in use once what can be collected is. */
async function memoryInUse(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

t.test(
  `${CLIENTS} clients at once get every byte back, and nothing is left behind`,
  { timeout: 120_000 },
  async (t) => {
    const before = await memoryInUse();
    const stop = new AbortController();
    let port = 0;
    const server = run(() =>
      serve(0, echo, {
        signal: stop.signal,
        backlog: CLIENTS,
        onListening: (address) => (port = address.port),
        onError: (error) => t.fail(String(error)),
      }),
    );
    await until(() => port !== 0);
    const counts = await Promise.all(Array.from({ length: CLIENTS }, (_, id) => talk(port, id)));
    t.equal(counts.length, CLIENTS);
    t.ok(counts.reduce((sum, count) => sum + count, 0) > 1e9, 'more than a gigabyte');
    stop.abort();
    await server;
    await until(() => reactor.open === 0, 'the last descriptor');
    const left = () => process.getActiveResourcesInfo().filter((name) => /TCP|Immediate/.test(name));
    await until(() => left().length === 0, 'the last handle');
    // The runner keeps what it prints; a chunk kept for each client would be 64 MB.
    const grown = (await memoryInUse()) - before;
    t.ok(grown < 10_000_000, `memory has grown by ${grown} bytes`);
  },
);
