// H5 of the synchronisation objects.

import t from 'tap';
import { Barrier, Latch, Mutex, type Operation, Semaphore } from '../../../scheduler/index.ts';
import { growthOfLeaving } from '../../support/scheduler/leaving.ts';
import { virtually } from '../../support/scheduler/virtual.ts';

t.test('leaving a queue costs the same however long it is (H5)', async (t) => {
  const mutex = new Mutex();
  const semaphore = new Semaphore(1);
  const barrier = new Barrier(Number.MAX_SAFE_INTEGER);
  const latch = new Latch();
  mutex.tryLock();
  semaphore.tryAcquire();
  const waits = [() => mutex.lock(), () => semaphore.acquire(), () => barrier.wait(), () => latch.wait()];
  await virtually(function* () {
    for (const wait of waits as (() => Operation<unknown>)[]) {
      const growth = yield* growthOfLeaving(wait);
      t.ok(growth < 20, `${growth.toFixed(1)} times dearer among fifty times as many`);
    }
  });
  t.equal(mutex.waiting + semaphore.waiting + barrier.waiting + latch.waiting, 0);
});
