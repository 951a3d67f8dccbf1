// Random programs over channels, and how skein executes them. A program is data: what each of several
// coroutines does, step by step. Executing it gives a trace, one line for each step that was finished,
// which says what came of it and how every channel stood at that moment.

import * as fc from 'fast-check';
import {
  CancelledError,
  Channel,
  closed,
  type Co,
  type Coroutine,
  empty,
  never,
  type Operation,
  pause,
  Scheduler,
  select,
  spawn,
  suspend,
  trySelect,
  VirtualClock,
} from '../../../scheduler/index.ts';
import type { Leaf } from '../../../scheduler/kernel/operation.ts';
import type { WaitQueue } from '../../../scheduler/kernel/wait-queue.ts';

/** What can be waited for. `idle` is ready once it is started; `stuck` never is. */
export type Case =
  | { op: 'send' | 'receive'; channel: number }
  | { op: 'join'; target: number }
  | { op: 'never' | 'idle' | 'stuck' }
  /** The same operation as the case before it. */
  | { op: 'twin' };

export type Step =
  | Case
  | { op: 'select'; cases: Case[] }
  | { op: 'trySelect'; cases: Case[] }
  | { op: 'trySend' | 'tryReceive' | 'close'; channel: number }
  | { op: 'cancel'; target: number }
  | { op: 'pause' }
  /** Performs the operation object of the last step again. */
  | { op: 'again' };

export interface Program {
  /** The capacities of the channels. */
  channels: number[];
  workers: Step[][];
  /** The seed of the scheduler: by it `select` chooses. */
  seed: number;
}

export interface Execution {
  trace: string[];
  /** What came of each step, by `worker.step`. */
  outcomes: Map<string, string>;
  /** How each worker stands when nothing moves any more: its state, and the step that it is at. */
  ends: string[];
  /** What no program may end with. */
  complaints: string[];
}

const MOST_CHANNELS = 3;
const MOST_WORKERS = 5;

const cases: fc.Arbitrary<Case[]> = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: onChannel('send', 'receive') },
    { weight: 1, arbitrary: onWorker('join') },
    { weight: 2, arbitrary: plain('never', 'idle', 'stuck', 'twin') },
  ),
  { maxLength: 6, size: 'max' },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 24, arbitrary: onChannel('send', 'receive') },
  { weight: 24, arbitrary: fc.record({ op: fc.constant('select' as const), cases }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('trySelect' as const), cases }) },
  { weight: 6, arbitrary: onChannel('trySend', 'tryReceive') },
  { weight: 1, arbitrary: onChannel('close') },
  { weight: 4, arbitrary: onWorker('cancel') },
  { weight: 8, arbitrary: plain('pause', 'again') },
  { weight: 1, arbitrary: fc.oneof(onWorker('join'), plain('never', 'idle', 'stuck')) },
);

export const program: fc.Arbitrary<Program> = fc.record({
  channels: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: MOST_CHANNELS }),
  workers: fc.array(fc.array(step, { maxLength: 10, size: 'max' }), {
    minLength: 1,
    maxLength: MOST_WORKERS,
    size: 'max',
  }),
  seed: fc.integer({ min: 0, max: 0xffff }),
});

function plain<Op extends string>(...ops: Op[]): fc.Arbitrary<{ op: Op }> {
  return fc.record({ op: fc.constantFrom(...ops) });
}

/** The number is taken modulo the number of channels that there are. */
function onChannel<Op extends string>(...ops: Op[]): fc.Arbitrary<{ op: Op; channel: number }> {
  return fc.record({ op: fc.constantFrom(...ops), channel: fc.nat({ max: MOST_CHANNELS - 1 }) });
}

function onWorker<Op extends string>(...ops: Op[]): fc.Arbitrary<{ op: Op; target: number }> {
  return fc.record({ op: fc.constantFrom(...ops), target: fc.nat({ max: MOST_WORKERS - 1 }) });
}

/** Executes a program by skein, until nothing moves any more. */
export async function execute({ channels: capacities, workers, seed }: Program): Promise<Execution> {
  const channels = capacities.map((capacity, index) => new Channel<string>(capacity, { name: `c${index}` }));
  const coroutines: Coroutine<void>[] = [];
  const execution: Execution = { trace: [], outcomes: new Map(), ends: [], complaints: [] };
  const { trace, outcomes, complaints } = execution;

  function channelAt(index: number): Channel<string> {
    return channels[index % channels.length]!;
  }
  function coroutineAt(index: number): Coroutine<void> {
    return coroutines[index % coroutines.length]!;
  }

  function operationOf(one: Case, label: string): Operation<unknown> {
    switch (one.op) {
      case 'send':
        return channelAt(one.channel).send(label);
      case 'receive':
        return channelAt(one.channel).receive();
      case 'join':
        return coroutineAt(one.target).join();
      case 'idle':
        return suspend<string>((resume) => resume(null, 'idle'));
      case 'stuck':
        return suspend<string>(() => {});
      default:
        return never;
    }
  }
  function recordOf(list: Case[], label: string): Record<string, Operation<unknown>> {
    const record: Record<string, Operation<unknown>> = {};
    for (const [index, one] of list.entries()) {
      const before = record[`k${index - 1}`];
      record[`k${index}`] =
        one.op === 'twin' && before !== undefined ? before : operationOf(one, `${label}.k${index}`);
    }
    return record;
  }

  function* work(worker: number): Co<void> {
    let last: Operation<unknown> | null = null;
    for (const [index, one] of workers[worker]!.entries()) {
      const label = `${worker}.${index}`;
      let outcome: string;
      try {
        switch (one.op) {
          case 'trySelect':
            outcome = inWords(trySelect(recordOf(one.cases, label)));
            break;
          case 'trySend':
            outcome = String(channelAt(one.channel).trySend(label));
            break;
          case 'tryReceive':
            outcome = inWords(channelAt(one.channel).tryReceive());
            break;
          case 'close':
            outcome = inWords(channelAt(one.channel).close());
            break;
          case 'cancel':
            outcome = inWords(coroutineAt(one.target).cancel());
            break;
          default:
            if (one.op === 'pause') last = pause();
            else if (one.op === 'select') last = select(recordOf(one.cases, label));
            else if (one.op !== 'again') last = operationOf(one, label);
            outcome = last === null ? 'nothing' : inWords(yield* last);
        }
      } catch (error) {
        outcome = `error: ${(error as Error).name} ${/\bc\d\b/.exec((error as Error).message)?.[0] ?? ''}`;
        outcomes.set(label, outcome);
        if (coroutines[worker]!.cancelled && error instanceof CancelledError) throw error;
      }
      outcomes.set(label, outcome);
      trace.push(`${label} ${outcome} ${standing()}`);
    }
  }

  /** Buffer, senders and receivers of every channel. */
  function standing(): string {
    return channels
      .map(({ length, senders, receivers }) => `${length}/${count(senders)}/${count(receivers)}`)
      .join(' ');
  }

  function* root(): Co<void> {
    for (const worker of workers.keys()) coroutines.push(spawn(() => work(worker)));
    while (coroutines.some((one) => one.state === 'ready')) yield* pause();
    for (const [worker, { state }] of coroutines.entries()) {
      const done = trace.filter((line) => line.startsWith(`${worker}.`)).length;
      execution.ends.push(`${state} at ${done}`);
    }
    for (const channel of channels) complaints.push(...waitsInVain(channel));
    for (const one of coroutines) one.cancel();
  }
  await new Scheduler({ clock: new VirtualClock(), seed }).run(root);
  for (const { name, senders, receivers } of channels) {
    if (senders.first !== null || receivers.first !== null)
      complaints.push(`somebody still waits on ${name}`);
  }
  return execution;
}

/** Nobody waits who could go on. */
function* waitsInVain(channel: Channel<string>): Generator<string> {
  const { name, senders, receivers, isClosed, length, capacity } = channel;
  const isSending = senders.first !== null;
  const isReceiving = receivers.first !== null;
  if (isClosed && (isSending || isReceiving)) yield `${name} is closed, and somebody waits on it`;
  if (isReceiving && length > 0) yield `a receiver waits on ${name}, which has a value`;
  if (isSending && length < capacity) yield `a sender waits on ${name}, which has room`;
  if (length > capacity) yield `${name} holds more than it may`;
  // Only both cases of one select may stand there, which does not meet itself.
  if (isSending && isReceiving && new Set([...waiters(senders), ...waiters(receivers)]).size > 1) {
    yield `a sender and a receiver wait on ${name}`;
  }
}

function count(queue: WaitQueue<Leaf<unknown>>): number {
  return [...waiters(queue)].length;
}

/** Those who wait: a coroutine, or a select of one. */
function* waiters(queue: WaitQueue<Leaf<unknown>>): Generator<unknown> {
  for (let one = queue.first; one !== null; one = one.behind) yield one.waiter;
}

/** `k1=value` for what a select gives; its own name for a symbol. */
function inWords(value: unknown): string {
  if (value === closed) return 'closed';
  if (value === empty) return 'empty';
  if (typeof value !== 'object' || value === null) return String(value);
  const { key, value: given } = value as { key: string; value: unknown };
  return `${key}=${inWords(given)}`;
}
