import t from 'tap';
import {
  type Co,
  type Coroutine,
  current,
  pause,
  run,
  sleep,
  spawn,
  wait,
} from '../../../scheduler/index.ts';
import { errorOf } from '../../support/programs/error-of.ts';
import { unhandledDuring } from '../../support/scheduler/unhandled.ts';
import { forever, rejectionOf } from '../../support/scheduler/virtual.ts';

t.test('C12: plain code may await a coroutine, before and after its end, and once more', async (t) => {
  let worker!: Coroutine<number>;
  let failing!: Coroutine<number>;
  const failure = new Error('body');
  const joined: unknown[] = [];
  await run(function* () {
    worker = spawn(function* () {
      yield* sleep(1);
      return 42;
    });
    failing = spawn(
      function* () {
        yield* sleep(1);
        throw failure;
      },
      { onError: () => {} },
    );
    joined.push(...(yield* wait(Promise.all([worker, worker.then((value) => value + 1)]))));
    joined.push(yield* errorOf(wait(failing)));
    joined.push(yield* wait(Promise.all([worker, Promise.resolve(1), spawn(() => sleep(1))])));
  });
  t.strictSame(joined, [42, 43, failure, [42, 1, undefined]]);
  t.equal(await worker, 42);
  t.equal(await worker, 42);
  t.equal(await rejectionOf(Promise.resolve(failing)), failure);
  t.strictSame(await Promise.allSettled([worker, failing]), [
    { status: 'fulfilled', value: 42 },
    { status: 'rejected', reason: failure },
  ]);
  t.equal(await failing.then(null, (error: unknown) => (error === failure ? 'handled' : 'other')), 'handled');
});

t.test('C12: who awaits a cancelled coroutine gets its CancelledError', async (t) => {
  let caught: unknown;
  await run(function* () {
    const worker = spawn(forever);
    const awaiting = (async () => {
      try {
        await worker;
      } catch (error) {
        caught = error;
      }
    })();
    yield* pause();
    worker.cancel('reason');
    yield* wait(awaiting);
    t.equal(current().cancelled, false);
  });
  t.match(caught, { name: 'AbortError', cause: 'reason' });
});

t.test('C12: an unjoined failed child reports once, through its scope', async (t) => {
  const failure = new Error('child');
  const reported: unknown[] = [];
  const unhandled = await unhandledDuring(async () => {
    await run(function* () {
      spawn(function* (): Co<void> {
        throw failure;
      });
      yield* forever();
    }).catch((error: unknown) => reported.push(error));
  });
  t.strictSame(reported, [failure]);
  t.strictSame(unhandled, [], 'no promise was made of it');
});

t.test('C12: a rejection is unhandled only if a promise was made of the coroutine', async (t) => {
  const failure = new Error('child');
  const onError: unknown[] = [];
  const unhandled = await unhandledDuring(() =>
    run(function* () {
      const options = { onError: (error: unknown) => void onError.push(error) };
      const worker = spawn(function* (): Co<void> {
        throw failure;
      }, options);
      void worker.then(() => t.fail('it was fulfilled'));
      spawn(function* (): Co<void> {
        throw failure;
      }, options);
      yield* sleep(1);
    }),
  );
  t.strictSame(onError, [failure, failure]);
  t.strictSame(unhandled, [failure]);
});
