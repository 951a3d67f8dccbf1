// Effect: values that go from fiber to fiber through a Queue, which with capacity 0 is a rendezvous.
// Its counterpart of select is a race of takes, each in a fiber of its own. Ring and chain have queues of
// capacity 1: a rendezvous resumes the other fiber on the stack of the first, and a thousand of them in
// a row overflow it.

import { Effect, Fiber, Queue } from 'effect';
import { CAPACITY, CHAIN, RING } from '../fixtures.ts';
import type { Program } from '../meter.ts';

function hop(capacity: number): Program {
  return (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<number>(capacity);
        for (let n; (n = meter.next()) > 0;) {
          const count = n;
          const sender = yield* Effect.forkChild(
            Effect.gen(function* () {
              for (let i = 0; i < count; i++) yield* Queue.offer(queue, i);
            }),
          );
          for (let i = 0; i < count; i++) yield* Queue.take(queue);
          yield* Fiber.join(sender);
        }
      }),
    );
}

type Four = readonly Queue.Queue<number>[];

function four(capacity: number): Effect.Effect<Four> {
  return Effect.all([1, 2, 3, 4].map(() => Queue.bounded<number>(capacity)));
}

function takeAny(queues: Four): Effect.Effect<number> {
  return Effect.raceAllFirst(queues.map((queue) => Queue.take(queue)));
}

export const queues: Record<string, Program> = {
  rendezvous: hop(0),
  buffered: hop(CAPACITY),

  'select-ready': (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const all = yield* four(1);
        const any = takeAny(all);
        for (let n; (n = meter.next()) > 0;) {
          for (let i = 0; i < n; i++) {
            yield* Queue.offer(all[i & 3]!, i);
            yield* any;
          }
        }
      }),
    ),

  'select-wait': (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const left = yield* four(0);
        const right = yield* four(0);
        const anyLeft = takeAny(left);
        const anyRight = takeAny(right);
        for (let n; (n = meter.next(2)) > 0;) {
          const times = n / 2;
          const one = yield* Effect.forkChild(
            Effect.gen(function* () {
              for (let i = 0; i < times; i++) {
                yield* Queue.offer(right[i & 3]!, i);
                yield* anyLeft;
              }
            }),
          );
          for (let i = 0; i < times; i++) {
            yield* anyRight;
            yield* Queue.offer(left[i & 3]!, i);
          }
          yield* Fiber.join(one);
        }
      }),
    ),

  ring: (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const links = yield* Effect.all(Array.from({ length: RING }, () => Queue.bounded<number>(1)));
        for (let i = 0; i < RING - 1; i++) {
          const left = links[i]!;
          const right = links[i + 1]!;
          yield* Effect.forkChild(
            Effect.gen(function* () {
              for (;;) yield* Queue.offer(right, yield* Queue.take(left));
            }),
          );
        }
        const first = links[0]!;
        const last = links[RING - 1]!;
        for (let n; (n = meter.next(RING)) > 0;) {
          for (let hops = 0; hops < n; hops += RING) {
            yield* Queue.offer(first, hops);
            yield* Queue.take(last);
          }
        }
      }),
    ),

  chain: (meter) =>
    Effect.runPromise(
      Effect.gen(function* () {
        for (let n; (n = meter.next(CHAIN)) > 0;) {
          for (let links = 0; links < n; links += CHAIN) {
            const leftmost = yield* Queue.bounded<number>(1);
            let left = leftmost;
            for (let i = 0; i < CHAIN; i++) {
              const to = left;
              const from = yield* Queue.bounded<number>(1);
              yield* Effect.forkChild(
                Effect.gen(function* () {
                  yield* Queue.offer(to, 1 + (yield* Queue.take(from)));
                }),
              );
              left = from;
            }
            yield* Effect.forkChild(Queue.offer(left, 0));
            if ((yield* Queue.take(leftmost)) !== CHAIN) throw new Error('the chain is broken');
          }
        }
      }),
    ),
};
