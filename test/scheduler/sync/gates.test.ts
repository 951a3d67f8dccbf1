import t from 'tap';
import {
  Barrier,
  type Co,
  Latch,
  pause,
  type Permit,
  Semaphore,
  sleep,
  spawn,
  StateError,
  WaitGroup,
} from '../../../scheduler/index.ts';
import { forever, thrownBy, virtually } from '../../support/scheduler/virtual.ts';

t.test('a semaphore lets so many in at a time, first come, first served', async (t) => {
  const downloads = new Semaphore(2);
  const log: string[] = [];
  function* download(name: string): Co<void> {
    using permit = yield* downloads.acquire();
    log.push(`${name} in`);
    yield* sleep(1);
    log.push(`${name} out`);
    t.equal(permit.count, 1);
  }
  await virtually(function* () {
    for (const name of ['a', 'b', 'c', 'd']) spawn(() => download(name));
    yield* pause();
    t.equal(downloads.available, 0);
    t.equal(downloads.waiting, 2);
  });
  t.strictSame(log, ['a in', 'b in', 'a out', 'b out', 'c in', 'd in', 'c out', 'd out']);
  t.equal(downloads.available, 2);
});

t.test('one who asks for many permits is not starved by those who ask for few', async (t) => {
  const semaphore = new Semaphore(3);
  const log: string[] = [];
  function* take(name: string, count: number): Co<void> {
    using _ = yield* semaphore.acquire(count);
    log.push(name);
    yield* sleep(1);
  }
  await virtually(function* () {
    spawn(() => take('one', 1));
    spawn(() => take('all', 3));
    spawn(() => take('another', 1));
    yield* pause();
    t.equal(semaphore.available, 2);
    t.equal(semaphore.tryAcquire(), undefined, 'nobody passes those who wait');
    t.equal(semaphore.waiting, 2);
  });
  t.strictSame(log, ['one', 'all', 'another']);
});

t.test('when the first who waits gives up, those behind it may fit', async (t) => {
  const semaphore = new Semaphore(3);
  await virtually(function* () {
    using _ = yield* semaphore.acquire(2);
    const big = spawn(() => semaphore.acquire(3));
    const small = spawn(() => semaphore.acquire(1));
    yield* pause();
    big.cancel();
    t.equal(semaphore.available, 0, 'at that moment');
    (yield* small.join()).release();
    t.equal(semaphore.available, 1);
  });
});

t.test('permits go back once, and never above the maximum', async (t) => {
  const semaphore = new Semaphore(2, { name: 'slots' });
  let permit: Permit | undefined;
  {
    using held = semaphore.tryAcquire();
    held?.release();
    permit = held;
    t.equal(semaphore.available, 2);
  }
  t.equal(permit?.isHeld, false);
  t.match(
    thrownBy(() => permit?.release()),
    { name: 'StateError', message: /^cannot release slots: this permit was/ },
  );
  const error = thrownBy(() => semaphore.release());
  t.ok(error instanceof StateError);
  t.equal(error.message, 'cannot release 1 of slots: 2 of at most 2 are available already');
  semaphore.tryAcquire(2);
  semaphore.release();
  t.throws(() => semaphore.release(2), StateError);
  t.equal(semaphore.available, 1, 'an error changes nothing');
});

t.test('a semaphore that begins with nothing counts what others release', async (t) => {
  const items = new Semaphore(0, { maximum: Infinity });
  const log: string[] = [];
  await virtually(function* () {
    spawn(function* () {
      yield* items.acquire(2);
      log.push('two');
    });
    yield* pause();
    items.release();
    yield* pause();
    log.push('not yet');
    items.release(5);
    yield* pause();
  });
  t.strictSame(log, ['not yet', 'two']);
  t.equal(items.available, 4);
  const unlimited = new Semaphore(Infinity);
  t.equal(unlimited.tryAcquire(1000)?.count, 1000);
  t.equal(unlimited.available, Infinity);
});

t.test('a wait group waits until all that was added is done, again and again', async (t) => {
  const group = new WaitGroup();
  const log: string[] = [];
  await virtually(function* () {
    yield* group.wait();
    for (const round of [1, 2]) {
      group.add(2);
      group.add();
      for (const ms of [1, 2, 3]) {
        spawn(function* () {
          yield* sleep(ms);
          log.push(`${round}.${ms}`);
          group.done();
        });
      }
      const others = ['a', 'b'].map((name) =>
        spawn(function* () {
          yield* group.wait();
          log.push(name);
        }),
      );
      yield* pause();
      t.equal(group.waiting, 2);
      yield* group.wait();
      t.equal(group.count, 0);
      for (const other of others) yield* other.join();
    }
  });
  t.strictSame(log, ['1.1', '1.2', '1.3', 'a', 'b', '2.1', '2.2', '2.3', 'a', 'b']);
});

t.test('those who waited when the count was zero go on, even if it rises before they run', async (t) => {
  const group = new WaitGroup();
  group.add();
  await virtually(function* () {
    const waiter = spawn(() => group.wait());
    yield* pause();
    group.done();
    group.add();
    yield* waiter.join();
    t.equal(group.count, 1);
  });
});

t.test('a latch opens when it was counted down, and stays open', async (t) => {
  const started = new Latch(3);
  const log: string[] = [];
  await virtually(function* () {
    for (const name of ['a', 'b']) {
      spawn(function* () {
        yield* started.wait();
        log.push(name);
      });
    }
    yield* pause();
    t.equal(started.waiting, 2);
    started.countDown();
    started.countDown();
    t.equal(started.count, 1);
    yield* pause();
    t.equal(started.isOpen, false);
    log.push('open');
    started.countDown();
    t.equal(started.isOpen, true);
    yield* pause();
    yield* started.wait();
  });
  t.strictSame(log, ['open', 'a', 'b']);
  t.equal(new Latch().count, 1);
  t.equal(new Latch(0).isOpen, true);
});

t.test('a barrier lets all go when the last has come, round after round', async (t) => {
  const barrier = new Barrier(3);
  const log: string[] = [];
  await virtually(function* () {
    for (const ms of [3, 1, 2]) {
      spawn(function* () {
        for (const round of [1, 2]) {
          yield* sleep(ms);
          log.push(`${ms} arrives`);
          const place = yield* barrier.wait();
          log.push(`${round}: ${ms} was ${place}`);
        }
      });
    }
    yield* sleep(2.5);
    t.equal(barrier.waiting, 2);
  });
  const round = (number: number) => [
    '1 arrives',
    '2 arrives',
    '3 arrives',
    ...[`${number}: 3 was 2`, `${number}: 1 was 0`, `${number}: 2 was 1`],
  ];
  t.strictSame(log, [...round(1), ...round(2)]);
  t.equal(barrier.waiting, 0);
});

t.test(
  'one who is cancelled at a barrier has not arrived, and those who stay keep their order',
  async (t) => {
    const barrier = new Barrier(3);
    await virtually(function* () {
      const [first, second] = [1, 2].map(() => spawn(() => barrier.wait()));
      yield* pause();
      t.equal(barrier.waiting, 2);
      first!.cancel();
      t.equal(barrier.waiting, 1);
      const fourth = spawn(() => barrier.wait());
      yield* sleep(1);
      t.equal(second!.state, 'suspended', 'two are not three');
      t.equal(yield* barrier.wait(), 2);
      t.equal(yield* second!.join(), 0);
      t.equal(yield* fourth.join(), 1);
    });
  },
);

t.test('misuse is an error that says what was expected', async (t) => {
  const three = new Semaphore(3, { name: 'slots' });
  const messages: [() => unknown, string][] = [
    [() => new Semaphore(-1), 'Semaphore expects a whole number, 0 or more, got -1'],
    [() => new Semaphore(0), 'the maximum of a Semaphore expects a whole number, 1 or more, got 0'],
    [
      () => new Semaphore(3, { maximum: 2 }),
      'the maximum of a Semaphore expects a whole number, 3 or more, got 2',
    ],
    [() => three.acquire(4), 'acquire expects a whole number, from 1 to 3, got 4'],
    [() => three.tryAcquire(0), 'tryAcquire expects a whole number, from 1 to 3, got 0'],
    [() => three.release(0.5), 'release expects a whole number, 1 or more, got 0.5'],
    [() => new WaitGroup().add(-1), 'add expects a whole number, 0 or more, got -1'],
    [() => new Latch(NaN), 'Latch expects a whole number, 0 or more, got NaN'],
    [() => new Latch().countDown(0), 'countDown expects a whole number, 1 or more, got 0'],
    [() => new Barrier(0), 'Barrier expects a whole number, 1 or more, got 0'],
    [() => new Barrier('2' as unknown as number), 'Barrier expects a whole number, 1 or more, got "2"'],
  ];
  for (const [misuse, message] of messages) {
    const error = thrownBy(misuse);
    t.ok(error instanceof TypeError);
    t.equal(error.message, message);
  }
  const latch = new Latch(2, { name: 'start' });
  t.match(
    thrownBy(() => latch.countDown(3)),
    { name: 'StateError', message: 'cannot count start down by 3: its count is 2' },
  );
  t.equal(latch.count, 2);
  t.match(
    thrownBy(() => new WaitGroup({ name: 'requests' }).done()),
    { code: 'ERR_STATE', message: /^cannot count requests/ },
  );
  await virtually(function* () {
    t.equal(yield* new Barrier(1).wait(), 0, 'a party of one does not wait');
  });
});

t.test('I1: those who wait say for what, and how much is missing', async (t) => {
  const slots = new Semaphore(5, { name: 'slots' });
  const items = new Semaphore(0, { name: 'items', maximum: Infinity });
  const group = new WaitGroup({ name: 'requests' });
  const latch = new Latch(2, { name: 'start' });
  const barrier = new Barrier(3, { name: 'round' });
  slots.tryAcquire(4);
  group.add(2);
  await virtually(function* () {
    const waits = [
      () => slots.acquire(3),
      () => slots.acquire(),
      () => items.acquire(),
      () => group.wait(),
      () => latch.wait(),
      () => barrier.wait(),
    ].map((wait) => spawn(() => wait() as ReturnType<typeof forever>));
    yield* pause();
    t.strictSame(
      waits.map((one) => one.describe()),
      [
        'acquiring 3 of slots (1 of 5 available, 2 waiting)',
        'acquiring 1 of slots (1 of 5 available, 2 waiting)',
        'acquiring 1 of items (0 available)',
        'waiting for requests (2 to go)',
        'waiting for start (2 to go)',
        'waiting at round (1 of 3 have arrived)',
      ],
    );
    for (const one of waits) one.cancel();
  });
});
