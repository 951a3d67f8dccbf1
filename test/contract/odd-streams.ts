// R13 over streams that are no sockets: each reactor must take them as they are.

import { Duplex, PassThrough, Transform, type TransformCallback } from 'node:stream';
import t from 'tap';
import type { Reactor, Socket } from '../../lib/reactor/contract.ts';
import { until } from '../support/connection/peers.ts';

const unnamed = { host: '', port: 0, path: '' };

/** Notes what it is told, and whether it is told inside of a call of its own. */
class Watcher {
  readonly socket: Socket;
  readonly log: string[] = [];
  isCalling = false;

  constructor(reactor: Reactor, stream: Duplex) {
    this.socket = reactor.adopt(stream, { socket: null, localAddress: unnamed, remoteAddress: unnamed });
    this.socket.owner = this;
  }

  onReadable(): void {
    this.log.push(this.isCalling ? 'readable inside the call' : 'readable');
  }

  onSent(): void {
    this.log.push(this.isCalling ? 'sent inside the call' : 'sent');
  }

  call(method: (socket: Socket) => void): void {
    this.isCalling = true;
    method(this.socket);
    this.isCalling = false;
  }

  async next(): Promise<Buffer | null> {
    if (!this.socket.isReadable) {
      this.call((socket) => socket.wantRead());
      await until(() => this.socket.isReadable, 'input');
    }
    return this.socket.read() as Buffer | null;
  }
}

/** Two streams, each of which reads what is written to the other; notes each write. */
function ends(options: { delay?: number; autoDestroy?: boolean } = {}) {
  const writes: number[] = [];
  const { delay = 0, autoDestroy = true } = options;
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      autoDestroy,
      read() {},
      write(chunk: Buffer, _, done) {
        writes.push(chunk.byteLength);
        const give = (): void => {
          other().push(chunk);
          done();
        };
        if (delay > 0) setTimeout(give, delay);
        else give();
      },
      final(done) {
        other().push(null);
        done();
      },
    });
  const near: Duplex = make(() => far);
  const far: Duplex = make(() => near);
  return { near, far, writes };
}

export function oddStreams(reactor: Reactor): void {
  t.test('R13 nothing is read from a stream before somebody asks', async (t) => {
    let asked = 0;
    const stream = new Duplex({ read: () => void asked++, write: (_chunk, _, done) => done() });
    const { socket } = new Watcher(reactor, stream);
    await new Promise((resolve) => setTimeout(resolve, 5));
    t.equal(asked, 0);
    socket.wantRead();
    await until(() => asked > 0);
    socket.reset();
  });

  t.test('R13 a stream that answers inside of write is told of after the call (R1)', async (t) => {
    for (const stream of [
      new PassThrough(),
      new Transform({ transform: (chunk, _, done: TransformCallback) => done(null, chunk) }),
    ]) {
      const watcher = new Watcher(reactor, stream);
      watcher.call((socket) => socket.wantRead());
      // It flows from the next tick on.
      await new Promise((resolve) => setImmediate(resolve));
      watcher.call((socket) => {
        socket.write(Buffer.from('hello'), true);
        socket.flush();
      });
      await until(() => watcher.log.length > 0);
      t.same(watcher.log, ['readable']);
      t.equal(String(watcher.socket.read()), 'hello');
      watcher.call((socket) => socket.end());
      t.equal(await watcher.next(), null);
      watcher.socket.reset();
    }
  });

  t.test('R13 a stream sees no empty write, and slow ones are waited for', async (t) => {
    for (const delay of [0, 3]) {
      const { near, far, writes } = ends({ delay });
      const watcher = new Watcher(reactor, near);
      const { socket } = watcher;
      socket.write(Buffer.alloc(100_000), true);
      socket.write(Buffer.from('end'), true);
      socket.flush();
      socket.wantSent();
      t.ok(socket.sent < 100_003, 'not taken yet');
      far.resume();
      await until(() => socket.sent === 100_003);
      t.same(writes, [65_536, 34_467]);
      await until(() => watcher.log.includes('sent'));
      socket.end();
      far.end('bye');
      t.equal(String(await watcher.next()), 'bye');
      t.equal(await watcher.next(), null);
      await until(() => near.destroyed && far.destroyed);
      t.equal(socket.writeError, undefined);
      t.equal(socket.read(), null, 'its being closed is no error then');
    }
  });

  t.test('R13 a stream without autoDestroy is destroyed when both its sides have ended', async (t) => {
    for (const isFirst of [true, false]) {
      const { near, far } = ends({ autoDestroy: false });
      const watcher = new Watcher(reactor, near);
      if (isFirst) watcher.socket.end();
      far.end();
      t.equal(await watcher.next(), null);
      await new Promise((resolve) => setTimeout(resolve, 2));
      t.equal(near.destroyed, isFirst);
      watcher.socket.end();
      await until(() => near.destroyed);
    }
  });

  t.test('R13 an error of a stream is told after the bytes before it, and with its code', async (t) => {
    const stream = new Duplex({ read() {}, write: (_chunk, _, done) => done() });
    const watcher = new Watcher(reactor, stream);
    stream.push('before');
    stream.push('hand');
    watcher.call((socket) => socket.wantRead());
    await until(() => watcher.socket.isReadable);
    stream.destroy(Object.assign(new Error('torn'), { code: 'ECONNRESET' }));
    await until(() => watcher.socket.writeError !== undefined);
    const { socket } = watcher;
    t.equal(String(await watcher.next()) + String(await watcher.next()), 'beforehand');
    t.throws(() => socket.read(), { code: 'ECONNRESET' });
    t.match(socket.writeError, { code: 'ECONNRESET' });
    socket.reset();
  });

  t.test('R13 an error that is only emitted doubles no bytes', async (t) => {
    const stream = new Duplex({ autoDestroy: false, read() {}, write: (_chunk, _, done) => done() });
    const watcher = new Watcher(reactor, stream);
    stream.push('once');
    stream.emit('error', Object.assign(new Error('torn'), { code: 'ETORN' }));
    t.equal(String(watcher.socket.read()), 'once');
    t.throws(() => watcher.socket.read(), { code: 'ETORN' });
    watcher.socket.reset();
    t.ok(stream.destroyed);
  });

  t.test('R13 a stream that throws, or fails, inside of write is an error of writing', async (t) => {
    const thrower = new Duplex({
      read() {},
      write() {
        throw Object.assign(new Error('thrown'), { code: 'ETHROWN' });
      },
    });
    const emitter = new Duplex({ read() {}, write: () => emitter.emit('error', new Error('emitted')) });
    for (const [stream, message] of [
      [thrower, 'thrown'],
      [emitter, 'emitted'],
    ] as const) {
      const watcher = new Watcher(reactor, stream);
      watcher.call((socket) => {
        socket.wantRead();
        socket.write(Buffer.from('x'), true);
        socket.flush();
      });
      await until(() => watcher.socket.writeError !== undefined);
      t.match(watcher.socket.writeError, { message });
      t.notOk(watcher.log.some((line) => line.includes('inside')));
      watcher.socket.reset();
    }
  });

  t.test('R13 a stream that is destroyed breaks off; after its end only for the writer', async (t) => {
    const one = ends();
    const watcher = new Watcher(reactor, one.near);
    watcher.call((socket) => socket.wantRead());
    one.near.destroy();
    await until(() => watcher.log.includes('readable'));
    t.throws(() => watcher.socket.read(), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
    const two = ends();
    const other = new Watcher(reactor, two.near);
    two.far.end();
    t.equal(await other.next(), null);
    two.near.destroy();
    await until(() => other.socket.writeError !== undefined);
    t.match(other.socket.writeError, { code: 'ERR_STREAM_PREMATURE_CLOSE' });
    t.equal(other.socket.read(), null, 'the end came before');
  });
}
