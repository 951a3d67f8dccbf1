// What channels and select mean, said once more and as plainly as can be: arrays for queues, one loop for
// a scheduler. It executes the same programs as skein does. Where chance decides, it is told what came of
// that step in skein's execution, checks that this was possible, and goes the same way; everything else
// it works out itself.

import type { Case, Program, Step } from './channel-programs.ts';

interface ModelChannel {
  name: string;
  capacity: number;
  buffer: string[];
  isClosed: boolean;
  senders: Wait[];
  receivers: Wait[];
}

/** A case that is armed. */
interface Wait {
  worker: ModelWorker;
  place: Place;
}

/** A case, and its key: '' for an operation that stands alone. */
interface Place {
  key: string;
  /** The value that it sends. */
  label: string;
  one: Exclude<Case, { op: 'twin' | 'never' }>;
}

interface ModelWorker {
  index: number;
  at: number;
  state: 'ready' | 'suspended' | 'done' | 'cancelled';
  isCancelled: boolean;
  /** The cases of the operation that it performs, or performed last: for `again`. */
  places: Place[] | 'pause' | null;
  /** What it waits for; empty when it is not armed. */
  armed: Place[];
  /** What it was given while it waited. */
  given: string | null;
  /** Those that it joins and that have ended since: it was told to look again. */
  notified: Place[];
  joiners: Wait[];
}

export interface ModelExecution {
  trace: string[];
  ends: string[];
}

/** Executes a program; `outcomes` says what came of each step in the execution that is checked. */
export function predict(program: Program, outcomes: ReadonlyMap<string, string>): ModelExecution {
  const trace: string[] = [];
  const channels = program.channels.map((capacity, index): ModelChannel => ({
    name: `c${index}`,
    capacity,
    buffer: [],
    isClosed: false,
    senders: [],
    receivers: [],
  }));
  const workers = program.workers.map((_, index): ModelWorker => ({
    index,
    at: 0,
    state: 'ready',
    isCancelled: false,
    places: null,
    armed: [],
    given: null,
    notified: [],
    joiners: [],
  }));
  const ready = [...workers];
  for (let worker = ready.shift(); worker !== undefined; worker = ready.shift()) resume(worker);
  return { trace, ends: workers.map(({ state, at }) => `${state} at ${at}`) };

  function resume(worker: ModelWorker): void {
    if (worker.given !== null) {
      const { given } = worker;
      worker.given = null;
      if (!finish(worker, given)) return;
    } else if (worker.notified.length > 0) {
      const possible = worker.notified.map((place): [Place, string] => [place, joined(worker, place)]);
      disarm(worker);
      if (!finish(worker, choose(worker, possible)[1])) return;
    } else if (worker.armed.length > 0) {
      // Cancelled while it waited.
      disarm(worker);
      end(worker, 'cancelled');
      return;
    }
    while (worker.at < program.workers[worker.index]!.length) {
      const outcome = perform(worker, program.workers[worker.index]![worker.at]!);
      if (outcome === 'waits' || outcome === 'cancelled') return;
      if (!finish(worker, outcome)) return;
    }
    end(worker, 'done');
  }

  /** Notes what came of a step; false if that ends the worker. */
  function finish(worker: ModelWorker, outcome: string): boolean {
    if (worker.isCancelled && outcome === 'error: AbortError ') {
      end(worker, 'cancelled');
      return false;
    }
    trace.push(`${labelOf(worker)} ${outcome} ${standing()}`);
    worker.at++;
    return true;
  }

  function end(worker: ModelWorker, state: 'done' | 'cancelled'): void {
    worker.state = state;
    for (const { worker: joiner, place } of worker.joiners.splice(0)) {
      joiner.notified.push(place);
      if (joiner.state === 'suspended') makeReady(joiner);
    }
  }

  function perform(worker: ModelWorker, step: Step): string {
    switch (step.op) {
      case 'trySelect': {
        const possible = readyOnes(worker, casesOf(step.cases, labelOf(worker)));
        return possible.length === 0 ? 'undefined' : take(worker, possible);
      }
      case 'trySend':
        return attempt(worker, 'send', channelAt(step.channel)) ?? 'false';
      case 'tryReceive':
        return attempt(worker, 'receive', channelAt(step.channel)) ?? 'empty';
      case 'close':
        return close(channelAt(step.channel));
      case 'cancel':
        cancel(workers[step.target % workers.length]!);
        return 'undefined';
      case 'again':
        if (worker.places === null) return 'nothing';
        break;
      default:
        worker.places = step.op === 'pause' ? 'pause' : placesOf(step, labelOf(worker));
    }
    if (worker.isCancelled) {
      end(worker, 'cancelled');
      return 'cancelled';
    }
    const places = worker.places!;
    if (places === 'pause') {
      worker.given = 'undefined';
      makeReady(worker);
      return 'waits';
    }
    const possible = readyOnes(worker, places);
    if (possible.length > 0) return take(worker, possible);
    const idle = places.filter(({ one }) => one.op === 'idle');
    if (idle.length > 0)
      return choose(
        worker,
        idle.map((place) => [place, result(place, 'idle')]),
      )[1];
    worker.state = 'suspended';
    // Without a case, or with none that can end, it waits all the same.
    worker.armed = places.length === 0 ? [{ key: '', label: '', one: { op: 'stuck' } }] : places;
    for (const place of places) queueOf(place)?.push({ worker, place });
    return 'waits';
  }

  /** The cases that can be performed now, each with what would come of it. */
  function readyOnes(worker: ModelWorker, places: Place[]): [Place, string][] {
    const possible: [Place, string][] = [];
    for (const place of places) {
      const { one } = place;
      if (one.op === 'send') {
        const { isClosed, name, receivers, buffer, capacity } = channelAt(one.channel);
        if (isClosed) possible.push([place, `error: ClosedError ${name}`]);
        else if (receivers.length > 0 || buffer.length < capacity)
          possible.push([place, result(place, 'undefined')]);
      } else if (one.op === 'receive') {
        const { isClosed, senders, buffer } = channelAt(one.channel);
        if (buffer.length > 0) possible.push([place, result(place, buffer[0]!)]);
        else if (senders.length > 0) possible.push([place, result(place, chosenSend(senders).label)]);
        else if (isClosed) possible.push([place, result(place, 'closed')]);
      } else if (one.op === 'join') {
        const target = workers[one.target % workers.length]!;
        if (hasEnded(target) || target === worker) possible.push([place, joined(worker, place)]);
      }
    }
    return possible;
  }

  function joined(worker: ModelWorker, place: Place): string {
    const target = workers[(place.one as { target: number }).target % workers.length]!;
    if (target === worker) return 'error: DeadlockError ';
    return target.state === 'cancelled' ? 'error: AbortError ' : result(place, 'undefined');
  }

  /** One of several possible outcomes: the one that skein's chance decided for. */
  function choose(worker: ModelWorker, possible: [Place, string][]): [Place, string] {
    const outcome = outcomes.get(labelOf(worker));
    return possible.find((one) => one[1] === outcome) ?? possible[0]!;
  }

  /** Performs one of the cases that are ready. */
  function take(worker: ModelWorker, possible: [Place, string][]): string {
    const [{ one, label }, outcome] = choose(worker, possible);
    if (one.op === 'send' && !outcome.startsWith('error')) put(channelAt(one.channel), label);
    if (one.op === 'receive') pull(channelAt(one.channel));
    return outcome;
  }

  function attempt(worker: ModelWorker, op: 'send' | 'receive', channel: ModelChannel): string | undefined {
    const place: Place = {
      key: '',
      label: labelOf(worker),
      one: { op, channel: channels.indexOf(channel) },
    };
    const possible = readyOnes(worker, [place]);
    if (possible.length === 0) return undefined;
    const outcome = take(worker, possible);
    return op === 'send' && !outcome.startsWith('error') ? 'true' : outcome;
  }

  function put(channel: ModelChannel, value: string): void {
    const first = channel.receivers[0];
    if (first === undefined) channel.buffer.push(value);
    else give(first.worker, 'receive', channel, value);
  }

  function pull(channel: ModelChannel): void {
    if (channel.buffer.length > 0) channel.buffer.shift();
    const first = channel.senders[0];
    if (first === undefined) return;
    const { label } = chosenSend(channel.senders);
    if (channel.capacity > 0) channel.buffer.push(label);
    give(first.worker, 'send', channel, 'undefined');
  }

  /** A select may stand in a queue several times: then chance has decided which of its cases comes first. */
  function chosenSend(senders: Wait[]): Place {
    const { worker } = senders[0]!;
    const own = senders.filter((one) => one.worker === worker);
    const possible = own.map(({ place }): [Place, string] => [place, result(place, 'undefined')]);
    return choose(worker, possible)[0];
  }

  /** Serves one who waits. */
  function give(worker: ModelWorker, op: 'send' | 'receive', channel: ModelChannel, value: string): void {
    const queue = op === 'send' ? channel.senders : channel.receivers;
    const own = queue.filter((one) => one.worker === worker);
    const possible = own.map(({ place }): [Place, string] => [
      place,
      value.startsWith('error') ? value : result(place, value),
    ]);
    worker.given = choose(worker, possible)[1];
    disarm(worker);
    if (worker.state === 'suspended') makeReady(worker);
  }

  function close(channel: ModelChannel): string {
    if (channel.isClosed) return `error: ClosedError ${channel.name}`;
    channel.isClosed = true;
    while (channel.receivers.length > 0) give(channel.receivers[0]!.worker, 'receive', channel, 'closed');
    while (channel.senders.length > 0) {
      give(channel.senders[0]!.worker, 'send', channel, `error: ClosedError ${channel.name}`);
    }
    return 'undefined';
  }

  function cancel(worker: ModelWorker): void {
    if (hasEnded(worker) || worker.isCancelled) return;
    worker.isCancelled = true;
    if (worker.state !== 'suspended') return;
    for (const place of worker.armed) leave(worker, place);
    makeReady(worker);
  }

  function disarm(worker: ModelWorker): void {
    for (const place of worker.armed) leave(worker, place);
    worker.armed = [];
    worker.notified = [];
  }

  function leave(worker: ModelWorker, place: Place): void {
    const queue = queueOf(place);
    const index = queue?.findIndex((one) => one.worker === worker && one.place === place) ?? -1;
    if (index >= 0) queue!.splice(index, 1);
  }

  function queueOf({ one }: Place): Wait[] | undefined {
    if (one.op === 'send') return channelAt(one.channel).senders;
    if (one.op === 'receive') return channelAt(one.channel).receivers;
    if (one.op === 'join') return workers[one.target % workers.length]!.joiners;
    return undefined;
  }

  function makeReady(worker: ModelWorker): void {
    worker.state = 'ready';
    ready.push(worker);
  }

  function channelAt(index: number): ModelChannel {
    return channels[index % channels.length]!;
  }

  function standing(): string {
    return channels
      .map(({ buffer, senders, receivers }) => `${buffer.length}/${senders.length}/${receivers.length}`)
      .join(' ');
  }
}

function labelOf({ index, at }: ModelWorker): string {
  return `${index}.${at}`;
}

function hasEnded({ state }: ModelWorker): boolean {
  return state === 'done' || state === 'cancelled';
}

/** What a select gives when this case is served. */
function result({ key }: Place, value: string): string {
  return key === '' ? value : `${key}=${value}`;
}

function placesOf(one: Case | { op: 'select'; cases: Case[] }, label: string): Place[] {
  if (one.op === 'select') return casesOf(one.cases, label);
  if (one.op === 'never' || one.op === 'twin') return [];
  return [{ key: '', label, one }];
}

function casesOf(cases: Case[], label: string): Place[] {
  return cases.flatMap((one, index): Place[] => {
    // A twin is the operation before it, under whose key it is found.
    if (one.op === 'never' || one.op === 'twin') return [];
    return [{ key: `k${index}`, label: `${label}.k${index}`, one }];
  });
}
