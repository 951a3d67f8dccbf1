// Connections that have something to do first, over a listener that is made up: what is taken when, and who hears of
// what.

import t from 'tap';
import {
  PreparedListener,
  type Preparation,
  type PreparedOwner,
} from '../../../lib/listen/prepared-listener.ts';
import type { Endpoint, Listener, ListenerOwner, Socket } from '../../../lib/reactor/contract.ts';
import { until } from '../../support/connection/peers.ts';

const here: Endpoint = { host: '127.0.0.1', port: 1, path: '' };

/** A socket that only has a name and can be reset. */
class FakeSocket {
  readonly remoteAddress: Endpoint;
  isReset = false;
  constructor(port: number) {
    this.remoteAddress = { host: '192.0.2.1', port, path: '' };
  }
  reset(): void {
    this.isReset = true;
  }
}

function socketOf(port: number): Socket {
  return new FakeSocket(port) as unknown as Socket;
}

class FakeListener implements Listener {
  readonly address = here;
  dropped = 0;
  isWanted = false;
  isClosed = false;
  queue: Socket[] = [];
  readonly owner: ListenerOwner;
  constructor(owner: ListenerOwner) {
    this.owner = owner;
  }
  want(): void {
    this.isWanted = true;
  }
  unwant(): void {
    this.isWanted = false;
  }
  take(): Socket | undefined {
    return this.queue.shift();
  }
  close(): void {
    this.isClosed = true;
  }
  /** Somebody connects. */
  arrive(...ports: number[]): void {
    this.queue.push(...ports.map(socketOf));
    if (!this.isWanted) return;
    this.isWanted = false;
    this.owner.onConnection();
  }
}

/** A preparation that the test ends. */
class Manual implements Preparation {
  readonly step = 'manual';
  timeout = 60_000;
  readonly open = new Map<number, (error: Error | null, socket: Socket | null) => void>();
  readonly ended: number[] = [];
  prepare(socket: Socket, onDone: (error: Error | null, socket: Socket | null) => void): () => void {
    const { port } = socket.remoteAddress;
    this.open.set(port, onDone);
    return () => {
      this.open.delete(port);
      this.ended.push(port);
    };
  }
  done(port: number, error: Error | null = null): void {
    const onDone = this.open.get(port)!;
    this.open.delete(port);
    onDone(error, error === null ? socketOf(port) : null);
  }
}

class Owner implements PreparedOwner {
  readonly log: string[] = [];
  onListening(): void {
    this.log.push('listening');
  }
  onListenError(error: Error): void {
    this.log.push(`cannot listen: ${error.message}`);
  }
  onClosed(): void {
    this.log.push('closed');
  }
  onConnection(): void {
    this.log.push('connection');
  }
  onAcceptError(error: Error): void {
    this.log.push(`cannot accept: ${error.message}`);
  }
  onPrepareError(error: Error, peer: Endpoint, step: string): void {
    this.log.push(`${step} of ${peer.port}: ${error.message}`);
  }
}

function setUp() {
  const owner = new Owner();
  const preparation = new Manual();
  let inner!: FakeListener;
  const holds = { count: 0 };
  const hold = (): (() => void) => {
    holds.count++;
    return () => void holds.count--;
  };
  const listener = new PreparedListener(
    (innerOwner) => (inner = new FakeListener(innerOwner)),
    preparation,
    owner,
    hold,
  );
  return { owner, preparation, inner, listener, holds };
}

const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const portOfTaken = (listener: Listener): number | undefined => listener.take()?.remoteAddress.port;

t.test('none is taken while nobody asks, and all who come while somebody does', async (t) => {
  const { owner, preparation, inner, listener, holds } = setUp();
  inner.arrive(1, 2);
  t.equal(listener.take(), undefined);
  t.equal(preparation.open.size, 0);
  t.equal(holds.count, 0);
  listener.want();
  t.strictSame([...preparation.open.keys()], [1, 2]);
  t.equal(holds.count, 1, 'somebody waits');
  inner.arrive(3);
  inner.arrive(4);
  t.equal(preparation.open.size, 4, 'those who are being prepared hold up nobody');
  preparation.done(3);
  t.strictSame(owner.log, [], 'nothing is called back on the spot');
  await endOfTurn();
  t.strictSame(owner.log, ['connection'], 'the first to be done comes first');
  t.equal(holds.count, 0);
  t.equal(portOfTaken(listener), 3);
  inner.arrive(5);
  t.equal(preparation.open.size, 3, 'nobody asks any more');
  preparation.done(1);
  await endOfTurn();
  t.strictSame(owner.log, ['connection'], 'who is done waits to be asked for');
  listener.want();
  listener.want();
  t.equal(preparation.open.size, 2, 'and while there is one, none begins');
  await endOfTurn();
  t.strictSame(owner.log, ['connection', 'connection']);
  t.equal(portOfTaken(listener), 1);
  t.equal(listener.take(), undefined);
});

t.test('a request that was taken back is not answered', async (t) => {
  const { owner, preparation, inner, listener, holds } = setUp();
  listener.want();
  inner.arrive(1);
  preparation.done(1);
  listener.unwant();
  listener.unwant();
  await endOfTurn();
  t.strictSame(owner.log, []);
  t.equal(holds.count, 0);
  t.notOk(inner.isWanted);
  inner.owner.onConnection();
  t.equal(portOfTaken(listener), 1, 'it is there');
});

t.test('a preparation that fails is told of and counted, and the others go on', async (t) => {
  const { owner, preparation, inner, listener } = setUp();
  listener.want();
  inner.arrive(1, 2);
  inner.dropped = 3;
  preparation.done(1, new Error('no'));
  t.strictSame(owner.log, ['manual of 1: no']);
  t.equal(listener.dropped, 4);
  preparation.done(2);
  await endOfTurn();
  t.equal(portOfTaken(listener), 2);
});

t.test('a deadline holds for each, and ends it', async (t) => {
  const { owner, preparation, inner, listener } = setUp();
  preparation.timeout = 20;
  listener.want();
  inner.arrive(1, 2);
  preparation.done(2);
  await until(() => owner.log.length === 2, 'the deadline');
  t.strictSame(owner.log, ['connection', 'manual of 1: not done after 20 ms']);
  t.strictSame(preparation.ended, [1]);
});

t.test('closing ends what is being prepared and resets what is ready', async (t) => {
  const { owner, preparation, inner, listener, holds } = setUp();
  preparation.timeout = 20;
  listener.want();
  inner.arrive(1, 2, 3);
  let ready: Socket | null = null;
  const onDone = preparation.open.get(3)!;
  ready = socketOf(3);
  onDone(null, ready);
  listener.close();
  listener.close();
  listener.want();
  t.strictSame(preparation.ended, [1, 2]);
  t.ok((ready as unknown as FakeSocket).isReset);
  t.ok(inner.isClosed);
  t.equal(holds.count, 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.strictSame(owner.log, [], 'and nobody hears of it');
});

t.test('what the inner listener tells is handed on', (t) => {
  const { owner, inner, listener } = setUp();
  t.equal(listener.address, here);
  inner.owner.onListening();
  inner.owner.onAcceptError(new Error('EMFILE'));
  (inner.owner as PreparedOwner).onPrepareError(new Error('no header'), here, 'PROXY');
  listener.want();
  inner.owner.onListenError(new Error('EADDRINUSE'));
  t.strictSame(owner.log, [
    'listening',
    'cannot accept: EMFILE',
    'PROXY of 1: no header',
    'cannot listen: EADDRINUSE',
  ]);
  t.end();
});
