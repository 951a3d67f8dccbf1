import t from 'tap';
import { Channel, type Co, run, sleep, toAsyncIterable } from '../../../scheduler/index.ts';
import { roots } from '../../../scheduler/kernel/coroutine.ts';
import { thrownBy } from '../../support/scheduler/virtual.ts';

function* send(channel: Channel<number>, ...values: number[]): Co<void> {
  for (const value of values) yield* channel.send(value);
  channel.close();
}

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}

t.test('toAsyncIterable gives the values of a channel until it is closed', async (t) => {
  for (const capacity of [0, 2, 10]) {
    const channel = new Channel<number>(capacity);
    const sending = run(() => send(channel, 1, 2, 3));
    t.same(await collect(toAsyncIterable(channel)), [1, 2, 3]);
    await sending;
    t.same(await collect(toAsyncIterable(channel)), [], 'it stays closed');
  }
});

t.test('toAsyncIterable takes a value only when it is asked for one', async (t) => {
  const channel = new Channel<number>();
  let sent = 0;
  const sending = run(function* () {
    for (; sent < 3; sent++) yield* channel.send(sent);
  });
  const iterator = toAsyncIterable(channel)[Symbol.asyncIterator]();
  await new Promise(setImmediate);
  t.equal(sent, 0);
  t.same(await iterator.next(), { done: false, value: 0 });
  await new Promise(setImmediate);
  t.equal(sent, 1);
  for await (const value of toAsyncIterable(channel)) if (value === 2) break;
  await sending;
});

t.test('toAsyncIterable: leaving the loop leaves nothing behind, and the channel as it is', async (t) => {
  const channel = new Channel<number>(5);
  for (const value of [1, 2, 3]) channel.trySend(value);
  for await (const value of toAsyncIterable(channel)) {
    t.equal(value, 1);
    break;
  }
  t.equal(channel.receivers.first, null);
  t.equal(roots.size, 0);
  t.notOk(channel.isClosed);
  t.equal(channel.tryReceive(), 2);
});

t.test('toAsyncIterable: return ends those who wait for a value, and takes none', async (t) => {
  const channel = new Channel<number>();
  const iterator = toAsyncIterable(channel)[Symbol.asyncIterator]();
  const waiting = [iterator.next(), iterator.next()];
  await new Promise(setImmediate);
  t.same(await iterator.return!(), { done: true, value: undefined });
  t.same(await Promise.all(waiting), [
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
  t.same(await iterator.next(), { done: true, value: undefined });
  t.equal(channel.receivers.first, null);
  t.notOk(channel.trySend(1), 'nobody receives');
  t.equal(roots.size, 0);
});

t.test('toAsyncIterable: a value that has arrived is not lost by return', async (t) => {
  const channel = new Channel<number>();
  const iterator = toAsyncIterable(channel)[Symbol.asyncIterator]();
  const waiting = iterator.next();
  await new Promise(setImmediate);
  t.ok(channel.trySend(1));
  void iterator.return!();
  t.same(await waiting, { done: false, value: 1 });
});

t.test('toAsyncIterable answers in the order of asking, and several readers share the values', async (t) => {
  const channel = new Channel<number>();
  const iterator = toAsyncIterable(channel)[Symbol.asyncIterator]();
  const asked = [iterator.next(), iterator.next(), iterator.next()];
  const sending = run(() => send(channel, 1, 2));
  t.same(await Promise.all(asked), [
    { done: false, value: 1 },
    { done: false, value: 2 },
    { done: true, value: undefined },
  ]);
  await sending;
  const buffered = new Channel<number>(2);
  const late = toAsyncIterable(buffered)[Symbol.asyncIterator]();
  const first = late.next();
  for (const value of [1, 2]) buffered.trySend(value);
  t.same(await Promise.all([first, late.next()]), [
    { done: false, value: 1 },
    { done: false, value: 2 },
  ]);
  const shared = new Channel<number>();
  const all = Promise.all([collect(toAsyncIterable(shared)), collect(toAsyncIterable(shared))]);
  await run(() => send(shared, 1, 2, 3, 4));
  t.same((await all).flat().toSorted(), [1, 2, 3, 4]);
});

t.test('toAsyncIterable expects a channel', async (t) => {
  t.match(
    thrownBy(() => toAsyncIterable([1] as never)),
    { name: 'TypeError', message: /expects a channel, got an array/ },
  );
  await run(() => sleep(0));
});
