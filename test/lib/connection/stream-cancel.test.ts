// Cancellation at every point of what waits for streams: `drained`, `readBody`, `pipe`, `copyBoth`, and the `receive`
// of a WebSocket. Whoever is cut off has left no listener, and no byte and no message is lost.

import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { PassThrough, Writable } from 'node:stream';
import t from 'tap';
import { BusyError, type Co, copyBoth, drained, pipe, readBody, sleep } from '../../../lib/index.ts';
import { WebSocketConnection } from '../../../lib/ws/web-socket.ts';
import { everyPoint, type Play } from '../../support/scheduler/every-point.ts';
import { scripted, type ScriptedSocket } from '../../support/connection/scripted.ts';

/** What comes, piece by piece. */
const PIECES = ['one', 'two', 'three'];
const ALL = PIECES.join('');

function everywhere(name: string, make: () => Play): void {
  t.test(`${name}, cancelled at any point, leaves nothing and loses nothing`, async (t) => {
    const { failures, plays, cancelled } = await everyPoint(make);
    t.same(failures, []);
    t.ok(plays > 10 && cancelled > 5, `${cancelled} were cancelled in ${plays} plays`);
  });
}

/** Calls back with a piece, and then another, and returns after the last. */
function* inTime(onPiece: (piece: string) => void, onEnd: () => void): Co<void> {
  for (const piece of PIECES) {
    yield* sleep(1);
    onPiece(piece);
  }
  yield* sleep(1);
  onEnd();
}

function listenersOf(emitter: EventEmitter, events: readonly string[]): number {
  return events.reduce((sum, event) => sum + emitter.listenerCount(event), 0);
}

everywhere('drained', () => {
  let onWritten = (): void => {};
  const stream = new Writable({ highWaterMark: 1, write: (_chunk, _, done) => void (onWritten = done) });
  const before = listenersOf(stream, ['drain', 'close', 'error']);
  stream.write('much');
  const freed = (): void => {
    onWritten();
    onWritten = () => {};
  };
  return {
    victims: [() => drained(stream), () => drained(stream)],
    others: [() => inTime(freed, () => {})],
    verify: () =>
      listenersOf(stream, ['drain', 'close', 'error']) === before ? undefined : 'a listener is left',
  };
});

everywhere('readBody', () => {
  const body = new PassThrough();
  const events = ['data', 'end', 'error', 'close'];
  const before = listenersOf(body, events);
  return {
    victims: [
      function* () {
        return String(yield* readBody(body as unknown as IncomingMessage));
      },
    ],
    others: [
      () =>
        inTime(
          (piece) => body.write(piece),
          () => body.end(),
        ),
    ],
    verify([ending]) {
      if (listenersOf(body, events) !== before) return 'a listener is left';
      return 'value' in ending! && ending.value !== ALL ? `gave ${String(ending.value)}` : undefined;
    },
  };
});

/** A peer that sends all, piece by piece, and ends. */
function sender(peer: ScriptedSocket): () => Co<void> {
  return () =>
    inTime(
      (piece) => peer.feed(piece),
      () => peer.finish(),
    );
}

everywhere('pipe', () => {
  const from = scripted();
  const to = scripted();
  return {
    victims: [() => pipe(from.conn, to.conn)],
    others: [sender(from.peer)],
    verify([ending]) {
      const written = String(Buffer.concat(to.peer.output));
      if (!ALL.startsWith(written)) return `wrote ${written}`;
      if (from.conn.bytesRead !== written.length) return `took ${from.conn.bytesRead}, wrote ${written}`;
      // It reads no more: somebody else may.
      from.conn.recv(() => {})();
      if (from.conn.isClosed || to.conn.isClosed) return 'closed a connection';
      const isWhole = 'value' in ending! ? ending.value === ALL.length && written === ALL : true;
      return isWhole ? undefined : `gave ${JSON.stringify(ending)} for ${written}`;
    },
  };
});

everywhere('copyBoth', () => {
  const a = scripted();
  const b = scripted();
  return {
    victims: [() => copyBoth(a.conn, b.conn)],
    others: [sender(a.peer), sender(b.peer)],
    verify([ending]) {
      const isWhole = 'value' in ending!;
      // A coroutine that was cancelled before it has begun has nothing to reset.
      const hasBegun = a.conn.bytesRead + b.conn.bytesRead > 0;
      const closed = Number(a.conn.isClosed) + Number(b.conn.isClosed);
      if (isWhole ? closed > 0 : hasBegun && closed < 2) return `${closed} were closed`;
      const sizes = JSON.stringify([ALL.length, ALL.length]);
      return isWhole && JSON.stringify(ending.value) !== sizes ? JSON.stringify(ending) : undefined;
    },
  };
});

/** What a WebSocketConnection asks of the package `ws`. */
class MadeUpWebSocket extends EventEmitter {
  readonly protocol = '';
  pause(): void {}
  resume(): void {}
}

everywhere('the receive of a WebSocket', () => {
  const ws = new MadeUpWebSocket();
  const conn = new WebSocketConnection(ws as never, undefined as never);
  const received: unknown[] = [];
  function* receiver(): Co<void> {
    for (;;) {
      try {
        const message = yield* conn.receive();
        if (message === null) return;
        received.push(message);
      } catch (error) {
        if (!(error instanceof BusyError)) throw error;
        // The other one receives.
        yield* sleep(1);
      }
    }
  }
  return {
    victims: [receiver, receiver],
    others: [
      () =>
        inTime(
          (piece) => ws.emit('message', Buffer.from(piece), false),
          () => ws.emit('close', 1000, ''),
        ),
    ],
    verify(_endings, cancelled) {
      const isRight = cancelled.length < 2 ? received.join('') === ALL : ALL.startsWith(received.join(''));
      return isRight ? undefined : `received ${received.join(', ')}`;
    },
  };
});
