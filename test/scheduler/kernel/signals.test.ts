import { EventEmitter, getEventListeners, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import {
  CancelledError,
  type Co,
  type Coroutine,
  current,
  pause,
  run,
  scope,
  type Scope,
  shield,
  sleep,
  spawn,
  suspend,
  timeout,
  TimeoutError,
  wait,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { forever, rejectionOf, virtually } from '../../support/scheduler/virtual.ts';

t.test("C5: a scope's signal aborts when it is cancelled, with the error of its operations", async (t) => {
  await virtually(function* () {
    const worker = spawn(forever);
    const { signal } = worker;
    t.ok(signal instanceof AbortSignal);
    t.equal(worker.signal, signal, 'it is one and the same');
    yield* pause();
    t.equal(signal.aborted, false);
    worker.cancel('reason');
    t.equal(signal.aborted, true);
    t.ok(signal.reason instanceof CancelledError);
    t.match(signal.reason, { name: 'AbortError', code: 'ABORT_ERR', cause: 'reason' });
    yield* errorOf(worker.join());
  });
});

t.test('C5: the signal of a scope that was cancelled before has aborted', async (t) => {
  await virtually(function* () {
    const worker = spawn(forever);
    worker.cancel('early');
    const { signal } = worker;
    t.equal(signal.aborted, true);
    t.match(signal.reason, { cause: 'early' });
    t.equal(worker.signal.reason, signal.reason, 'it keeps its reason');
    t.match(yield* errorOf(worker.join()), { cause: 'early' });
    let inner: AbortSignal | undefined;
    const late = spawn(function* () {
      current().cancel('oneself');
      yield* scope(function* (born) {
        inner = born.signal;
      });
    });
    yield* late.join();
    t.equal(inner?.aborted, true, 'one that is opened in a cancelled scope, too');
    t.match(inner?.reason, { cause: 'oneself' });
  });
});

t.test('C5: signals below abort with the tree, but not through a shield', async (t) => {
  await virtually(function* () {
    const signals: Record<string, AbortSignal> = {};
    const worker = spawn(function* () {
      signals['worker'] = current().signal;
      spawn(function* () {
        signals['child'] = current().signal;
        yield* errorOf(forever());
      });
      yield* scope(function* (inner) {
        signals['scope'] = inner.signal;
        yield* shield(function* () {
          spawn(function* () {
            signals['shielded child'] = current().signal;
            yield* sleep(3);
          });
          yield* scope(function* (shielded) {
            signals['shielded scope'] = shielded.signal;
            yield* sleep(3);
          });
        });
      });
    });
    const beside = spawn(() => sleep(5)).signal;
    yield* sleep(1);
    t.equal(Object.keys(signals).length, 5);
    worker.cancel('tree');
    for (const [name, signal] of Object.entries(signals)) {
      t.equal(signal.aborted, !name.startsWith('shielded'), name);
      if (signal.aborted) t.match(signal.reason, { cause: 'tree' });
    }
    t.equal(beside.aborted, false);
    yield* worker.join();
    t.equal(signals['shielded child']?.aborted, false, 'not later either');
  });
});

t.test('C2: the signal aborts when a child has failed, with that error as the cause', async (t) => {
  const failure = new Error('child');
  let signal: AbortSignal | undefined;
  await rejectionOf(
    virtually(function* () {
      ({ signal } = current());
      spawn(function* () {
        throw failure;
      });
      yield* forever();
    }),
  );
  t.match(signal?.reason, { name: 'AbortError', cause: failure });
});

t.test(
  'C10: the signal of a timeout aborts at its deadline, with the TimeoutError as the cause',
  async (t) => {
    await virtually(function* () {
      let signal: AbortSignal | undefined;
      const error = yield* errorOf(
        timeout(5, () =>
          scope(function* (inner) {
            ({ signal } = inner);
            yield* forever();
          }),
        ),
      );
      t.ok(error instanceof TimeoutError);
      t.equal(signal?.reason.cause, error);
    });
  },
);

t.test('the signal of a scope that ends by itself does not abort', async (t) => {
  await virtually(function* () {
    let ended!: Scope;
    yield* scope(function* (inner) {
      ended = inner;
      t.equal(inner.signal.aborted, false);
      spawn(() => sleep(3));
    });
    ended.cancel('too late');
    t.equal(ended.signal.aborted, false);
    t.equal(ended.cancelled, false);
  });
});

t.test('a scope that only daemons were left in has ended by itself, too', async (t) => {
  await virtually(function* () {
    let ended!: Scope;
    let daemon!: Coroutine<void>;
    let late!: Coroutine<void>;
    function* watch(): Co<void> {
      try {
        yield* forever();
      } finally {
        late = ended.spawn(forever);
      }
    }
    yield* scope(function* (inner) {
      ended = inner;
      t.equal(inner.signal.aborted, false);
      daemon = inner.spawn(watch, { daemon: true });
      yield* pause();
    });
    for (const one of [daemon, late]) {
      t.equal(one.state, 'cancelled');
      t.equal(one.cancelled, true);
      t.equal(one.signal.aborted, true);
    }
    t.equal(ended.cancelled, false);
    t.equal(ended.signal.aborted, false);
    const worker = spawn(function* () {
      spawn(forever, { daemon: true });
      return yield* forever();
    });
    yield* pause();
    worker.cancel();
    yield* errorOf(worker.join());
    t.equal(worker.signal.aborted, true, 'while one that was cut off has aborted');
  });
});

t.test('timeout and shield give their body its scope, whose signal aborts with it', async (t) => {
  await virtually(function* () {
    const signals: AbortSignal[] = [];
    function* body(inner: Scope): Co<void> {
      t.equal(current().scope, inner);
      signals.push(inner.signal);
      yield* forever();
    }
    t.ok((yield* errorOf(timeout(5, body))) instanceof TimeoutError);
    t.ok((yield* errorOf(shield(body, { timeout: 5 }))) instanceof TimeoutError);
    for (const signal of signals) {
      t.equal(signal.aborted, true);
      t.match(signal.reason, { name: 'AbortError', cause: { name: 'TimeoutError' } });
    }
    t.equal(signals.length, 2);
    const worker = spawn(() =>
      shield(function* (inner) {
        signals.push(inner.signal);
        yield* sleep(5);
      }),
    );
    yield* pause();
    worker.cancel();
    yield* worker.join();
    t.equal(signals[2]!.aborted, false, 'nor does that of a shield when its coroutine is cancelled');
  });
});

t.test('fetch with the signal of a scope is aborted with it', async (t) => {
  let isClosed!: () => void;
  const closed = new Promise<void>((resolve) => (isClosed = resolve));
  const server = createServer((_request, response) => {
    response.on('close', isClosed);
    response.write('the beginning');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await run(function* () {
    let isThere!: () => void;
    const begun = new Promise<void>((resolve) => (isThere = resolve));
    const failures: unknown[] = [];
    const client = spawn(() =>
      scope(function* (inner) {
        const response = yield* wait(fetch(url, { signal: inner.signal }));
        isThere();
        const text = response.text().catch((error: unknown) => failures.push(error));
        try {
          yield* wait(text);
        } finally {
          yield* shield(() => wait(text));
        }
      }),
    );
    yield* wait(begun);
    client.cancel('enough');
    t.match(yield* errorOf(client.join()), { name: 'AbortError', cause: 'enough' });
    t.equal(failures.length, 1);
    t.match(failures, [{ name: 'AbortError' }]);
    yield* wait(closed);
  });
  server.closeAllConnections();
  server.close();
});

t.test('events.once with the signal of a scope is aborted with it, and leaves no listener', async (t) => {
  const emitter = new EventEmitter();
  await run(function* () {
    const worker = spawn(function* () {
      const { signal } = current();
      const waiting = once(emitter, 'news', { signal });
      try {
        yield* wait(waiting);
      } finally {
        t.match(yield* shield(() => errorOf(wait(waiting))), {
          name: 'AbortError',
          cause: { cause: 'enough' },
        });
        t.equal(getEventListeners(signal, 'abort').length, 0);
      }
    });
    yield* sleep(1);
    t.equal(emitter.listenerCount('news'), 1);
    worker.cancel('enough');
    t.equal(emitter.listenerCount('news'), 0);
    yield* errorOf(worker.join());
  });
});

t.test('C11: listeners run when the whole tree is marked, and may cancel and spawn', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const workers = [0, 1, 2].map((index) =>
      spawn(
        function* () {
          spawn(() => forever());
          try {
            yield* suspend(() => () => log.push(`hook ${index}`));
          } finally {
            log.push(`worker ${index}`);
          }
        },
        { name: `worker ${index}` },
      ),
    );
    const group = workers[0]!.parent!;
    for (const [index, worker] of workers.entries()) {
      worker.signal.addEventListener('abort', () => {
        log.push(`listener ${index} ${workers.map((each) => each.cancelled).join(' ')}`);
        for (const each of workers) each.cancel('again');
        group.spawn(function* () {
          log.push(`spawned ${index}`);
        });
        worker.spawn(function* () {
          log.push(`spawned in the cancelled ${index} ${current().cancelled}`);
          yield* errorOf(pause());
        });
      });
    }
    yield* sleep(1);
    workers[1]!.cancel('first');
    for (const worker of workers) yield* errorOf(worker.join());
    t.match(workers[1]!.signal.reason, { cause: 'first' });
    t.match(workers[0]!.signal.reason, { cause: 'again' });
  });
  t.equal(log.filter((line) => line.startsWith('hook')).length, 3, 'each hook once');
  t.equal(log.filter((line) => line.startsWith('worker')).length, 3);
  t.equal(log.filter((line) => line.startsWith('spawned in')).length, 3);
  t.equal(log[0], 'listener 1 false true false');
});

t.test('C11: a listener that ends what a hook of the same tree waits for ends it once', async (t) => {
  await virtually(function* () {
    let resume!: (error?: unknown, value?: string) => void;
    let taken = 0;
    const worker = spawn(function* () {
      const waiter = spawn(() =>
        suspend<string>((give) => {
          resume = give;
          return () => taken++;
        }),
      );
      return yield* waiter.join();
    });
    worker.signal.addEventListener('abort', () => resume(null, 'served by a listener'));
    yield* sleep(1);
    worker.cancel();
    // The waiter's result came before its wait was ended: it wins (C6). The joiner has lost its wait by then.
    const error = yield* errorOf(worker.join());
    t.ok(error instanceof CancelledError);
    t.equal(taken, 0);
  });
});

t.test(
  'C11: a listener that throws is an uncaught exception, and everybody is cancelled all the same',
  async (t) => {
    const listeners = process.listeners('uncaughtException');
    const uncaught: unknown[] = [];
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    const failure = new Error('listener');
    const log: string[] = [];
    await run(function* () {
      const worker = spawn(function* () {
        spawn(function* () {
          log.push((yield* errorOf(forever())).name);
        });
        yield* forever();
      });
      worker.signal.addEventListener('abort', () => {
        throw failure;
      });
      worker.signal.addEventListener('abort', () => log.push('next listener'));
      yield* sleep(1);
      worker.cancel();
      yield* errorOf(worker.join());
      t.equal(worker.state, 'cancelled', 'it did not fail');
      yield* sleep(1);
    });
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
    t.strictSame(log, ['next listener', 'AbortError']);
    t.strictSame(uncaught, [failure]);
  },
);

t.test('run with a signal is cancelled by it, and leaves no listener on it', async (t) => {
  const controller = new AbortController();
  const { signal } = controller;
  const listening = (): number => getEventListeners(signal, 'abort').length;
  t.equal(
    await run(
      function* () {
        t.equal(listening(), 1);
        yield* pause();
        return 42;
      },
      { signal },
    ),
    42,
  );
  t.equal(listening(), 0);
  const failure = new Error('body');
  function* failing(): Co<void> {
    throw failure;
  }
  t.equal(await rejectionOf(run(failing, { signal })), failure);
  t.equal(listening(), 0);
  await rejectionOf(run(undefined as never, { signal }));
  t.equal(listening(), 0);
  const running = run(forever, { signal });
  await delay(1);
  controller.abort('enough');
  t.match(await rejectionOf(running), { name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' });
  t.equal(listening(), 0);
  let isStarted = false;
  const late = run(
    function* () {
      isStarted = true;
    },
    { signal },
  );
  t.match(await rejectionOf(late), { cause: 'enough' });
  t.equal(isStarted, false, 'a body is not started for a signal that has aborted');
  t.equal(listening(), 0);
});

t.test("a scope's signal serves run: a tree of its own is cancelled with the scope", async (t) => {
  await virtually(function* () {
    let inside: Promise<unknown> | undefined;
    const worker = spawn(function* () {
      const { signal } = current();
      inside = run(() => forever(), { signal });
      yield* wait(inside);
    });
    yield* sleep(1);
    worker.cancel('outer');
    t.match(yield* errorOf(worker.join()), { cause: 'outer' });
    t.match(yield* errorOf(wait(inside!)), {
      name: 'AbortError',
      cause: { name: 'AbortError', cause: 'outer' },
    });
    t.equal(getEventListeners(worker.signal, 'abort').length, 0);
  });
});
