// A user's first server, in TypeScript, against the packed package and its published types.

import { type Connection, run, serve } from 'skein';

function* echo(conn: Connection) {
  for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
}

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
await run(() => serve(0, echo, { signal: stop.signal, onListening: (address) => console.log(`${address}`) }));
