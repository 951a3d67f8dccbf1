// HTTP: each deadline belongs to a state of the client. One that owes nothing is not late, and what came before does not
// take the deadline of what comes next away.

import t from 'tap';
import { serving } from '../../support/connection/http-serving.ts';
import { connect, until } from '../../support/connection/peers.ts';

// They wait most of their time.
t.jobs = 20;

async function stopped({ stop, ended }: Awaited<ReturnType<typeof serving>>): Promise<void> {
  stop.abort();
  await ended;
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

t.test('a client that still takes its answer is not idle', async (t) => {
  // What its kernel has acknowledged and it has not read must stay below 1.5 MB, or it looks idle.
  const size = 4_000_000;
  const server = await serving(
    function* (_, response) {
      response.end(Buffer.alloc(size, 'x'));
    },
    { keepAliveTimeout: 3_000 },
  );
  const peer = await connect(server);
  let got = 0;
  peer.on('data', (data) => {
    got += data.byteLength;
    peer.pause();
    setTimeout(() => peer.resume(), data.byteLength / 500);
  });
  const begun = performance.now();
  peer.write(GET);
  await until(() => got > size, 'the first answer', 30_000);
  t.ok(performance.now() - begun > 5_000, 'it took its time');
  peer.write(GET);
  await until(() => got > 2 * size, 'the second answer, on the same connection', 30_000);
  peer.destroy();
  await stopped(server);
});
