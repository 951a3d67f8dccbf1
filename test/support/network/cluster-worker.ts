// A worker of a cluster, in test/regress/address/cluster-addresses.test.ts. It serves at the addresses that its environment names, and
// sends the primary where that is.

import { bindUdp, type Co, readBody, run, serve, serveHttp, spawn } from 'skein';

const { TCP, HTTP, UDP, OWN_UDP } = process.env;
const listening = (what: string) => (address: object) => process.send!({ what, address: String(address) });

/** Answers each datagram with this process and what came. */
function* answer(what: string, at: string): Co<void> {
  const socket = yield* bindUdp(at);
  listening(what)(socket.address);
  for (;;) {
    const { data, from } = yield* socket.receive();
    yield* socket.send(`${process.pid} ${data}`, from);
  }
}

await run(function* () {
  if (TCP !== undefined)
    spawn(() =>
      serve(
        TCP,
        function* (conn) {
          for (let line; (line = yield* conn.readLine()) !== null;)
            yield* conn.write(`${process.pid} ${line}\n`);
        },
        { signals: true, onListening: listening('TCP') },
      ),
    );
  if (HTTP !== undefined)
    spawn(() =>
      serveHttp(
        HTTP,
        function* (request, response) {
          response.end(`${process.pid} ${yield* readBody(request)}`);
        },
        { signals: true, onListening: listening('HTTP') },
      ),
    );
  if (UDP !== undefined) spawn(() => answer('UDP', UDP));
  if (OWN_UDP !== undefined) spawn(() => answer('OWN_UDP', OWN_UDP));
});
