// 'skein/scheduler': coroutines without sockets.

export { Channel, type ChannelOptions, closed, empty } from './channel.ts';
export { type Clock, RealClock, VirtualClock } from './clock.ts';
export { Coroutine, type CoroutineState, type SpawnOptions } from './coroutine.ts';
export { BusyError, CancelledError, ClosedError, DeadlockError, TimeoutError } from './errors.ts';
export { never } from './never.ts';
export type { Body, Co, Operation, Suspension } from './operation.ts';
export { pause } from './pause.ts';
export { current, run, spawn } from './run.ts';
export { type RunOptions, Scheduler, type SchedulerOptions } from './scheduler.ts';
export { scope, Scope } from './scope.ts';
export { select, type Selected, trySelect } from './select.ts';
export { after, every, sleep } from './sleep.ts';
export { suspend } from './suspend.ts';
export type { Yieldable } from './yieldable.ts';
