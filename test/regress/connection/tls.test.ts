// One test for each bug of TLS that was fixed, named after it.

import net from 'node:net';
import tls from 'node:tls';
import t from 'tap';
import { type Connection } from '../../../lib/index.ts';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { until } from '../../support/connection/peers.ts';
import { serving } from '../../support/connection/serving.ts';
import { serverTls } from '../../support/connection/tls-pair.ts';

const CLIENTS = 10;

/** Does its handshake over a stream, and resets the connection as soon as that is done. */
async function resetAfterHandshake(raw: net.Socket): Promise<void> {
  raw.on('error', () => {});
  await new Promise<void>((resolve) => {
    raw.once('close', resolve);
    const secure = tls.connect({ socket: raw, rejectUnauthorized: false }, () => {
      setImmediate(() => raw.resetAndDestroy());
    });
    secure.on('error', () => {});
  });
}

// Node told of the end before the stream was adopted, and nobody listened: the reader waited for ever.

for (const way of ['listen', 'startTls'] as const) {
  t.test(
    `a client that resets right after its handshake is noticed (${way})`,
    { skip: noOpenssl },
    async (t) => {
      const certificate = serverTls();
      let begun = 0;
      let ended = 0;
      const server = await serving(
        function* read(conn: Connection) {
          begun++;
          try {
            if (way === 'startTls') yield* conn.startTls({ ...certificate, isServer: true });
            while ((yield* conn.read()) !== null);
          } finally {
            ended++;
          }
        },
        { onError() {}, grace: 0, ...(way === 'listen' ? { tls: certificate } : {}) },
      );
      for (let count = 0; count < CLIENTS; count++) {
        await resetAfterHandshake(net.connect(server.port, '127.0.0.1'));
      }
      await until(() => begun === ended, 'the end of all handlers');
      t.equal(ended, begun);
      server.stop();
      await server.ended;
    },
  );
}
