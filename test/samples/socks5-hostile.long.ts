// What a client of socks5.ts may send that means no good. Nothing of it may lead out of this machine: inputs that ask
// for a connection elsewhere are passed over.

import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { type Co, dial, forEach, run, sleep, spawn, timeout } from '../../lib/index.ts';
import { Random } from '../../scheduler/kernel/random.ts';
import { listenPlain, portOf } from '../support/connection/peers.ts';
import { startSample } from '../support/programs/samples.ts';

/** Another seed each time; set SKEIN_SEED to the one in the name of a test that failed. */
const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);
const INPUTS = 100_000;
const MUTATIONS = 10_000;
/** All that a line of the log may say of a client. */
const TYPED =
  /^\S+:\d+: (ProtocolError: expected|UnexpectedEofError: expected|TimeoutError: |Error: \w+ing )/;

const ADA = [3, ...Buffer.from('ada'), 6, ...Buffer.from('secret')];

/** Random bytes, with those that mean something more often than chance has it. */
function randomInput(random: Random): Buffer {
  const bytes = Buffer.allocUnsafe(random.below(60));
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = random.below(at === 0 ? 2 : 3) > 0 ? [0, 1, 2, 3, 4, 5][random.below(6)]! : random.below(256);
  }
  if (bytes.length > 0 && random.below(4) > 0) bytes[0] = 5;
  return bytes;
}

/** An honest conversation, but for some bytes that were changed, taken out or doubled. */
function mutatedInput(random: Random, honest: Buffer): Buffer {
  let bytes = Buffer.from(honest);
  for (let left = 1 + random.below(3); left > 0 && bytes.length > 0; left--) {
    const at = random.below(bytes.length);
    const from = [at, at + 1 + random.below(5), at - random.below(20)][random.below(3)]!;
    bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, from))]);
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(random.below(2) === 0 ? 8 : 256);
  }
  return bytes;
}

/** Whether it may ask for a connection to anywhere but 127.0.0.0/8. Errs on the safe side. */
function leadsOut(input: Buffer): boolean {
  const greeting = 2 + (input[1] ?? 0);
  for (let at = greeting; at < input.length; at++) {
    // Wherever a request may begin.
    if (input[at] !== 5 || input[at + 1] !== 1 || at + 8 > input.length) continue;
    const isLoopback = input[at + 3] === 1 && input[at + 4] === 127;
    if (!isLoopback) return true;
  }
  return false;
}

function* inputs(random: Random, port: number, isSecured: boolean): Generator<Buffer> {
  const request = [5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff];
  const authentication = isSecured ? [1, ...ADA] : [];
  const honest = Buffer.from([5, 2, 0, 2, ...authentication, ...request, ...Buffer.from('hello')]);
  let randoms = INPUTS / 2;
  let mutations = MUTATIONS / 2;
  while (randoms + mutations > 0) {
    const isMutated = random.below(randoms + mutations) < mutations;
    const input = isMutated ? mutatedInput(random, honest) : randomInput(random);
    if (leadsOut(input)) continue;
    if (isMutated) mutations--;
    else randoms--;
    yield input;
  }
}

const memoryOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

for (const isSecured of [false, true]) {
  const name = isSecured ? 'with a user and a password' : 'without a password';
  t.test(`socks5.ts ${name} outlives any bytes (seed ${seed})`, { timeout: 240_000 }, async (t) => {
    const env = isSecured ? { SOCKS_USER: 'ada', SOCKS_PASSWORD: 'secret' } : {};
    const proxy = await startSample(t, 'socks5.ts', env);
    const echo = await listenPlain((socket) => void socket.pipe(socket));
    t.teardown(() => echo.close());
    const port = portOf(echo);
    let answered = 0;

    function* honest(): Co<void> {
      const conn = yield* dial(proxy.port);
      try {
        yield* conn.write(Buffer.from(isSecured ? [5, 1, 2, 1, ...ADA] : [5, 1, 0]));
        yield* conn.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]));
        yield* conn.readExactly(isSecured ? 14 : 12);
        yield* conn.write('hello\n');
        if ((yield* conn.readLine()) !== 'hello') throw new Error('expected an echo');
        answered++;
      } finally {
        conn.close();
      }
    }

    function* hostile(input: Buffer): Co<void> {
      const conn = yield* dial(proxy.port);
      try {
        yield* conn.write(input);
        yield* conn.end();
        while ((yield* conn.read()) !== null);
      } catch (error) {
        // Who is refused in the middle of what it says may be reset.
        if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
      } finally {
        conn.close();
      }
    }

    const isLinux = existsSync('/proc/self/status');
    await run(function* () {
      yield* honest();
      const before = isLinux ? memoryOf(proxy.child.pid!) : 0;
      const others = spawn(
        function* () {
          for (;;) {
            yield* timeout(20_000, honest);
            yield* sleep(5);
          }
        },
        { daemon: true },
      );
      yield* forEach(inputs(new Random(seed), port, isSecured), { concurrency: 32 }, (input) =>
        timeout(20_000, () => hostile(input)),
      );
      t.equal(others.state, 'suspended');
      const grown = isLinux ? memoryOf(proxy.child.pid!) - before : 0;
      t.ok(grown < 150e6, `grew by ${grown} bytes`);
    });
    t.ok(answered > 10, `${answered} others were answered meanwhile`);
    t.equal(await proxy.end('SIGTERM'), 0);
    const [, ...log] = proxy.lines();
    t.same(
      log.filter((line) => !TYPED.test(line)),
      [],
    );
    t.ok(log.length > INPUTS / 4, `${log.length} errors`);
  });
}
