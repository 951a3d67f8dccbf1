// Values that go from one coroutine to another, and select.

import { Channel, type Co, run, select, spawn } from 'skein';
import { CAPACITY, CHAIN, RING } from '../fixtures.ts';
import type { Meter, Program } from '../meter.ts';

function hop(capacity: number): Program {
  return (meter: Meter) =>
    run(function* () {
      const channel = new Channel<number>(capacity);
      for (let n; (n = meter.next()) > 0;) {
        const count = n;
        const sender = spawn(function* () {
          for (let i = 0; i < count; i++) yield* channel.send(i);
        });
        for (let i = 0; i < count; i++) yield* channel.receive();
        yield* sender.join();
      }
    });
}

type Four = readonly [Channel<number>, Channel<number>, Channel<number>, Channel<number>];

function four(capacity: number): Four {
  const make = (): Channel<number> => new Channel<number>(capacity);
  return [make(), make(), make(), make()];
}

/** Sends to one of the other's channels, and waits for a value in any of its own. */
function* answer(own: Four, others: Four, times: number): Co<void> {
  const [a, b, c, d] = own;
  for (let i = 0; i < times; i++) {
    yield* others[i & 3]!.send(i);
    yield* select({ a: a.receive(), b: b.receive(), c: c.receive(), d: d.receive() });
  }
}

export const channels: Record<string, Program> = {
  rendezvous: hop(0),
  buffered: hop(CAPACITY),

  'select-ready': (meter) =>
    run(function* () {
      const all = four(1);
      const [a, b, c, d] = all;
      for (let n; (n = meter.next()) > 0;) {
        for (let i = 0; i < n; i++) {
          all[i & 3]!.trySend(i);
          yield* select({ a: a.receive(), b: b.receive(), c: c.receive(), d: d.receive() });
        }
      }
    }),

  // The other one waits in its select whenever a value is sent, so that every select has to wait.
  'select-wait': (meter) =>
    run(function* () {
      const left = four(0);
      const right = four(0);
      for (let n; (n = meter.next(2)) > 0;) {
        const times = n / 2;
        const one = spawn(() => answer(left, right, times));
        const other = spawn(function* () {
          const [a, b, c, d] = right;
          for (let i = 0; i < times; i++) {
            yield* select({ a: a.receive(), b: b.receive(), c: c.receive(), d: d.receive() });
            yield* left[i & 3]!.send(i);
          }
        });
        yield* one.join();
        yield* other.join();
      }
    }),

  ring: (meter) =>
    run(function* () {
      const links = Array.from({ length: RING }, () => new Channel<number>());
      for (let i = 0; i < RING - 1; i++) {
        const left = links[i]!;
        const right = links[i + 1]!;
        spawn(
          function* () {
            for (;;) yield* right.send((yield* left.receive()) as number);
          },
          { daemon: true },
        );
      }
      const first = links[0]!;
      const last = links[RING - 1]!;
      for (let n; (n = meter.next(RING)) > 0;) {
        for (let hops = 0; hops < n; hops += RING) {
          yield* first.send(hops);
          yield* last.receive();
        }
      }
    }),

  chain: (meter) =>
    run(function* () {
      for (let n; (n = meter.next(CHAIN)) > 0;) {
        for (let links = 0; links < n; links += CHAIN) {
          const leftmost = new Channel<number>();
          let left = leftmost;
          for (let i = 0; i < CHAIN; i++) {
            const [to, from] = [left, new Channel<number>()];
            spawn(function* () {
              yield* to.send(1 + ((yield* from.receive()) as number));
            });
            left = from;
          }
          const rightmost = left;
          spawn(() => rightmost.send(0));
          if ((yield* leftmost.receive()) !== CHAIN) throw new Error('the chain is broken');
        }
      }
    }),
};
