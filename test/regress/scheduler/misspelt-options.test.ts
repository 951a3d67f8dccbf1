// Options: what is misspelt, and what 0 and Infinity stand for.

import { createServer, type Socket } from 'node:net';
import t from 'tap';
import {
  bindUdp,
  type Connection,
  delimited,
  dial,
  lengthPrefixed,
  listen,
  readBody,
  serve,
  serveHttp,
} from '../../../lib/index.ts';
import { dialWebSocket, serveWebSocket, webSockets } from '../../../lib/ws/index.ts';
import {
  Barrier,
  Channel,
  type Co,
  Condition,
  forEach,
  iterate,
  Latch,
  Mutex,
  type Operation,
  rateLimit,
  retry,
  run,
  RwLock,
  Scheduler,
  scope,
  Semaphore,
  shield,
  sleep,
  spawn,
  timeout,
  TimeoutError,
  WaitGroup,
} from '../../../scheduler/index.ts';
import { serverTls } from '../../support/connection/tls-pair.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { pair } from '../../support/connection/pair.ts';
import { forever, rejectionOf } from '../../support/scheduler/virtual.ts';

/** Where each function finds the options of which a test gives one. */
const TAKERS: Record<string, (options: never) => unknown> = {
  spawn: (options) => spawn(forever, options),
  'spawn of a scope': (options) =>
    scope(function* (inner) {
      inner.spawn(forever, options);
    }),
  Scheduler: (options) => new Scheduler(options),
  shield: (options) => shield(forever, options),
  retry: (options) => retry(options, forever),
  forEach: (options) => forEach([1], options, forever),
  iterate: (options) => iterate([1], forever, options),
  rateLimit: (options) => rateLimit(options),
  Channel: (options) => new Channel(0, options),
  Mutex: (options) => new Mutex(options),
  RwLock: (options) => new RwLock(options),
  Semaphore: (options) => new Semaphore(1, options),
  WaitGroup: (options) => new WaitGroup(options),
  Latch: (options) => new Latch(1, options),
  Barrier: (options) => new Barrier(1, options),
  Condition: (options) => new Condition(new Mutex(), options),
  listen: (options) => listen(0, options),
  dial: (options) => dial(1, options),
  bindUdp: (options) => bindUdp(0, options),
  serve: (options) => serve(0, forever, options),
  serveHttp: (options) => serveHttp(0, forever, options),
  serveWebSocket: (options) => serveWebSocket(0, forever, options),
  webSockets: (options) => webSockets(forever, options),
  readBody: (options) => readBody(undefined as never, options),
  delimited: (options) => delimited('\n', options),
  lengthPrefixed: (options) => lengthPrefixed(options),
};

/** The error of a call, or of what it gives. */
function* errorOfCall(call: () => unknown): Co<Error> {
  try {
    const made = call();
    if (typeof (made as Co<unknown> | undefined)?.next === 'function')
      return yield* errorOf(made as Co<unknown>);
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

t.test('an option that is misspelt is a TypeError that suggests the right one', async (t) => {
  const misspelt: [taker: string, option: string, suggested: string | RegExp][] = [
    ['spawn', 'nam', 'name'],
    ['spawn', 'onerror', 'onError'],
    ['spawn of a scope', 'deamon', 'daemon'],
    ['Scheduler', 'holdlimit', 'holdLimit'],
    ['Scheduler', 'clok', 'clock'],
    ['shield', 'timeOut', 'timeout'],
    ['retry', 'attemps', 'attempts'],
    ['retry', 'retries', /it has attempts, base, cap, when/],
    ['forEach', 'concurency', 'concurrency'],
    ['iterate', 'graze', 'grace'],
    ['rateLimit', 'brust', 'burst'],
    ['Channel', 'Name', 'name'],
    ['Mutex', 'title', /it has name/],
    ['RwLock', 'names', 'name'],
    ['Semaphore', 'maximun', 'maximum'],
    ['WaitGroup', 'naem', 'name'],
    ['Latch', 'nmae', 'name'],
    ['Barrier', 'nme', 'name'],
    ['Condition', 'nam', 'name'],
    ['listen', 'reuseport', 'reusePort'],
    ['listen', 'onlistening', 'onListening'],
    ['dial', 'timout', 'timeout'],
    ['dial', 'timeouts', 'timeout'],
    ['bindUdp', 'capactiy', 'capacity'],
    ['serve', 'maxConnection', 'maxConnections'],
    ['serve', 'idleTimeOut', 'idleTimeout'],
    ['serve', 'headersTimeout', /it has .*idleTimeout/],
    ['serveHttp', 'headerTimeout', 'headersTimeout'],
    ['serveHttp', 'keepAlive', 'keepAliveTimeout'],
    ['serveWebSocket', 'maxPayLoad', 'maxPayload'],
    ['serveWebSocket', 'upgrade', /it has /],
    ['webSockets', 'maxpayload', 'maxPayload'],
    ['readBody', 'limits', 'limit'],
    ['delimited', 'limt', 'limit'],
    ['lengthPrefixed', 'littleEndean', 'littleEndian'],
  ];
  await run(function* () {
    for (const [taker, option, suggested] of misspelt) {
      // What is right about the others does not matter.
      const error = yield* errorOfCall(() => TAKERS[taker]!({ [option]: 1 } as never));
      t.match(error, { name: 'TypeError' }, taker);
      const name = taker.split(' ')[0]!;
      t.match(error.message, `${name} has no option ${option}; `);
      t.match(error.message, typeof suggested === 'string' ? `did you mean ${suggested}?` : suggested);
    }
    for (const [taker, take] of Object.entries(TAKERS)) {
      for (const wrong of [null, 'options', 5, true]) {
        t.match(yield* errorOfCall(() => take(wrong as never)), { name: 'TypeError' }, taker);
      }
    }
  });
  t.match(await rejectionOf(run(forever, { asyncContexts: true } as never)), {
    name: 'TypeError',
    message: 'run has no option asyncContexts; did you mean asyncContext?',
  });
  t.match(await rejectionOf(run(forever, { signals: true } as never)), { message: /did you mean signal\?/ });
});

t.test('an option that is undefined or inherited is none, whatever its name', async (t) => {
  await run(function* () {
    const others = { concurrency: 1, foo: undefined } as never;
    yield* forEach([1], others, () => sleep(0));
    const inherited = Object.assign(Object.create({ foo: 1 }) as object, { name: 'x' });
    t.equal(spawn(() => sleep(0), inherited).name, 'x');
    yield* spawn(() => sleep(0), { daemon: false, bar: undefined } as never).join();
  });
});

t.test('options that are right are taken, one by one', (t) => {
  for (const options of [
    { bytes: 2 },
    { littleEndian: true },
    { limit: 5 },
    { bytes: 8, limit: undefined },
  ] as const) {
    lengthPrefixed(options);
  }
  delimited('\n', { limit: 5 });
  delimited('\n', { limit: undefined });
  t.end();
});

t.test('a limit of one line that is misspelt is told, too', async (t) => {
  await run(function* () {
    const { conn, peer, acceptor } = yield* pair();
    t.match(yield* errorOfCall(() => conn.readLine({ limits: 5 } as never)), {
      message: 'readLine has no option limits; did you mean limit?',
    });
    t.match(yield* errorOfCall(() => conn.readUntil('\n', { max: 5 } as never)), {
      message: 'readUntil has no option max; it has limit',
    });
    conn.close();
    peer.destroy();
    acceptor.close();
  });
});

t.test('options that are passed on to Node and to ws are not checked by name', async (t) => {
  await run(function* () {
    const tls = { ...serverTls(), honorCipherOrder: true, sessionTimeout: 5, another: 'one' };
    const acceptor = yield* listen(0, { tls });
    spawn(function* () {
      const conn = yield* acceptor.accept();
      yield* conn.write('hello');
      conn.close();
    });
    const conn = yield* dial(acceptor.address, { tls: { rejectUnauthorized: false, another: 1 } as never });
    t.equal(String(yield* conn.read()), 'hello');
    conn.close();
    acceptor.close();
    t.match(yield* errorOf(dialWebSocket('ws://127.0.0.1:1', { another: 1 } as never)), {
      code: 'ECONNREFUSED',
    });
  });
});

/** A server that accepts and says nothing. */
async function silence(): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Whether it has not ended after a time in which 0 ms would have. */
function* goesOn(wait: () => Co<unknown> | Operation<unknown>): Co<boolean> {
  const error = yield* errorOf(timeout(150, wait));
  return error instanceof TimeoutError && error.message === 'not done after 150 ms';
}

t.test('0 and Infinity mean never, for each time that silence or a phase may last', async (t) => {
  const silent = await silence();
  await run(function* () {
    for (const never of [0, Infinity]) {
      const tls = { rejectUnauthorized: false, handshakeTimeout: never };
      t.ok(yield* goesOn(() => dial(silent.port, { tls })), `handshakeTimeout ${never} of dial`);
      t.ok(yield* goesOn(() => dial(silent.port, { timeout: never, tls })), `timeout ${never} of dial`);
      const slow = { timeout: never, lookup: () => {} };
      t.ok(yield* goesOn(() => dial('slow.example:1', slow)), `timeout ${never} of dial`);
      const url = `ws://127.0.0.1:${silent.port}`;
      const patient = { handshakeTimeout: never };
      t.ok(yield* goesOn(() => dialWebSocket(url, patient)), `handshakeTimeout ${never} of dialWebSocket`);

      const acceptor = yield* listen(0, { tls: { ...serverTls(), handshakeTimeout: never } });
      const peer = yield* dial(acceptor.address);
      const accepting = spawn(() => acceptor.accept(), { onError: () => {} });
      t.ok(yield* goesOn(() => peer.read()), `handshakeTimeout ${never} of listen`);
      accepting.cancel();
      peer.reset();
      acceptor.close();

      const { conn, peer: other, acceptor: listening } = yield* pair();
      conn.idleTimeout = never;
      conn.requestTimeout = never;
      conn.keepAlive = never;
      other.write('a');
      t.equal(String(yield* conn.read()), 'a');
      t.ok(yield* goesOn(() => conn.read()), `idleTimeout, requestTimeout and keepAlive ${never}`);
      const starting = spawn(() => conn.startTls({ ...tls }), { onError: () => {} });
      t.ok(yield* goesOn(() => starting.join()), `handshakeTimeout ${never} of startTls`);
      starting.cancel();
      other.destroy();
      conn.reset();
      listening.close();
    }
  });
  silent.close();
});

t.test('0 means at once for grace and for the timeouts of bodies', async (t) => {
  await run(function* () {
    t.match(yield* errorOf(timeout(0, forever)), { name: 'TimeoutError' });
    t.match(yield* errorOf(shield(forever, { timeout: 0 })), { name: 'TimeoutError' });
  });
  const stop = new AbortController();
  const cutOff: unknown[] = [];
  let client: Connection | undefined;
  await run(() =>
    serve(0, forever, {
      grace: 0,
      signal: stop.signal,
      onError: (error) => cutOff.push(error),
      onListening: (address) =>
        void run(function* () {
          client = yield* dial(address);
          yield* sleep(20);
          stop.abort();
          yield* errorOf(client.read());
        }),
    }),
  );
  t.match(cutOff, [{ message: /^cut off after 0 ms of grace/ }]);
  client?.close();
});

t.test('a duration that makes no sense is a TypeError in our words', async (t) => {
  const durations: Record<string, (ms: never) => unknown> = {
    'the timeout of dial': (ms) => dial(1, { timeout: ms }),
    'the handshakeTimeout of the tls of dial': (ms) =>
      dial('host.example:1', { tls: { handshakeTimeout: ms } }),
    'the handshakeTimeout of the tls of listen': (ms) =>
      listen(0, { tls: { ...serverTls(), handshakeTimeout: ms } }),
    'the handshakeTimeout of dialWebSocket': (ms) =>
      dialWebSocket('ws://127.0.0.1:1', { handshakeTimeout: ms }),
    'the grace of serve': (ms) => serve(0, forever, { grace: ms }),
    'the idleTimeout of serve': (ms) => serve(0, forever, { idleTimeout: ms }),
    'the requestTimeout of serve': (ms) => serve(0, forever, { requestTimeout: ms }),
    'the headersTimeout of serveHttp': (ms) => serveHttp(0, forever, { headersTimeout: ms }),
    'the requestTimeout of serveHttp': (ms) => serveHttp(0, forever, { requestTimeout: ms }),
    'the keepAliveTimeout of serveHttp': (ms) => serveHttp(0, forever, { keepAliveTimeout: ms }),
  };
  await run(function* () {
    const { conn, peer, acceptor } = yield* pair();
    for (const name of ['idleTimeout', 'requestTimeout', 'keepAlive'] as const) {
      durations[name] = (ms) => {
        conn[name] = ms;
      };
    }
    for (const [what, call] of Object.entries(durations)) {
      for (const wrong of [NaN, -1, -Infinity, '5', null, 5n, {}]) {
        const error = yield* errorOfCall(() => call(wrong as never));
        t.match(error, { name: 'TypeError' }, `${what}: ${String(wrong)}`);
        t.match(error.message, `${what} expects milliseconds, 0 or more, got`);
      }
    }
    conn.close();
    peer.destroy();
    acceptor.close();
  });
});
