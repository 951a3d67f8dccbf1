// An echo server, one coroutine per client: the loop reads as if it blocked.
//
//   npm start                      then, elsewhere:   printf hello | socat - TCP:127.0.0.1:9981
//
// Notice that there is no error handling in the handler and no state between its lines: a client that
// goes away ends its own coroutine, and SIGINT or SIGTERM lets the others finish within 5 s.

import { type Connection, run, serve } from 'skein';

let clients = 0;
let bytes = 0;

function* echo(conn: Connection) {
  clients++;
  try {
    for (let data; (data = yield* conn.read()) !== null; bytes += data.byteLength) yield* conn.write(data);
  } finally {
    clients--;
  }
}

const host = process.env['HOST'] || '127.0.0.1';
const port = Number(process.env['PORT'] || 9981);

if (process.stdout.isTTY) {
  setInterval(() => process.stdout.write(`\r${clients} clients, ${bytes} bytes echoed `), 1000).unref();
}

await run(() =>
  serve({ host, port }, echo, {
    signals: true,
    onListening(address) {
      console.log(`echo server listening on ${address}`);
      console.log(`try: printf hello | socat - TCP:${address}    (or: nc ${address.host} ${address.port})`);
    },
  }),
);
// The counter has left its line open.
if (process.stdout.isTTY) console.log();
