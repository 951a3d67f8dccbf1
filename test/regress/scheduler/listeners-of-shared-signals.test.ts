// AbortSignals that many share: Node takes more than ten listeners for a leak.

import { getEventListeners } from 'node:events';
import t from 'tap';
import { dial, serve } from '../../../lib/index.ts';
import {
  all,
  type Co,
  current,
  once,
  pause,
  run,
  scope,
  shield,
  sleep,
  spawn,
  timeout,
  wait,
} from '../../../scheduler/index.ts';
import { watchSignal } from '../../../scheduler/kernel/signals.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, rejectionOf } from '../../support/scheduler/virtual.ts';

const warnings: Error[] = [];
// The test runner may use what a newer Node warns of.
const onWarning = (warning: Error): void => {
  if (warning.name === 'MaxListenersExceededWarning') warnings.push(warning);
};
process.on('warning', onWarning);
t.teardown(() => process.off('warning', onWarning));

/** The warnings so far; Node gives them in a tick of their own. */
async function warned(): Promise<Error[]> {
  await new Promise(setImmediate);
  return warnings.splice(0);
}

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

t.test(
  'runs, servers and waits that share a signal have one listener of it, and none in the end',
  async (t) => {
    const shutdown = new AbortController();
    const { signal } = shutdown;
    const log: string[] = [];
    const ended: Promise<unknown>[] = [];
    const listening: (() => Promise<void>)[] = [];
    for (let index = 0; index < 12; index++) {
      ended.push(rejectionOf(run(forever, { signal })).then((error) => log.push(error.name)));
      listening.push(
        () =>
          new Promise((resolve) => {
            const onListening = (): void => resolve();
            ended.push(run(() => serve(0, forever, { signal, onListening })).then(() => log.push('served')));
          }),
      );
      ended.push(run(() => once(signal, 'abort')).then((event) => log.push(event.type)));
    }
    await Promise.all(listening.map((listen) => listen()));
    t.equal(listenersOf(signal), 1);
    for (let index = 0; index < 100; index++) await run(() => pause(), { signal });
    t.equal(listenersOf(signal), 1);
    shutdown.abort('enough');
    await Promise.all(ended);
    t.equal(log.filter((name) => name === 'AbortError').length, 12);
    t.equal(log.filter((name) => name === 'served').length, 12);
    t.equal(log.filter((name) => name === 'abort').length, 12);
    t.equal(listenersOf(signal), 0);
    t.same(await warned(), []);
  },
);

t.test('a signal has no listener of ours once nobody is left that it could concern', async (t) => {
  const { signal } = new AbortController();
  const runs = Array.from({ length: 20 }, (_, index) => run(() => sleep(index % 3), { signal }));
  t.equal(listenersOf(signal), 1);
  await Promise.all(runs);
  t.equal(listenersOf(signal), 0);
  await rejectionOf(run(() => all([() => once(signal, 'abort'), failing]), { signal }));
  t.equal(listenersOf(signal), 0);
  await run(() => sleep(0), { signal });
  t.equal(listenersOf(signal), 0);
});

function* failing(): Co<never> {
  yield* pause();
  throw new Error('the end of all');
}

t.test('an abort comes in the order of asking, and to nobody that an earlier one has ended', async (t) => {
  const controller = new AbortController();
  const { signal } = controller;
  const log: unknown[] = [];
  watchSignal(signal, ({ type, target }) => log.push(type, target === signal));
  const unwatch = [1, 2, 3].map((number) =>
    watchSignal(signal, () => {
      log.push(number);
      unwatch[2]!();
      unwatch[0]!();
    }),
  );
  const gone = watchSignal(signal, () => log.push('gone'));
  gone();
  gone();
  watchSignal(signal, () => {
    // It has aborted: who asks now is not told.
    watchSignal(signal, () => log.push('too late'))();
    log.push('last');
  });
  controller.abort();
  controller.abort();
  t.same(log, ['abort', true, 1, 2, 'last']);
  t.equal(listenersOf(signal), 0);
});

t.test('one that throws when a signal aborts keeps it from nobody else', async (t) => {
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const uncaught: unknown[] = [];
  process.on('uncaughtException', (error) => uncaught.push(error));
  const controller = new AbortController();
  const failure = new Error('of a listener');
  watchSignal(controller.signal, () => {
    throw failure;
  });
  const running = rejectionOf(run(forever, { signal: controller.signal }));
  controller.abort('reason');
  t.match(await running, { name: 'AbortError', cause: 'reason' });
  while (uncaught.length === 0) await new Promise(setImmediate);
  process.removeAllListeners('uncaughtException');
  for (const listener of listeners) process.on('uncaughtException', listener);
  t.same(uncaught, [failure]);
});

t.test('a signal of ours may have as many listeners as users add', async (t) => {
  const heard: string[] = [];
  function listenTo(signal: AbortSignal, name: string): void {
    for (let index = 0; index < 12; index++) {
      signal.addEventListener('abort', () => heard.push(name), { once: true });
    }
  }
  await run(function* () {
    listenTo(current().signal, 'run');
    yield* scope(function* (inner) {
      listenTo(inner.signal, 'scope');
      yield* pause();
    });
    const worker = spawn(function* () {
      listenTo(current().signal, 'spawn');
      yield* forever();
    });
    yield* pause();
    worker.cancel();
    yield* errorOf(worker.join());
    yield* errorOf(
      timeout(1, function* (inner) {
        listenTo(inner.signal, 'timeout');
        yield* wait((signal) => (listenTo(signal, 'wait'), new Promise(() => {})));
      }),
    );
    yield* shield(function* (inner) {
      listenTo(inner.signal, 'shield');
      yield* pause();
    });
  });
  for (const name of ['spawn', 'timeout', 'wait']) {
    t.equal(heard.filter((one) => one === name).length, 12, name);
  }
  t.equal(heard.length, 36);
  t.same(await warned(), []);
});

t.test('a server gives its shutdown to each request', async (t) => {
  const shutdown = new AbortController();
  let requests = 0;
  await run(() =>
    serve(
      0,
      function* (conn) {
        yield* conn.read();
        void run(forever, { signal: shutdown.signal }).catch(() => {});
        yield* conn.write('done');
      },
      {
        signal: shutdown.signal,
        onListening: (address) =>
          void run(function* () {
            for (; requests < 30; requests++) {
              const conn = yield* dial(address);
              yield* conn.write('do');
              yield* conn.read();
              conn.close();
            }
            t.equal(listenersOf(shutdown.signal), 1);
            shutdown.abort();
          }),
      },
    ),
  );
  t.equal(requests, 30);
  t.equal(listenersOf(shutdown.signal), 0);
  t.same(await warned(), []);
});
