// Dials that were answered by themselves, or refused by a listener that was only busy.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { dial, reactorName, run, sleep, spawn, wait } from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { openDescriptors } from '../../support/network/descriptors.ts';
import { Namespace, noNamespaces } from '../../support/network/namespaces.ts';
import { failure } from '../../support/connection/pair.ts';
import { until } from '../../support/connection/peers.ts';
import { runProgram } from '../../support/programs/program.ts';

const script = (name: string): string =>
  fileURLToPath(new URL(`../../support/network/${name}.ts`, import.meta.url));

t.test('R14 a dial is never connected to itself', { skip: noNamespaces }, async (t) => {
  const namespace = new Namespace('fd00::1/64');
  t.teardown(() => namespace.delete());
  // The system can only choose what is dialled, or one of two ports.
  for (const range of ['40000 40000', '40000 40001']) {
    const addresses = [
      '127.0.0.1:40000',
      '[::1]:40000',
      '[fd00::1]:40000',
      '0.0.0.0:40000',
      '[0:0::1]:40000',
    ];
    const program = namespace.run(
      [script('one-port'), ...addresses],
      { SKEIN_REACTOR: reactorName() },
      range,
    );
    await program.exited;
    t.same(
      program.lines(),
      addresses.map((address) => `${address} 0 ECONNREFUSED`),
      `ports ${range}`,
    );
  }
});

const isLinux = process.platform === 'linux';

t.test(
  'a Unix listener whose queue is full is waited for',
  { skip: !isLinux && 'needs Linux' },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'skein-'));
    const path = join(folder, 'a.sock');
    const listener = runProgram([script('busy-listener'), path]);
    t.teardown(async () => {
      await listener.end('SIGKILL');
      rmSync(folder, { recursive: true });
    });
    await until(() => listener.lines().includes('full soon'), 'it to listen');
    await run(function* () {
      const descriptors = openDescriptors();
      const queued = [yield* dial({ path }), yield* dial({ path })];
      const error = yield* failure(function* late() {
        yield* dial({ path }, { timeout: 100 });
      });
      t.match(error, { code: 'ERR_TIMEOUT', message: /still connecting$/ });
      const cancelled = spawn(() => dial({ path }), { onError() {} });
      const waiting = [1, 2, 3, 4].map(() => spawn(() => dial({ path }, { timeout: 20_000 })));
      yield* sleep(50);
      t.ok(waiting.every(({ state }) => state === 'suspended'));
      cancelled.cancel();
      listener.child.stdin!.write('x');
      for (const one of waiting) queued.push(yield* one.join());
      for (const conn of queued) conn.close();
      t.equal(cancelled.state, 'cancelled');
      yield* wait(until(() => reactor.open === 0 && openDescriptors() <= descriptors, 'nothing to be left'));
    });
  },
);
