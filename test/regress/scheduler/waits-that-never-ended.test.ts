// Waits for what a stream of Node's has done already, or cannot do any more. Each of them lasted for ever.

import { once as onceEvent } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { Duplex, PassThrough, Readable, Writable } from 'node:stream';
import t from 'tap';
import {
  type Co,
  drained,
  fromDuplex,
  iterate,
  once,
  pause,
  readBody,
  run,
  select,
  serveHttp,
  sleep,
  spawn,
  suspend,
  timeout,
  type UpgradeHandler,
  wait,
} from '../../../lib/index.ts';
import { reactor } from '../../support/connection/reactor.ts';
import { webSockets } from '../../../lib/ws/index.ts';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { startConnect, until } from '../../support/connection/peers.ts';
import { serverTls } from '../../support/connection/tls-pair.ts';
import { vanish, type WayName, WAYS } from '../../support/network/vanishing.ts';

const PATIENCE = 5_000;

/** What a wait ends with; it must end. */
function* outcome(body: () => Co<unknown>): Co<unknown> {
  try {
    return yield* timeout(PATIENCE, body);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
  }
}

function silent(options = {}): Duplex {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, onWritten) => onWritten(), ...options });
  return stream.on('error', () => {});
}

function* closed(stream: Duplex): Co<Duplex> {
  while (!stream.closed) yield* sleep(1);
  yield* sleep(1);
  return stream;
}

const EVENTS = ['end', 'finish', 'close', 'error', 'data', 'readable', 'drain'];

/** What waiting for each of them comes to. */
function* outcomes(stream: NodeJS.EventEmitter, events = EVENTS): Co<unknown> {
  const seen: Record<string, unknown> = {};
  for (const event of events) seen[event] = yield* outcome(() => once(stream, event) as Co<unknown>);
  return seen;
}

const WITHOUT_ERROR = EVENTS.filter((event) => event !== 'error');
const premature = 'ERR_STREAM_PREMATURE_CLOSE';

t.test('once sees what has become of a stream', (t) =>
  run(function* () {
    const destroyed = yield* closed(silent().destroy());
    t.strictSame(yield* outcomes(destroyed, WITHOUT_ERROR), {
      end: premature,
      finish: premature,
      close: [],
      data: premature,
      readable: premature,
      drain: premature,
    });
    const broken = yield* closed(silent().destroy(new Error('broken')));
    t.strictSame(yield* outcomes(broken), {
      end: 'broken',
      finish: 'broken',
      close: 'broken',
      error: [broken.errored],
      data: 'broken',
      readable: 'broken',
      drain: 'broken',
    });
    const ended = silent();
    ended.push(null);
    ended.resume().end();
    yield* closed(ended);
    t.strictSame(yield* outcomes(ended, WITHOUT_ERROR), {
      end: [],
      finish: [],
      close: [],
      data: premature,
      readable: premature,
      drain: premature,
    });
    for (const stream of [destroyed, broken, ended]) {
      t.same(
        EVENTS.map((event) => stream.listenerCount(event)).filter((count) => count > 1),
        [],
        'no listener is left',
      );
    }
  }),
);

t.test('once sees the end that comes while it waits for something else', (t) =>
  run(function* () {
    for (const [event, end, expected] of [
      ['data', (stream: Duplex) => stream.destroy(), premature],
      ['drain', (stream: Duplex) => stream.end(), premature],
      ['finish', (stream: Duplex) => stream.destroy(), premature],
      ['end', (stream: Duplex) => stream.destroy(new Error('broken')), 'broken'],
      ['readable', (stream: Duplex) => stream.destroy(), premature],
    ] as const) {
      const stream = silent();
      const waiting = spawn(() => outcome(() => once(stream, event) as Co<unknown>));
      yield* pause();
      end(stream);
      t.equal(yield* waiting.join(), expected, event);
      stream.destroy();
    }
  }),
);

t.test('an error on its way is heard by the one who waits, and ends no process', (t) =>
  run(function* () {
    const stream = new PassThrough();
    stream.destroy(new Error('broken'));
    t.equal(yield* outcome(() => once(stream, 'close') as Co<unknown>), 'broken');
    // Nobody is to hear of it twice.
    yield* sleep(1);
  }),
);

t.test('once is lost in a select, and listens no more, also over a stream that is closed', (t) =>
  run(function* () {
    const stream = yield* closed(silent().destroy());
    const first = yield* select({ closed: once(stream, 'close'), time: sleep(PATIENCE) });
    t.equal(first.key, 'closed');
    const other = yield* select({ closed: once(stream, 'close'), now: sleep(0) });
    t.ok(other.key);
    const again = once(stream, 'close');
    t.same([yield* again, yield* again], [[], []]);
    t.equal(stream.listenerCount('close'), 0);
  }),
);

t.test('once of other emitters and other events waits as before', (t) =>
  run(function* () {
    const stream = yield* closed(silent().destroy());
    const other = spawn(() => once(stream, 'other'));
    const pretender = Object.assign(new http.Agent(), { destroyed: true, closed: true });
    const plain = spawn(() => once(pretender, 'end'));
    yield* sleep(5);
    t.same([other.state, plain.state], ['suspended', 'suspended']);
    stream.emit('other', 1);
    pretender.emit('end', 2);
    t.same([yield* other.join(), yield* plain.join()], [[1], [2]]);
  }),
);

t.test('drained ends with its stream, whatever ends it', (t) =>
  run(function* () {
    const full = (options = {}): Writable => {
      const stream = new Writable({ highWaterMark: 1, ...options, write() {} }).on('error', () => {});
      stream.write('more than it wants');
      return stream;
    };
    const ending = (stream: Writable) => outcome(() => drained(stream) as Co<unknown>);
    for (const [end, expected] of [
      [(stream: Writable) => stream.destroy(), premature],
      [(stream: Writable) => stream.destroy(new Error('broken')), 'broken'],
    ] as const) {
      const [before, meanwhile] = [full(), full()];
      end(before);
      t.equal(yield* ending(before), expected);
      const waiting = spawn(() => ending(meanwhile));
      yield* pause();
      end(meanwhile);
      t.equal(yield* waiting.join(), expected);
    }
    // One that is not destroyed by its error, and one that somebody else ends.
    const kept = new Writable({
      autoDestroy: false,
      highWaterMark: 1,
      write: (_chunk, _encoding, onWritten) => setImmediate(onWritten, new Error('broken')),
    }).on('error', () => {});
    kept.write('more than it wants');
    yield* sleep(5);
    t.equal(yield* ending(kept), 'broken');
    let onWritten = (): void => {};
    const ended = new Writable({
      highWaterMark: 1,
      autoDestroy: false,
      write: (_chunk, _encoding, callback) => (onWritten = callback),
    });
    ended.write('more than it wants');
    const waiting = spawn(() => ending(ended));
    yield* pause();
    ended.end();
    onWritten();
    t.equal(yield* waiting.join(), undefined);
  }),
);

t.test('a body, a loop and a connection end with a stream that is over before they begin', (t) =>
  run(function* () {
    const failed = new Readable({
      autoDestroy: false,
      read() {
        throw new Error('broken');
      },
    }).on('error', () => {});
    failed.resume();
    yield* sleep(1);
    const body = (stream: Readable): Co<unknown> =>
      outcome(() => readBody(stream as http.IncomingMessage) as Co<unknown>);
    t.equal(yield* body(failed), 'broken');
    t.equal(yield* body(yield* closed(silent().destroy())), premature);
    t.equal(yield* body(yield* closed(silent().destroy(new Error('broken')))), 'broken');
    const loop = (stream: Readable): Co<unknown> => outcome(() => iterate(stream, function* () {}));
    t.equal(yield* loop(yield* closed(silent().destroy())), premature);
    t.equal(yield* loop(yield* closed(silent().destroy(new Error('broken')))), 'broken');
    const kept = silent({
      autoDestroy: false,
      write: (_c: unknown, _e: unknown, done: (error: Error) => void) => done(new Error('broken')),
    });
    kept.write('x');
    yield* sleep(1);
    t.throws(() => fromDuplex(kept), { code: 'ERR_STATE' });
  }),
);

t.test('a handshake ends with the stream beneath it, in both roles', { skip: noOpenssl }, (t) =>
  run(function* () {
    for (const isServer of [true, false]) {
      for (const reason of [undefined, new Error('broken')]) {
        const stream = silent();
        const conn = fromDuplex(stream);
        const options = isServer ? { ...serverTls(), isServer } : { servername: 'localhost' };
        const starting = spawn(() =>
          outcome(() => conn.startTls({ ...options, handshakeTimeout: Infinity })),
        );
        yield* sleep(5);
        stream.destroy(reason);
        t.match(yield* starting.join(), reason === undefined ? 'ECONNRESET' : /broken/);
      }
    }
  }),
);

/** What a user's `upgrade` may do with its stream. */
const upgrades: Record<string, UpgradeHandler> = {
  websocket: webSockets(function* (socket) {
    for (let message; (message = yield* socket.receive()) !== null;) yield* socket.send(message);
  }),
  *'at once'(_, stream) {
    stream.resume();
    yield* suspend<void>((resume) => stream.once('close', () => resume()));
  },
  *later(_, stream) {
    stream.on('error', () => {}).resume();
    yield* sleep(20);
    yield* once(stream, 'close');
  },
  *promise(_, stream) {
    stream.on('error', () => {}).resume();
    yield* wait(onceEvent(stream, 'close'));
  },
  *reading(_, stream) {
    yield* sleep(20);
    for (const conn = fromDuplex(stream); (yield* conn.read()) !== null;);
  },
  *iterating(_, stream) {
    yield* sleep(20);
    yield* iterate(stream, function* () {});
  },
};

const passive = new Set(['at once', 'later', 'promise']);

for (const [name, upgrade] of Object.entries(upgrades)) {
  t.test(`a client that vanishes while it upgrades keeps no slot (${name})`, async (t) => {
    const maxConnections = 8;
    const stop = new AbortController();
    let port = 0;
    let running = 0;
    const ended = run(() =>
      serveHttp(
        '127.0.0.1:0',
        function* (_, response) {
          response.end('a page');
        },
        {
          maxConnections,
          signal: stop.signal,
          grace: 5_000,
          onListening: (address) => (port = address.port),
          onError: (error) => errors.push(error),
          *upgrade(...all) {
            running++;
            try {
              if (name !== 'websocket') all[1].write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
              yield* upgrade(...all);
            } finally {
              running--;
            }
          },
        },
      ),
    );
    const errors: unknown[] = [];
    await until(() => port !== 0);
    for (const way of Object.keys(WAYS) as WayName[]) {
      // One that has ended its side may still read: who does not read, but only waits, cannot tell.
      if (way.startsWith('end ') && passive.has(name)) continue;
      await vanish(port, way, 3 * maxConnections);
      await until(() => running === 0 && reactor.open === 0, `the end of those that ${way}`);
      const good = await Promise.all(Array.from({ length: maxConnections }, () => served(port)));
      t.equal(good.length, maxConnections, way);
      for (const socket of good) socket.destroy();
    }
    stop.abort();
    await ended;
    await until(() => reactor.open === 0, 'all descriptors');
    const cutOff = errors.filter((error) => (error as NodeJS.ErrnoException).code === 'ERR_TIMEOUT');
    t.same(cutOff, []);
  });
}

/** A client that has been served and keeps its slot; others may have to leave before it gets one. */
async function served(port: number): Promise<net.Socket> {
  const deadline = Date.now() + 2 * PATIENCE;
  while (Date.now() < deadline) {
    const socket = startConnect({ port });
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const answer = await new Promise<Buffer | undefined>((resolve) =>
      socket.once('data', resolve).once('close', () => resolve(undefined)),
    );
    if (answer !== undefined) {
      if (String(answer).startsWith('HTTP/1.1 200')) return socket;
      throw new Error(`expected a page, got ${String(answer)}`);
    }
  }
  throw new Error('a good client was not served');
}
