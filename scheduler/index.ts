/**
 * Coroutines without sockets.
 *
 * @module skein/scheduler
 */

export { toAsyncIterable } from './async-iterable.ts';
export { Barrier } from './barrier.ts';
export { Channel, closed, empty } from './channel.ts';
export { type Clock, RealClock, VirtualClock } from './clock.ts';
export {
  all,
  allSettled,
  any,
  type Outcome,
  type Outcomes,
  race,
  type SettledOutcomes,
  type Task,
} from './combinators.ts';
export { Condition } from './condition.ts';
export { Coroutine, type CoroutineState, type SpawnOptions } from './coroutine.ts';
export { shield, type ShieldOptions, timeout } from './deadline.ts';
export { type CoroutineInfo, dump, formatDump } from './dump.ts';
export { BusyError, CancelledError, ClosedError, DeadlockError, StateError, TimeoutError } from './errors.ts';
export { type Emitter, once } from './events.ts';
export { forEach, type ForEachOptions } from './for-each.ts';
export { iterate, type IterateOptions } from './iterate.ts';
export { Latch } from './latch.ts';
export { local, type Local } from './local.ts';
export type { Lock } from './lock.ts';
export { Mutex } from './mutex.ts';
export { never } from './never.ts';
export type { Body, Co, Operation, Suspension } from './operation.ts';
export { pause } from './pause.ts';
export { rateLimit, type RateLimiter, type RateLimitOptions } from './rate-limit.ts';
export { retry, type RetryPolicy } from './retry.ts';
export { current, run, spawn } from './run.ts';
export { RwLock } from './rw-lock.ts';
export type { RunOptions, SchedulerOptions } from './options.ts';
export { Scheduler } from './scheduler.ts';
export { scope, type ScopeBody } from './inner-scope.ts';
export { Scope } from './scope.ts';
export { select, type Selected, trySelect } from './select.ts';
export { type Permit, Semaphore, type SemaphoreOptions } from './semaphore.ts';
export { singleflight } from './singleflight.ts';
export { after, every, sleep } from './sleep.ts';
export { type Resume, suspend } from './suspend.ts';
export type { NameOptions } from './sync.ts';
export { wait } from './wait.ts';
export { WaitGroup } from './wait-group.ts';
export type { Yieldable } from './yieldable.ts';
