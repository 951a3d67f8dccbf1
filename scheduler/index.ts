/**
 * Coroutines without sockets.
 *
 * @module skein/scheduler
 */

export { toAsyncIterable } from './interop/async-iterable.ts';
export { Barrier } from './sync/barrier.ts';
export { Channel, closed, empty } from './channel/channel.ts';
export { type Clock, RealClock, VirtualClock } from './kernel/clock.ts';
export {
  all,
  allSettled,
  any,
  type Outcome,
  type Outcomes,
  race,
  type SettledOutcomes,
  type Task,
} from './combinators/all.ts';
export { Condition } from './sync/mutex.ts';
export { Coroutine, type CoroutineState } from './kernel/coroutine.ts';
export { shield, type ShieldOptions, timeout } from './time/timeout.ts';
export { type CoroutineInfo, dump, formatDump } from './debug/dump.ts';
export {
  BusyError,
  CancelledError,
  ClosedError,
  DeadlockError,
  StateError,
  TimeoutError,
} from './kernel/errors.ts';
export { type Emitter, once } from './interop/once.ts';
export { forEach, type ForEachOptions } from './combinators/for-each.ts';
export { iterate, type IterateOptions } from './interop/async-iterable.ts';
export { Latch } from './sync/countdown.ts';
export { local, type Local } from './interop/local.ts';
export type { Lock } from './sync/mutex.ts';
export { Mutex } from './sync/mutex.ts';
export { never } from './channel/select.ts';
export type { Body, Co, Operation, Suspension, Yieldable } from './kernel/operation.ts';
export { pause } from './time/sleep.ts';
export { rateLimit, type RateLimiter, type RateLimitOptions } from './combinators/rate-limit.ts';
export { retry, type RetryPolicy } from './combinators/retry.ts';
export { current, run, spawn } from './run.ts';
export { RwLock } from './sync/rw-lock.ts';
export type { NameOptions, RunOptions, SchedulerOptions, SpawnOptions } from './kernel/arguments.ts';
export { Scheduler } from './kernel/scheduler.ts';
export { scope, type ScopeBody } from './kernel/inner-scope.ts';
export { Scope } from './kernel/scope.ts';
export { select, type Selected, trySelect } from './channel/select.ts';
export { type Permit, Semaphore, type SemaphoreOptions } from './sync/semaphore.ts';
export { singleflight } from './combinators/singleflight.ts';
export { after, every, sleep } from './time/sleep.ts';
export { type Resume, suspend } from './interop/suspend.ts';
export { wait } from './interop/promise.ts';
export { WaitGroup } from './sync/countdown.ts';
