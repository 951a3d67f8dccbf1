import { once } from 'node:events';
import net from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { ProtocolError } from 'skein';
import t from 'tap';
import { LONGEST_REQUEST, RequestParser } from '../../../samples/kv/resp.ts';
import { Chance, mutate, randomBytes } from '../../support/kv/commands.ts';
import { encode, KvClient, startKv } from '../../support/kv/peers.ts';
import { connect, readAll, until } from '../../support/connection/peers.ts';

const seed = Number(process.env['SKEIN_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** All requests in what comes in these pieces, and the error that ends them. */
function parsed(pieces: Iterable<Buffer>): (string[] | string)[] {
  const parser = new RequestParser();
  const found: (string[] | string)[] = [];
  try {
    for (const piece of pieces) {
      parser.add(piece);
      while (parser.next()) found.push([...parser.args]);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    found.push(error.message);
  }
  return found;
}

function* cut(text: string, size: () => number): Generator<Buffer, void> {
  for (let at = 0; at < text.length;) {
    const length = size();
    yield bytes(text.slice(at, at + length));
    at += length;
  }
}

const everything =
  encode(['SET', 'a', '\0\r\n\xff']) +
  'PING\r\n\r\n  get   "a b"\t\'c\'\n*0\r\n*-1\r\n' +
  encode(['']) +
  encode(['x'.repeat(70_000)]);
const requests = [['SET', 'a', '\0\r\n\xff'], ['PING'], ['get', 'a b', 'c'], [''], ['x'.repeat(70_000)]];

t.test('requests are the same however they are cut into pieces', async (t) => {
  t.same(parsed([bytes(everything)]), requests);
  t.same(parsed(cut(everything, () => 1)), requests);
  const chance = new Chance(seed);
  for (let run = 0; run < 100; run++)
    t.same(parsed(cut(everything, () => 1 + chance.below(40))), requests, `SKEIN_SEED=${seed}`);
});

t.test('a request is there as it came, too, if it came whole', async (t) => {
  const parser = new RequestParser();
  const whole = encode(['SET', 'a', 'b']);
  parser.add(bytes(`${whole}PING\r\n${whole}${whole.slice(0, 9)}`));
  const raws: string[] = [];
  while (parser.next()) raws.push(parser.raw);
  parser.add(bytes(whole.slice(9) + whole));
  while (parser.next()) raws.push(parser.raw);
  // The last but one was taken apart in two texts.
  t.same(raws, [whole, '', whole, '', whole]);
});

const REFUSED: [string, string][] = [
  ['*1048577\r\n', 'invalid multibulk length'],
  ['*x\r\n', 'invalid multibulk length'],
  ['*99999999999999999999\r\n', 'invalid multibulk length'],
  ['*1\r\n$-1\r\n', 'invalid bulk length'],
  ['*1\r\n$536870913\r\n', 'invalid bulk length'],
  [`*1\r\n$${LONGEST_REQUEST + 1}\r\n`, 'invalid bulk length'],
  [`*1\r\n$${LONGEST_REQUEST}\r\n`, 'too big request'],
  ['*1\r\n$03\r\n', 'invalid bulk length'],
  ['*1\r\nGET\r\n', "expected '$', got 'G'"],
  ['*1\r\n:1\r\n', "expected '$', got ':'"],
  ['a'.repeat(65_537), 'too big inline request'],
  [`*${'1'.repeat(65_537)}`, 'too big mbulk count string'],
  [`*1\r\n$${'1'.repeat(65_537)}`, 'too big bulk count string'],
  ['get "a\r\n', 'unbalanced quotes in request'],
  ['get "a"b\r\n', 'unbalanced quotes in request'],
];

t.test('what is no request is refused in the words of Redis, and the client is sent away', async (t) => {
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  for (const [sent, message] of REFUSED) {
    t.same(parsed([bytes(sent)]), [message], JSON.stringify(sent.slice(0, 20)));
    const socket = await connect(kv);
    socket.write(bytes(`PING\r\n${sent}`));
    const answer = String(await readAll(socket));
    t.equal(answer, `+PONG\r\n-ERR Protocol error: ${message}\r\n`);
    socket.destroy();
  }
});

t.test('a client that is told to go is gone soon, whatever it does then', async (t) => {
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  const wrong = '*3\r\n$3\r\nSET\r\n$1\r\nx\r\nnot a bulk\r\n';
  for (const [name, sent, goesOn, reads] of [
    ['sends on', wrong, true, true],
    ['sends nothing more', wrong, false, true],
    ['sends on and reads nothing', wrong, true, false],
    ['sends on after QUIT', 'QUIT\r\n', true, true],
    ['sends on after HTTP', 'POST / HTTP/1.1\r\n', true, true],
  ] as const) {
    const socket = net.connect({ port: kv.port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    socket.on('error', () => {});
    if (reads) socket.resume();
    socket.write(bytes(sent));
    const sending = setInterval(() => goesOn && !socket.destroyed && socket.write('payload'), 5);
    const begun = Date.now();
    const isGone = async (): Promise<boolean> => {
      const witness = await KvClient.connect(kv.port);
      const list = String(await witness.ask('CLIENT', 'LIST'));
      witness.close();
      return list.trim().split('\n').length === 1;
    };
    while (!(await isGone()) && Date.now() - begun < 10_000) await setTimeout(20);
    if (goesOn) await until(() => socket.destroyed, `${name}: the reset`);
    t.ok(Date.now() - begun < 4_000, `${name}: ${Date.now() - begun} ms`);
    clearInterval(sending);
    socket.destroy();
  }
});

t.test('a request of HTTP closes the connection, and nothing behind it is performed', async (t) => {
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  for (const first of ['POST / HTTP/1.1', 'Host: 127.0.0.1']) {
    const socket = await connect(kv);
    socket.write(`${first}\r\nSET hacked 1\r\n`);
    t.equal(String(await readAll(socket)), '');
    socket.destroy();
  }
  const client = await KvClient.connect(kv.port);
  t.equal(await client.ask('EXISTS', 'hacked'), 0);
  client.close();
});

t.test('who announces much holds no more than it has sent', async (t) => {
  const parser = new RequestParser();
  parser.add(bytes(`*1048576\r\n$3\r\nSET\r\n$${LONGEST_REQUEST / 2}\r\n`));
  t.notOk(parser.next());
  t.ok(parser.unfinished < 64);
  parser.add(Buffer.alloc(LONGEST_REQUEST / 2));
  t.notOk(parser.next());
  // No more than that may come, and it is refused before it does.
  parser.add(bytes(`\r\n$${LONGEST_REQUEST / 2}\r\n`));
  t.throws(() => parser.next(), new ProtocolError('too big request'));
});

t.test('a long request that trickles in takes time in proportion to its length', async (t) => {
  const time = (length: number): number => {
    const text = bytes(encode(['SET', 'k', 'v'.repeat(length)]) + 'x'.repeat(60_000) + '\r\n');
    const begun = process.hrtime.bigint();
    const found = parsed(
      (function* () {
        for (let at = 0; at < text.length; at += 16) yield text.subarray(at, at + 16);
      })(),
    );
    t.equal(found.length, 2);
    return Number(process.hrtime.bigint() - begun);
  };
  time(500_000);
  // Eight times as much: were it quadratic, sixty-four times as long.
  const [short, long] = [time(500_000), time(4_000_000)];
  t.ok(long < 24 * short, `${long} and ${short}`);
});

t.test('hostile bytes give typed errors only, and nobody else waits', async (t) => {
  const chance = new Chance(seed);
  const random = (): string => randomBytes(chance);
  const mutated = (): string => mutate(chance, everything.slice(0, 120));
  // All that is not a ProtocolError is thrown on.
  for (let run = 0; run < 20_000; run++) parsed([bytes(random()), bytes(random())]);
  for (let run = 0; run < 5_000; run++) parsed(cut(mutated(), () => 1 + chance.below(50)));
  const kv = await startKv();
  t.teardown(() => kv.end('SIGTERM'));
  const witness = await KvClient.connect(kv.port);
  for (let run = 0; run < 300; run++) {
    const socket = await connect(kv);
    // A server that ends with bytes unread resets the connection, perhaps while we ask the other client.
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end(bytes(run % 2 === 0 ? random() : mutated()));
    if (run % 20 === 0) t.equal(await witness.ask('PING'), 'PONG', `SKEIN_SEED=${seed}`);
    socket.resume();
    if (run % 10 === 0) await closed;
  }
  t.equal(await witness.ask('PING'), 'PONG');
  t.notMatch(kv.output(), /Error/);
  witness.close();
});
