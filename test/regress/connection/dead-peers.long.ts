// Peers that vanish while they owe something: the kernel repeats it for a quarter of an hour, and sends no probes.

import { fileURLToPath } from 'node:url';
import t from 'tap';
import { reactorName } from '../../../lib/index.ts';
import { certificate, noOpenssl } from '../../support/connection/certificates.ts';
import { Namespace, noNamespaces } from '../../support/network/namespaces.ts';
import { until } from '../../support/connection/peers.ts';

const script = fileURLToPath(new URL('../../support/network/cut-line.ts', import.meta.url));

/** Seconds that `keepAlive` promises at its least: one, and ten probes. */
const PROMISED = 11;

t.test(
  'R11 a peer that has vanished is noticed in time, whatever it owes',
  { skip: noNamespaces, timeout: 120_000 },
  async (t) => {
    const here = new Namespace('10.99.0.1/24');
    const there = here.opposite('10.99.0.2/24');
    t.teardown(() => [here, there].map((one) => one.delete()));
    const env = { SKEIN_REACTOR: reactorName() };
    const modes = ['write', 'heartbeat', 'flush', 'window', 'read', 'end', 'quiet'];
    const lines: [address: string, modes: string[], files: string[]][] = [['10.99.0.1:4000', modes, []]];
    if (noOpenssl === false) {
      const { keyFile, certFile } = certificate();
      lines.push(['10.99.0.1:4001', ['heartbeat', 'flush', 'read'], [keyFile, certFile]]);
    }
    const servers = lines.map(([address, , files]) =>
      here.run([script, 'server', address, '', ...files], env),
    );
    const said = (): string[] => servers.flatMap((server) => server.lines());
    const heard = (word: string): number => said().filter((line) => line.startsWith(word)).length;
    await until(() => heard('listening') === servers.length, 'the servers', 30_000);
    const clients = lines.map(([address, list, files]) =>
      there.run([script, 'client', address, list.join(','), ...files], env),
    );
    const paused = here.run([script, 'client', '10.99.0.1:4000', 'pause'], env);
    t.teardown(() => Promise.all([...servers, ...clients, paused].map((program) => program.end('SIGKILL'))));
    const count = lines.flatMap(([, list]) => list).length;
    await until(() => heard('begun') === count + 1, 'the clients', 30_000);
    await new Promise((resolve) => setTimeout(resolve, 500));
    there.inside('link', 'set', 'v1', 'down');
    await until(() => heard('ended') === count + 1, 'their ends', 60_000).catch(() => {});
    await until(() => paused.lines().length > 0, 'the one that paused').catch(() => {});
    const ends = said().filter((line) => line.startsWith('ended') && !line.startsWith('ended pause'));
    t.equal(ends.length, count);
    for (const line of ends) {
      t.comment(`${reactorName()}: ${line}`);
      const [, name = '', code, seconds] = /^ended (.*) (\w+) ([\d.]+)$/.exec(line)!;
      // Where nothing is owed it is the kernel that says so, and it may know more.
      t.match(code, name === 'quiet' ? /^ETIMEDOUT|EHOSTUNREACH$/ : 'ETIMEDOUT', name);
      t.ok(Number(seconds) > PROMISED - 2, `${name}: ${seconds} s`);
      t.ok(Number(seconds) < 2 * PROMISED, `${name}: ${seconds} s`);
    }
    t.match(paused.lines(), ['got 30000000'], 'one that is there is waited for');
  },
);
