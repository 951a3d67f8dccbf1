// The program whose system calls fail, one at a time: an echo server, or a dialler, over the epoll reactor. It
// says what each of its coroutines has met in lines of JSON, and does nothing between its orders, which come by
// stdin: whatever system call of those that are injected is made meanwhile is skein's.

import { writeSync } from 'node:fs';
import { type Co, type Connection, dial, listen, pause, run, scope, serve } from 'skein';

/** An error, and where it came out. */
export interface Met {
  readonly at: 'accept' | 'dial' | 'listen' | 'read' | 'write' | 'after';
  /** The peer's port in the server; the coroutine's number in the dialler. */
  readonly whose: number;
  readonly code: string | undefined;
  readonly syscall: string | undefined;
}

const DIALS = 32;
const LISTENS = 3;

let met: Met[] = [];

function note(at: Met['at'], whose: number, error: unknown): void {
  const { code, syscall } = error as NodeJS.ErrnoException;
  met.push({ at, whose, code, syscall });
}

function say(what: unknown): void {
  // Nothing that the loop would have to watch.
  writeSync(1, `${JSON.stringify(what)}\n`);
}

function report(): void {
  say(met);
  met = [];
}

/** Orders come line by line; the stream is watched from the start. */
function onOrders(onOrder: (order: string) => void, onEnd: () => void): void {
  let text = '';
  process.stdin.on('data', (data) => {
    const lines = (text + String(data)).split('\n');
    text = lines.pop()!;
    for (const line of lines) onOrder(line);
  });
  process.stdin.on('end', onEnd);
}

async function runServer(): Promise<void> {
  const stop = new AbortController();
  const noted = new Set<Connection>();
  onOrders(report, () => stop.abort());
  await run(() =>
    serve(
      0,
      function* (conn) {
        let at: Met['at'] = 'read';
        try {
          for (let data; (data = yield* conn.read()) !== null; at = 'read') {
            at = 'write';
            // In two parts with others between them, so that a part of them go out by sendmsg.
            const half = data.byteLength >> 1;
            yield* conn.write(data.subarray(0, half));
            yield* pause();
            yield* conn.write(data.subarray(half));
          }
        } catch (error) {
          noted.add(conn);
          note(at, conn.remoteAddress.port, error);
          throw error;
        }
      },
      {
        signal: stop.signal,
        onListening: ({ port }) => say(port),
        onError(error, conn) {
          if (conn === undefined) note('accept', 0, error);
          else if (!noted.has(conn)) note('after', conn.remoteAddress.port, error);
        },
      },
    ),
  );
}

async function runDialler(): Promise<void> {
  let orders = Promise.resolve();
  const ended = new Promise<void>((resolve) =>
    onOrders((port) => (orders = orders.then(() => run(() => dialAll(Number(port))))), resolve),
  );
  say(0);
  await ended;
  await orders;
}

function* dialAll(port: number): Co<void> {
  yield* scope(function* (all) {
    for (let id = 0; id < DIALS; id++) all.spawn(() => dialOne(id, port));
    for (let id = 0; id < LISTENS; id++) all.spawn(() => listenOnce(DIALS + id));
  });
  report();
}

function* dialOne(id: number, port: number): Co<void> {
  let at: Met['at'] = 'dial';
  try {
    const conn = yield* dial(port, { timeout: 10_000 });
    conn.noDelay = false;
    conn.keepAlive = 30_000;
    at = 'write';
    yield* conn.write(`dialled ${id}`);
    at = 'read';
    let answer = '';
    for (let data; answer.length < 9 && (data = yield* conn.read()) !== null;) answer += String(data);
    if (answer !== `dialled ${id}`) throw Object.assign(new Error(answer), { code: 'WRONG_ANSWER' });
    // To the end of the stream, so that somebody waits for each byte.
    yield* conn.end();
    while ((yield* conn.read()) !== null);
    conn.close();
  } catch (error) {
    note(at, id, error);
  }
}

function* listenOnce(id: number): Co<void> {
  try {
    const acceptor = yield* listen(0, { reusePort: true });
    acceptor.close();
  } catch (error) {
    note('listen', id, error);
  }
}

if (process.argv[2] === 'serve') await runServer();
else await runDialler();
