// Ten thousand dials, so many at a time and each with a deadline: who answers, who refuses, who says nothing?
//
//   npx tsx --conditions=skein-source samples/scan.ts      (on listeners of its own; DIALS, LIMIT, DEADLINE change it)
//
// Notice that `probe` is written as if there were only one: `forEach` says how many there are at a time, and `timeout`
// how long each may take, with the name, the dial and the greeting together. Whatever ends it, its connection is
// closed. The listeners are servers like any others, daemons that end with the scan; so does it all on Ctrl-C.

import { SingleBar } from 'cli-progress';
import {
  type Address,
  CancelledError,
  type Co,
  type Connection,
  dial,
  forEach,
  listen,
  run,
  serve,
  spawn,
  timeout,
  TimeoutError,
} from 'skein';
import { whereToListen, whole } from './environment.ts';

const DIALS = whole('DIALS', 10_000, { least: 1 });
const LIMIT = whole('LIMIT', 250, { least: 1 });
const DEADLINE = whole('DEADLINE', 1_000, { least: 1 }); // milliseconds
const { host, port } = whereToListen(0);

const tally = { answered: 0, refused: 0, 'timed out': 0, failed: 0 };
const bar = new SingleBar({ format: '{bar} {value}/{total} {duration_formatted}', clearOnComplete: true });

/** What becomes of one address. */
function* probe(address: Address): Co<keyof typeof tally> {
  try {
    yield* timeout(DEADLINE, () => greeting(address));
    return 'answered';
  } catch (error) {
    // That we are to end is no answer.
    if (error instanceof CancelledError) throw error;
    if (error instanceof TimeoutError) return 'timed out';
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'failed';
  }
}

function* greeting(address: Address): Co<string | null> {
  const conn = yield* dial(address);
  try {
    return yield* conn.readLine({ limit: 200 });
  } finally {
    conn.close();
  }
}

/** Of ten addresses seven greet, two refuse, and one says nothing. */
function* addresses(greets: Address, refuses: Address, isSilent: Address): Generator<Address> {
  for (let n = 0; n < DIALS; n++) yield n % 10 < 7 ? greets : n % 10 < 9 ? refuses : isSilent;
}

function* greet(conn: Connection) {
  yield* conn.write('hello\n');
}

function* keepSilent(conn: Connection) {
  while ((yield* conn.read()) !== null);
}

function* scan() {
  const greets = yield* listen({ host, port });
  const isSilent = yield* listen({ host, port: 0 });
  const refuses = yield* listen({ host, port: 0 });
  refuses.close();
  spawn(() => serve(greets, greet), { daemon: true });
  spawn(() => serve(isSilent, keepSilent), { daemon: true });
  console.log(`greeting listening on ${greets.address}, silence on ${isSilent.address}`);
  const all = addresses(greets.address, refuses.address, isSilent.address);
  yield* forEach(all, { concurrency: LIMIT }, function* (address) {
    tally[yield* probe(address)]++;
    bar.increment();
  });
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
const begun = performance.now();
// Of itself it shows nothing where there is no terminal.
bar.start(DIALS, 0);
try {
  await run(scan, { signal: stop.signal });
} catch (error) {
  if (!(error instanceof CancelledError)) throw error;
} finally {
  bar.stop();
}
const count = Object.values(tally).reduce((sum, one) => sum + one);
const outcomes = Object.entries(tally).map(([outcome, number]) => `${number} ${outcome}`);
const seconds = ((performance.now() - begun) / 1000).toFixed(1);
console.log(
  `${stop.signal.aborted ? 'interrupted: ' : ''}${count} dials: ${outcomes.join(', ')}; ${seconds} s`,
);
