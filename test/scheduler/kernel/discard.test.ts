// What has arrived for an operation that nobody goes on with goes back where it came from, once.

import t from 'tap';
import {
  Mutex,
  never,
  type Operation,
  pause,
  RwLock,
  select,
  Semaphore,
  spawn,
} from '../../../scheduler/index.ts';
import { virtually } from '../../support/scheduler/virtual.ts';

/** Something to be let into. It is made outside of every coroutine, and held by nobody who waits. */
interface Door {
  ask(): Operation<Disposable>;
  open(): void;
  /** Whether the next one would be let in. */
  isFree(): boolean;
}

const doors: Record<string, () => Door> = {
  mutex() {
    const mutex = new Mutex();
    const held = mutex.tryLock()!;
    return { ask: () => mutex.lock(), open: () => held.unlock(), isFree: () => !mutex.isLocked };
  },
  'lock for writing'() {
    const lock = new RwLock();
    const held = lock.tryReadLock()!;
    return { ask: () => lock.writeLock(), open: () => held.unlock(), isFree: () => !lock.isLocked };
  },
  'lock for reading'() {
    const lock = new RwLock();
    const held = lock.tryWriteLock()!;
    return { ask: () => lock.readLock(), open: () => held.unlock(), isFree: () => !lock.isLocked };
  },
  permits() {
    const semaphore = new Semaphore(3);
    const held = semaphore.tryAcquire(3)!;
    return {
      ask: () => semaphore.acquire(2),
      open: () => held.release(),
      isFree: () => semaphore.available === 3,
    };
  },
};

for (const [name, make] of Object.entries(doors)) {
  t.test(`${name}: given to a generator that returns instead, it goes back once`, async (t) => {
    for (const isSelected of [false, true]) {
      const door = make();
      await virtually(function* () {
        const generator = (function* () {
          if (isSelected) yield* select({ off: never, door: door.ask() });
          else yield* door.ask();
          t.fail('it was not resumed');
        })();
        t.equal(generator.next().done, false, 'it waits');
        const next = door.ask();
        door.open();
        t.notOk(door.isFree(), 'it is held for the one who waited');
        t.strictSame(generator.return(undefined), { done: true, value: undefined });
        t.ok(door.isFree());
        const holder = spawn(() => next);
        yield* pause();
        t.notOk(door.isFree());
        generator.return(undefined);
        t.notOk(door.isFree(), 'and not a second time, when it is another ones');
        (yield* holder.join())[Symbol.dispose]();
        t.ok(door.isFree());
      });
    }
  });
}
