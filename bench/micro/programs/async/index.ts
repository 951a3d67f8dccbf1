// Plain async functions. Left out is what they have no counterpart of: channels, select, and waiters
// that can be cancelled one by one.

import { setTimeout as sleep } from 'node:timers/promises';
import {
  BATCH,
  CHAIN,
  duration,
  heapInUse,
  inAll,
  opening,
  PARKED,
  PENDING,
  pendingTimers,
  Stopwatch,
  TIMERS,
  turn,
} from '../fixtures.ts';
import type { Program } from '../meter.ts';

async function nothing(): Promise<void> {}

async function pauses(times: number): Promise<void> {
  // Undefined is settled already, so this is the shortest wait there is.
  for (let i = 0; i < times; i++) await undefined;
}

async function deepPauses(depth: number, times: number): Promise<void> {
  if (depth > 1) await deepPauses(depth - 1, times);
  else for (let i = 0; i < times; i++) await undefined;
}

/** Two functions alternate; each waits inside of so many calls. A resume does not pass through these. */
function alternate(depth: number): Program {
  return async (meter) => {
    for (let n; (n = meter.next(2)) > 0;) {
      const half = n / 2;
      const wait = depth === 1 ? pauses : (times: number) => deepPauses(depth, times);
      await Promise.all([wait(half), wait(half)]);
    }
  };
}

async function link(from: Promise<number>): Promise<number> {
  return 1 + (await from);
}

async function sleeper(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** A race cuts nothing off; it only stops waiting. */
async function within<T>(ms: number, body: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('late')), ms);
  });
  try {
    return await Promise.race([body(), late]);
  } finally {
    clearTimeout(timer);
  }
}

export const programs: Record<string, Program> = {
  // Calling an async function is its spawn: it runs at once up to its first wait.
  spawn: async (meter) => {
    for (let n; (n = meter.next()) > 0;) {
      for (let i = 0; i < n; i++) await nothing();
    }
  },

  'spawn-batch': async (meter) => {
    const batch: Promise<void>[] = [];
    for (let n; (n = meter.next(BATCH)) > 0;) {
      for (let done = 0; done < n; done += BATCH) {
        for (let i = 0; i < BATCH; i++) batch[i] = nothing();
        for (let i = 0; i < BATCH; i++) await batch[i];
      }
    }
  },

  switch: alternate(1),
  'depth-10': alternate(10),
  'depth-50': alternate(50),

  // Promises take the place of channels: a value goes through each link once.
  chain: async (meter) => {
    for (let n; (n = meter.next(CHAIN)) > 0;) {
      for (let links = 0; links < n; links += CHAIN) {
        const { gate, open } = opening<number>();
        let left = gate;
        for (let i = 0; i < CHAIN; i++) left = link(left);
        open(0);
        if ((await left) !== CHAIN) throw new Error('the chain is broken');
      }
    }
  },

  'sleep-cancel': async (meter) => {
    const batch: Promise<void>[] = [];
    const controllers: AbortController[] = [];
    for (let n; (n = meter.next(BATCH)) > 0;) {
      for (let done = 0; done < n; done += BATCH) {
        for (let i = 0; i < BATCH; i++) {
          controllers[i] = new AbortController();
          batch[i] = sleeper(duration(i), controllers[i]!.signal);
        }
        for (let i = 0; i < BATCH; i++) controllers[i]!.abort();
        for (let i = 0; i < BATCH; i++) await batch[i];
      }
    }
  },

  'timer-same-turn': async (meter) => {
    const million = pendingTimers();
    for (let n; (n = meter.next()) > 0; await turn()) {
      for (let i = 0; i < n; i++) clearTimeout(setTimeout(() => {}, duration(i)));
    }
    for (const one of million) clearTimeout(one);
  },

  // In millions, so that cleaning up after the cancelled ones has its share in every sample.
  'timer-later': async (meter) => {
    const million = pendingTimers();
    const batch: NodeJS.Timeout[] = [];
    for (let n; (n = meter.next(PENDING)) > 0;) {
      for (let done = 0; done < n; done += TIMERS) {
        for (let i = 0; i < TIMERS; i++) batch[i] = setTimeout(() => {}, duration(done + i));
        await turn();
        for (let i = 0; i < TIMERS; i++) clearTimeout(batch[i]);
      }
    }
    for (const one of million) clearTimeout(one);
  },

  timeout: async (meter) => {
    const million = pendingTimers();
    for (let n; (n = meter.next()) > 0;) {
      for (let i = 0; i < n; i++) await within(duration(i), nothing);
    }
    for (const one of million) clearTimeout(one);
  },

  parked: async () => {
    const { gate, open } = opening<void>();
    async function wait(): Promise<void> {
      await gate;
    }
    // Made beforehand: a handle for each, as those who own them would keep.
    const all = Array.from<Promise<void> | null>({ length: PARKED }).fill(null);
    const before = heapInUse();
    const watch = new Stopwatch();
    for (let i = 0; i < PARKED; i++) all[i] = wait();
    const parking = watch.lap();
    const bytes = (heapInUse() - before) / PARKED;
    watch.lap();
    open();
    for (let i = 0; i < PARKED; i++) await all[i];
    return { bytes, ...inAll('life', parking, watch.lap()) };
  },
};
