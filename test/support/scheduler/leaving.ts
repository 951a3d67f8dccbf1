import { type Co, type Coroutine, type Operation, pause, spawn } from 'skein';

/** Prime to every count below, so that steps of it visit each waiter once, in neither order. */
const STEP = 7919;
const FEW = 1_000;
const MANY = 50_000;

/**
 * How many times dearer it is to leave a wait among 50,000 who wait than among 1,000. Both leave 50,000 times,
 * and processor time is compared with processor time, so that a busy machine says nothing about either; were
 * leaving O(n), it would be 50.
 */
export function* growthOfLeaving(wait: () => Operation<unknown>): Co<number> {
  let amongFew = 0;
  for (let round = 0; round < MANY / FEW; round++) amongFew += yield* timeToLeave(FEW, wait);
  return (yield* timeToLeave(MANY, wait)) / Math.max(amongFew, 1);
}

/** Microseconds of the processor. */
function* timeToLeave(count: number, wait: () => Operation<unknown>): Co<number> {
  const waiting: Coroutine<unknown>[] = [];
  for (let index = 0; index < count; index++) waiting.push(spawn(wait));
  yield* pause();
  const before = process.cpuUsage();
  for (let index = 0; index < count; index++) waiting[(index * STEP) % count]!.cancel();
  const { user, system } = process.cpuUsage(before);
  yield* pause();
  return user + system;
}
