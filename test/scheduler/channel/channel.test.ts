import t from 'tap';
import {
  CancelledError,
  Channel,
  closed,
  ClosedError,
  type Co,
  type Coroutine,
  empty,
  pause,
  sleep,
  spawn,
} from '../../../scheduler/index.ts';
import { growthOfLeaving } from '../../support/scheduler/leaving.ts';
import { thrownBy, virtually } from '../../support/scheduler/virtual.ts';

function* sendAll<T>(channel: Channel<T>, values: Iterable<T>, log: string[] = []): Co<void> {
  for (const value of values) {
    yield* channel.send(value);
    log.push(`sent ${String(value)}`);
  }
}

function* receiveAll<T>(channel: Channel<T>, log: string[] = []): Co<T[]> {
  const values: T[] = [];
  for (let value; (value = yield* channel.receive()) !== closed;) {
    values.push(value);
    log.push(`received ${String(value)}`);
  }
  log.push('closed');
  return values;
}

t.test('H1: a rendezvous send returns after its value was taken', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const channel = new Channel<number>();
    spawn(() => sendAll(channel, [1, 2], log));
    yield* sleep(5);
    log.push('nobody has received');
    t.equal(channel.length, 0);
    log.push(`received ${String(yield* channel.receive())}`);
    yield* sleep(5);
    log.push(`received ${String(yield* channel.receive())}`);
  });
  t.strictSame(log, ['nobody has received', 'received 1', 'sent 1', 'received 2', 'sent 2']);
});

t.test('H1: a receiver that waits has the value before its sender goes on', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const channel = new Channel<number>();
    spawn(() => receiveAll(channel, log));
    yield* pause();
    // The sender does not even suspend; the receiver is queued, not run (S2).
    yield* channel.send(1);
    log.push('sent 1');
    yield* pause();
    channel.close();
  });
  t.strictSame(log, ['sent 1', 'received 1', 'closed']);
});

for (const capacity of [1, 3]) {
  t.test(`H1: with a capacity of ${capacity} a send waits only while the buffer is full`, async (t) => {
    const log: string[] = [];
    await virtually(function* () {
      const channel = new Channel<number>(capacity);
      t.equal(channel.capacity, capacity);
      spawn(() => sendAll(channel, [1, 2, 3, 4, 5], log));
      yield* pause();
      t.equal(log.length, capacity);
      t.equal(channel.length, capacity);
      yield* channel.receive();
      t.equal(channel.length, capacity, 'the value of the one who waited has moved up');
      yield* pause();
      t.equal(log.length, capacity + 1);
      for (let value = 2; value <= 5; value++) t.equal(yield* channel.receive(), value);
      t.equal(channel.length, 0);
    });
  });
}

t.test('a channel without bounds never makes its senders wait', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>(Infinity);
    for (let value = 0; value < 100_000; value++) yield* channel.send(value);
    t.equal(channel.length, 100_000);
    let isInOrder = true;
    for (let value = 0; value < 100_000; value++) isInOrder &&= (yield* channel.receive()) === value;
    t.ok(isInOrder);
    t.equal(channel.tryReceive(), empty);
  });
});

t.test('values come in order while the buffer wraps around and grows', (t) => {
  const channel = new Channel<number>(Infinity);
  let next = 0;
  let expected = 0;
  for (let round = 1; round < 60; round++) {
    for (let count = round; count > 0; count--) channel.trySend(next++);
    for (let count = round - 1; count > 0; count--) t.equal(channel.tryReceive(), expected++);
  }
  t.equal(channel.length, next - expected);
  while (channel.length > 0) t.equal(channel.tryReceive(), expected++);
  t.end();
});

t.test('H2: receivers are served first come, first served, each with a value of its own', async (t) => {
  const log: string[] = [];
  await virtually(function* () {
    const channel = new Channel<number>();
    for (const name of ['a', 'b', 'c']) {
      spawn(function* () {
        log.push(`${name} ${String(yield* channel.receive())}`);
      });
    }
    yield* pause();
    t.ok(channel.trySend(1));
    t.ok(channel.trySend(2));
    // It goes straight to those who were served: nobody who comes now can take it from them.
    t.equal(channel.tryReceive(), empty);
    t.ok(channel.trySend(3));
    t.notOk(channel.trySend(4), 'nobody is left');
  });
  t.strictSame(log, ['a 1', 'b 2', 'c 3']);
});

t.test('H2: senders are served first come, first served, with a buffer and without', async (t) => {
  for (const capacity of [0, 2]) {
    const log: string[] = [];
    await virtually(function* () {
      const channel = new Channel<string>(capacity);
      for (const name of ['a', 'b', 'c', 'd', 'e']) spawn(() => sendAll(channel, [name], log));
      yield* pause();
      for (const name of ['a', 'b', 'c', 'd', 'e']) t.equal(channel.tryReceive(), name);
      t.equal(channel.tryReceive(), empty);
    });
    t.strictSame(log, ['sent a', 'sent b', 'sent c', 'sent d', 'sent e'], `capacity ${capacity}`);
  }
});

t.test('H2: one that was cancelled does not hold up those behind', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>();
    const senders = [1, 2, 3].map((value) => spawn(() => channel.send(value)));
    yield* pause();
    senders[0]!.cancel();
    senders[1]!.cancel();
    t.equal(yield* channel.receive(), 3);
    const receivers = [1, 2, 3].map(() => spawn(() => channel.receive()));
    yield* pause();
    receivers[1]!.cancel();
    yield* channel.send(4);
    yield* channel.send(5);
    t.equal(yield* receivers[0]!.join(), 4);
    t.equal(yield* receivers[2]!.join(), 5);
    t.notOk(channel.trySend(6));
  });
});

t.test('C6: what was handed over is delivered, though its coroutine was cancelled since', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>();
    let got: unknown;
    let error: unknown;
    const receiver = spawn(function* () {
      got = yield* channel.receive();
      try {
        yield* pause();
      } catch (thrown) {
        error = thrown;
        throw thrown;
      }
    });
    yield* pause();
    t.ok(channel.trySend(1));
    receiver.cancel();
    yield* pause();
    t.equal(got, 1);
    t.ok(error instanceof CancelledError, 'and the next operation throws');
  });
});

t.test('H3: a closed channel is drained, then gives closed, again and again', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>(3);
    yield* sendAll(channel, [1, 2]);
    t.notOk(channel.isClosed);
    channel.close();
    t.ok(channel.isClosed);
    t.equal(channel.length, 2);
    t.equal(yield* channel.receive(), 1);
    t.equal(channel.tryReceive(), 2);
    t.equal(yield* channel.receive(), closed);
    t.equal(channel.tryReceive(), closed);
    t.strictSame(yield* receiveAll(channel), []);
  });
});

t.test('H3: sending on a closed channel throws, and closing it again does', async (t) => {
  await virtually(function* () {
    for (const capacity of [0, 1]) {
      const channel = new Channel<number>(capacity, { name: 'jobs' });
      channel.close();
      t.throws(() => channel.close(), new ClosedError('jobs is closed already'));
      t.throws(() => channel.trySend(1), new ClosedError('cannot send on jobs: it is closed'));
      const sender = spawn(() => channel.send(1), { onError: () => {} });
      let error: Error | undefined;
      try {
        yield* sender.join();
      } catch (thrown) {
        error = thrown as Error;
      }
      t.match(error, {
        name: 'ClosedError',
        code: 'ERR_CLOSED',
        message: 'cannot send on jobs: it is closed',
      });
    }
  });
});

t.test('H3: closing wakes everyone: receivers with closed, senders with an error', async (t) => {
  await virtually(function* () {
    const idle = new Channel<number>();
    const receivers = [1, 2, 3].map(() => spawn(() => idle.receive()));
    const full = new Channel<number>(1, { name: 'full' });
    const log: string[] = [];
    const senders = [1, 2, 3].map((value) =>
      spawn(() => sendAll(full, [value], log), { onError: (error) => log.push((error as Error).message) }),
    );
    yield* pause();
    idle.close();
    full.close();
    for (const receiver of receivers) t.equal(yield* receiver.join(), closed);
    yield* pause();
    t.strictSame(log, ['sent 1', ...Array<string>(2).fill('cannot send on full: it is closed')]);
    t.ok(senders.every((one) => one.state !== 'suspended'));
    t.equal(yield* full.receive(), 1, 'what was sent before is still there');
    t.equal(yield* full.receive(), closed, 'what was not sent is not');
  });
});

t.test("H3: the error of a sender that waited bears the sender's own stack", async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>();
    let error: Error | undefined;
    spawn(function* sendInVain() {
      try {
        yield* channel.send(1);
      } catch (thrown) {
        error = thrown as Error;
      }
    });
    yield* pause();
    channel.close();
    yield* pause();
    t.match(error?.stack, /sendInVain/);
  });
});

t.test('trySend and tryReceive never wait, and work outside of coroutines', (t) => {
  const rendezvous = new Channel<number>();
  t.equal(rendezvous.trySend(1), false);
  t.equal(rendezvous.tryReceive(), empty);
  const buffered = new Channel<number | undefined>(1);
  t.equal(buffered.trySend(undefined), true);
  t.equal(buffered.trySend(2), false);
  t.equal(buffered.length, 1);
  t.equal(buffered.tryReceive(), undefined, 'undefined is a value like any other');
  t.equal(buffered.tryReceive(), empty);
  t.end();
});

t.test('an operation may be performed again: a send sends again, a receive receives the next', async (t) => {
  await virtually(function* () {
    const channel = new Channel<number>();
    const send = channel.send(7);
    spawn(function* () {
      yield* send;
      yield* send;
    });
    const receive = channel.receive();
    t.equal(yield* receive, 7);
    t.equal(yield* receive, 7);
    t.equal(channel.tryReceive(), empty);
  });
});

t.test('a capacity is a whole number or Infinity', (t) => {
  for (const bad of [-1, 1.5, NaN, -Infinity, '3', null, {}, 3n]) {
    const error = thrownBy(() => new Channel(bad as number));
    t.ok(error instanceof TypeError);
    t.match(error.message, /^Channel expects a whole number, 0 or more, as its capacity, got /);
  }
  t.equal(new Channel().capacity, 0);
  t.equal(new Channel(undefined, {}).capacity, 0);
  t.equal(new Channel(Infinity).capacity, Infinity);
  t.end();
});

t.test('I1: those who wait say for what, and how many they are', async (t) => {
  await virtually(function* () {
    const jobs = new Channel<number>(0, { name: 'jobs' });
    const nameless = new Channel<number>();
    const waiting: Coroutine<unknown>[] = [spawn(() => jobs.receive()), spawn(() => nameless.send(1))];
    yield* pause();
    t.strictSame(
      waiting.map((one) => one.describe()),
      ['receiving from jobs', 'sending to a channel'],
    );
    for (const body of [() => jobs.receive(), () => jobs.receive(), () => nameless.send(2)]) {
      waiting.push(spawn<unknown>(body));
    }
    yield* pause();
    t.equal(waiting[0]!.describe(), 'receiving from jobs (3 waiting)');
    t.equal(waiting[1]!.describe(), 'sending to a channel (2 waiting)');
    for (const one of waiting) one.cancel();
  });
});

t.test(
  'H5: those who wait on one channel leave it as quickly among many as among few, in any order',
  async (t) => {
    await virtually(function* () {
      const channel = new Channel<number>();
      const growth = yield* growthOfLeaving(() => channel.receive());
      t.ok(growth < 20, `${growth.toFixed(1)} times dearer among fifty times as many`);
      t.notOk(channel.trySend(1), 'nobody is left');
    });
  },
);
