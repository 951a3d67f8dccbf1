// The mixed warm-up: uses every kind of operation, with values of several kinds, as a process that has
// served for a while has. Engines make code fast for what they have seen; this one has seen everything.

import { Mutex, Semaphore, wait, WaitGroup } from 'skein';
import { after, type Co, Channel, closed, dial, every, listen, never, pause, run, scope } from 'skein';
import { select, serve, shield, sleep, spawn, suspend, timeout, TimeoutError, trySelect } from 'skein';

const ROUNDS = 2000;

export async function useEverything(): Promise<void> {
  await run(function* () {
    for (let round = 0; round < ROUNDS; round++) {
      yield* channels(round);
      yield* selects(round);
      yield* endings(round);
      yield* interop(round);
      yield* together(round);
      if (round % 20 === 0) yield* times();
    }
    yield* sockets();
  });
}

/** Channels of several kinds of values, with and without a buffer, to their end. */
function* channels(round: number): Co<void> {
  const values = [round, `${round}`, { round }, undefined, [round], round / 3];
  for (const capacity of [0, 1, 3, Infinity]) {
    const channel = new Channel<unknown>(capacity);
    spawn(function* () {
      for (const value of values) yield* channel.send(value);
      channel.close();
    });
    channel.tryReceive();
    while ((yield* channel.receive()) !== closed) if (round % 5 === 0) yield* pause();
  }
}

/** Select over two to five cases of every kind, ready and not. */
function* selects(round: number): Co<void> {
  const numbers = new Channel<number>(1);
  const words = new Channel<string>();
  const speaker = spawn(() => words.send('word'));
  yield* select({ word: words.receive(), number: numbers.receive() });
  yield* select({ send: numbers.send(round), word: words.receive(), off: never });
  yield* select({
    number: numbers.receive(),
    word: words.receive(),
    late: after(1000),
    end: speaker.join(),
    called: suspend<void>((resume) => resume()),
  });
  yield* select({ nap: pause(), tick: every(1000), word: words.receive() });
  trySelect({ number: numbers.receive(), word: words.receive() });
  numbers.tryReceive();
  yield* select({
    number: numbers.receive(),
    called: suspend<void>((resume) => void queueMicrotask(resume)),
  });
}

/** Coroutines that return, fail, are cancelled, and end with their scope. */
function* endings(round: number): Co<void> {
  const channel = new Channel<number>();
  const waits = [
    () => channel.receive(),
    () => channel.send(round),
    () => sleep(1000),
    () => suspend(() => () => {}),
    () => select({ one: channel.receive(), late: after(1000) }),
    () => never,
  ];
  yield* scope(function* (jobs) {
    const all = waits.map((body) => jobs.spawn(body));
    const waiter = jobs.spawn(() => all[0]!.join());
    jobs.spawn(() => sleep(1000), { daemon: true });
    yield* pause();
    waiter.cancel();
    for (const one of all) one.cancel(round);
  });
  try {
    yield* scope(function* (jobs) {
      jobs.spawn(function* () {
        yield* pause();
        throw new Error('as planned');
      });
      yield* shield(() => pause());
      yield* sleep(1000);
    });
  } catch {
    // It was to fail.
  }
  spawn(
    function* () {
      throw new Error('as planned');
    },
    { onError: () => {} },
  );
  const answer = yield* timeout(1000, function* () {
    yield* pause();
    return round;
  });
  const receiver = spawn(() => channel.receive());
  yield* spawn(() => channel.send(answer), { name: 'sender' }).join();
  yield* receiver.join();
}

/** What code written for co yields, and callbacks. */
function* interop(round: number): Co<void> {
  yield Promise.resolve(round);
  yield (callback: (error: unknown, value: number) => void) => callback(null, round);
  yield [Promise.resolve(1), pause()];
  yield* suspend<number>((resume) => void setImmediate(resume, null, round));
}

/** What several share, and several at once. */
function* together(round: number): Co<void> {
  const mutex = new Mutex();
  const places = new Semaphore(2);
  const group = new WaitGroup();
  for (let i = 0; i < 3; i++) {
    group.add();
    spawn(function* () {
      yield* mutex.lock();
      yield* places.acquire();
      yield* pause();
      places.release();
      mutex.unlock();
      group.done();
    });
  }
  yield* group.wait();
  yield* wait(Promise.resolve(round));
}

function* times(): Co<void> {
  yield* sleep(1);
  yield* select({ a: after(1), b: every(1) });
  try {
    yield* timeout(1, () => sleep(1000));
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
  }
}

/** A server with a few clients. */
function* sockets(): Co<void> {
  const acceptor = yield* listen(0);
  const server = spawn(() =>
    serve(acceptor, function* (conn) {
      for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
    }),
  );
  yield* scope(function* (clients) {
    for (let i = 0; i < 4; i++) {
      clients.spawn(function* () {
        const conn = yield* dial(acceptor.address);
        for (let n = 0; n < 100; n++) {
          yield* conn.write(n % 2 === 0 ? 'ping' : Buffer.from('pong'));
          yield* conn.read();
        }
        conn.close();
      });
    }
  });
  server.cancel();
}
