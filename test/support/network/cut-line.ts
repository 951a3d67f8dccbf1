// Two ends of a line that is cut. The server does what the first line of each client asks for, with `keepAlive` at its
// least, and prints how that ended and after how many seconds. Arguments: `server` or `client`, the address, the modes;
// then a key and a certificate, for modes over TLS.

import { readFileSync } from 'node:fs';
import { type Co, type Connection, dial, run, serve, sleep, spawn } from 'skein';

const [role, address, list, key = '', cert = ''] = process.argv.slice(2);
const tls = key === '' ? undefined : { key: readFileSync(key), cert: readFileSync(cert) };
/** Milliseconds in which the line is cut, after all have come. */
const CUT = 1_000;

function* forever(conn: Connection, size: number, pause: number): Co<void> {
  for (;;) {
    yield* conn.write(Buffer.alloc(size));
    yield* sleep(pause);
  }
}

const modes: Record<string, (conn: Connection) => Co<unknown>> = {
  // The client reads all it gets.
  *write(conn) {
    yield* forever(conn, 65_536, 1);
  },
  // Each write is taken by the kernel, and nobody reads or flushes.
  *heartbeat(conn) {
    yield* forever(conn, 10, 100);
  },
  // After the cut, and nobody reads.
  *flush(conn) {
    yield* sleep(CUT);
    yield* conn.write(Buffer.alloc(8_000_000));
    yield* conn.flush();
  },
  // Before the cut: the client reads nothing, so its window is closed when it vanishes.
  *window(conn) {
    yield* conn.write(Buffer.alloc(30_000_000));
    yield* conn.flush();
  },
  // A few bytes that are not acknowledged, in the way of the kernel's own probes.
  *read(conn) {
    yield* sleep(CUT);
    yield* conn.write('x');
    yield* conn.read();
  },
  // The same with the end of the stream.
  *end(conn) {
    yield* sleep(CUT);
    yield* conn.end();
    yield* conn.read();
  },
  // Nothing is unacknowledged.
  *quiet(conn) {
    yield* conn.read();
  },
  // It is there, and reads nothing for longer than a peer that is gone would be waited for.
  *pause(conn) {
    yield* conn.write(Buffer.alloc(30_000_000));
    yield* conn.end();
    yield* conn.read();
  },
};

function* handle(conn: Connection): Co<void> {
  const mode = (yield* conn.readLine())!;
  const name = conn.tls === null ? mode : `${mode} over TLS`;
  conn.keepAlive = 1_000;
  console.log(`begun ${name}`);
  const begun = performance.now();
  let end = 'ok';
  try {
    yield* modes[mode]!(conn);
  } catch (error) {
    end = (error as NodeJS.ErrnoException).code!;
  }
  console.log(`ended ${name} ${end} ${((performance.now() - begun) / 1_000).toFixed(1)}`);
}

function* client(mode: string): Co<void> {
  const conn = yield* dial(address!, tls === undefined ? {} : { tls: { rejectUnauthorized: false } });
  yield* conn.write(`${mode}\n`);
  if (mode === 'write' || mode === 'heartbeat' || mode === 'pause') {
    if (mode === 'pause') yield* sleep(13_000);
    let size = 0;
    for (let data; (data = yield* conn.read()) !== null;) size += data.byteLength;
    console.log(`got ${size}`);
    conn.close();
  } else {
    yield* sleep(1_000_000);
  }
}

await run(function* () {
  if (role === 'client') for (const mode of list!.split(',')) spawn(() => client(mode));
  else
    yield* serve(address!, handle, {
      ...(tls && { tls }),
      onError() {},
      onListening: () => console.log('listening'),
    });
});
