// 'skein/scheduler': coroutines without sockets.

export { type Clock, RealClock, VirtualClock } from './clock.ts';
export { Coroutine, type CoroutineState, type SpawnOptions } from './coroutine.ts';
export { BusyError, CancelledError, ClosedError, DeadlockError, TimeoutError } from './errors.ts';
export type { Body, Co, Operation, Suspension } from './operation.ts';
export { current, run, spawn } from './run.ts';
export { type RunOptions, Scheduler } from './scheduler.ts';
export { scope, Scope } from './scope.ts';
export { pause, sleep } from './sleep.ts';
export { suspend } from './suspend.ts';
export type { Yieldable } from './yieldable.ts';
