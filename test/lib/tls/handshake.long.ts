// Handshakes that take their time, fail or are cut off: nobody is held up, and nothing is left behind.

import t from 'tap';
import { all, dial, listen, run, spawn, wait } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { openFiles } from '../../support/network/open-files.ts';
import { failure } from '../../support/connection/pair.ts';
import { until } from '../../support/connection/peers.ts';
import { clientTls, serverTls } from '../../support/connection/tls-pair.ts';

const needs = { skip: noOpenssl };

t.test(
  '1,000 connections one after the other and 100 at once leave nothing',
  { ...needs, timeout: 120_000 },
  (t) =>
    run(function* () {
      const tlsOptions = { server: serverTls(), client: clientTls() };
      const acceptor = yield* listen(0, { tls: tlsOptions.server });
      const accepting = spawn(
        function* () {
          for (;;) {
            const conn = yield* acceptor.accept();
            spawn(function* () {
              for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
              conn.close();
            });
          }
        },
        { onError: () => {} },
      );
      const client = function* () {
        const conn = yield* dial(acceptor.address, { tls: tlsOptions.client });
        yield* conn.write('hello');
        const data = yield* conn.read();
        yield* conn.end();
        const end = yield* conn.read();
        conn.close();
        return String(data) === 'hello' && end === null;
      };
      for (let count = 0; count < 50; count++) yield* client();
      const files = openFiles();
      const open = reactor.open;
      globalThis.gc?.();
      const heap = process.memoryUsage().heapUsed;
      for (let count = 0; count < 1_000; count++) if (!(yield* client())) t.fail('a wrong answer');
      const answers = yield* all(Array.from({ length: 100 }, () => client));
      t.ok(answers.every(Boolean));
      yield* wait(until(() => openFiles() <= files && reactor.open <= open, 'the descriptors'));
      if (globalThis.gc !== undefined) {
        globalThis.gc();
        const growth = process.memoryUsage().heapUsed - heap;
        t.ok(growth < 1_100 * 10_000, `${growth} bytes of heap for 1,100 connections`);
      }
      acceptor.close();
      yield* failure(() => accepting.join());
    }),
);
