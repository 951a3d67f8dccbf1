// The subjects for byte streams over streams of Node's: what `fromDuplex` makes of a socket, of a connection that
// is itself a stream, and of one in memory that knows nothing of networks.

import type net from 'node:net';
import { Duplex } from 'node:stream';
import t from 'tap';
import { type Co, dial, fromDuplex, listen, wait } from '../../lib/index.ts';
import { connect, listenPlain, portOf } from '../support/connection/peers.ts';
import type { StreamPair } from '../support/connection/streams.ts';
import { stream } from './stream.ts';

function* plain(): Co<StreamPair> {
  const accepted: net.Socket[] = [];
  const server = yield* wait(listenPlain((socket) => accepted.push(socket)));
  const near = yield* wait(connect({ port: portOf(server) }));
  while (accepted.length === 0) yield* wait(new Promise(setImmediate));
  return { a: fromDuplex(near), b: fromDuplex(accepted[0]!), stop: () => server.close() };
}

function* twice(): Co<StreamPair> {
  const acceptor = yield* listen(0);
  const near = yield* dial(acceptor.address);
  const far = yield* acceptor.accept();
  const stop = (): void => acceptor.close();
  return { a: fromDuplex(near.toDuplex()), b: fromDuplex(far.toDuplex()), stop };
}

/** One of two streams in memory, each of which reads what is written to the other, when it asks for it. */
class Crossed extends Duplex {
  other!: Crossed;
  /** A write that the other has not taken. */
  #onTaken: (() => void) | null = null;

  override _read(): void {
    const onTaken = this.other.#onTaken;
    this.other.#onTaken = null;
    onTaken?.();
  }

  override _write(chunk: Buffer, _: BufferEncoding, onWritten: () => void): void {
    if (this.other.push(chunk)) onWritten();
    else this.#onTaken = onWritten;
  }

  override _final(onFinished: () => void): void {
    this.other.push(null);
    onFinished();
  }

  override _destroy(error: Error | null, onDestroyed: (error: Error | null) => void): void {
    const { other } = this;
    const isClean = this.writableFinished && this.readableEnded;
    if (!isClean) {
      const reset = Object.assign(new Error('the other end is gone'), { code: 'ECONNRESET' });
      queueMicrotask(() => other.destroy(reset));
    }
    onDestroyed(error);
  }
}

const inMemory: Crossed[] = [];

// eslint-disable-next-line require-yield
function* crossed(): Co<StreamPair> {
  const near = new Crossed();
  const far = new Crossed();
  near.other = far;
  far.other = near;
  inMemory.push(near, far);
  return { a: fromDuplex(near), b: fromDuplex(far), stop() {} };
}

const afterReset = ['ECONNRESET'];

stream({ name: 'a socket of node:net', makePair: plain, afterReset });
stream({ name: 'a connection as a stream as a connection', makePair: twice, afterReset });
stream({ name: 'a stream in memory', makePair: crossed, afterReset });

t.test('no stream in memory is left open', async (t) => {
  t.ok(inMemory.length > 0);
  t.same(
    inMemory.filter(({ destroyed }) => !destroyed),
    [],
  );
});
