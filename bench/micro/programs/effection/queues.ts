// Effection: values that go from task to task. It has no bounded channel, so hops and the chain are left
// out; its unbounded queue stands in where at most one value is under way: in the ring, and in select,
// whose counterpart is a race.

import { createQueue, type Operation, type Queue, race, run, spawn } from 'effection';
import { RING } from '../fixtures.ts';
import type { Program } from '../meter.ts';

type Four = readonly Queue<number, never>[];

function four(): Four {
  return [1, 2, 3, 4].map(() => createQueue<number, never>());
}

function* takeAny(queues: Four): Operation<unknown> {
  return yield* race(queues.map((queue) => queue.next()));
}

export const queues: Record<string, Program> = {
  'select-ready': async (meter) => {
    await run(function* () {
      const all = four();
      for (let n; (n = meter.next()) > 0;) {
        for (let i = 0; i < n; i++) {
          all[i & 3]!.add(i);
          yield* takeAny(all);
        }
      }
    });
  },

  'select-wait': async (meter) => {
    await run(function* () {
      const left = four();
      const right = four();
      for (let n; (n = meter.next(2)) > 0;) {
        const times = n / 2;
        const one = yield* spawn(function* () {
          for (let i = 0; i < times; i++) {
            right[i & 3]!.add(i);
            yield* takeAny(left);
          }
        });
        for (let i = 0; i < times; i++) {
          yield* takeAny(right);
          left[i & 3]!.add(i);
        }
        yield* one;
      }
    });
  },

  ring: async (meter) => {
    await run(function* () {
      const links = Array.from({ length: RING }, () => createQueue<number, never>());
      for (let i = 0; i < RING - 1; i++) {
        const left = links[i]!;
        const right = links[i + 1]!;
        yield* spawn(function* () {
          for (;;) right.add((yield* left.next()).value);
        });
      }
      const first = links[0]!;
      const last = links[RING - 1]!;
      for (let n; (n = meter.next(RING)) > 0;) {
        for (let hops = 0; hops < n; hops += RING) {
          first.add(hops);
          yield* last.next();
        }
      }
    });
  },
};
