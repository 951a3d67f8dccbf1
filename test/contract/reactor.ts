// The reactor's contract as tests: every backend runs this suite. Peers are plain node:net; where no port leads to the
// backend, they are streams that another reactor of its network has made.

import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import type { Endpoint, Listener, ListenOptions, Reactor, Socket } from '../../lib/reactor/contract.ts';
import { type Peers, plainPeers, readAll, socketPath, until } from '../support/connection/peers.ts';

const anyPort: Endpoint = { host: '127.0.0.1', port: 0, path: '' };

/** Collects what a socket reports, and reads on demand. */
class Owner {
  readable = 0;
  sent = 0;
  readonly socket: Socket;
  constructor(socket: Socket) {
    this.socket = socket;
    socket.owner = this;
  }
  onReadable(): void {
    this.readable++;
  }
  onSent(): void {
    this.sent++;
  }
  async next(): Promise<Buffer | null> {
    if (!this.socket.isReadable) {
      this.socket.wantRead();
      await until(() => this.socket.isReadable, 'input');
    }
    return this.socket.read() as Buffer | null;
  }
  async nextBytes(count: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (let size = 0; size < count;) {
      const chunk = await this.next();
      if (chunk === null) break;
      chunks.push(chunk);
      size += chunk.byteLength;
    }
    return Buffer.concat(chunks);
  }
}

class Server {
  readonly errors: Error[] = [];
  listening = false;
  listenError: Error | undefined;
  connections = 0;
  listener: Listener;
  readonly #peers: Peers;
  constructor(reactor: Reactor, endpoint: Endpoint, peers: Peers, options: ListenOptions = {}) {
    this.#peers = peers;
    this.listener = reactor.listen(endpoint, options, this);
  }
  onListening(): void {
    this.listening = true;
  }
  onListenError(error: Error): void {
    this.listenError = error;
  }
  onClosed(): void {
    this.listening = false;
  }
  onConnection(): void {
    this.connections++;
  }
  onAcceptError(error: Error): void {
    this.errors.push(error);
  }
  static async on(
    reactor: Reactor,
    peers: Peers,
    endpoint = anyPort,
    options: ListenOptions = {},
  ): Promise<Server> {
    const server = new Server(reactor, endpoint, peers, options);
    await until(() => server.listening, 'listening');
    return server;
  }
  async pair(): Promise<{ owner: Owner; peer: net.Socket }> {
    this.listener.want();
    const peer = await this.#peers.connect(this.listener.address);
    let socket: Socket | undefined;
    await until(() => (socket = this.listener.take()) !== undefined, 'a connection');
    return { owner: new Owner(socket!), peer };
  }
}

/** What a platform cannot help. */
interface Limits {
  /** Connections are taken from the kernel whether or not somebody wants them. */
  readonly isEager: boolean;
  /** Who is at the other end, where node:net does not lead there. */
  readonly peers?: Peers;
}

/** A socket over the stream that another one was detached as (R13). */
function adopt(reactor: Reactor, from: Socket): Socket {
  const { localAddress, remoteAddress } = from;
  const stream = from.detach();
  const socket = stream instanceof net.Socket ? stream : null;
  return reactor.adopt(stream, { socket, localAddress, remoteAddress });
}

export function contract(reactor: Reactor, { isEager, peers = plainPeers }: Limits): void {
  for (const kind of ['TCP', 'Unix', 'adopted'] as const) {
    const pair = async (options?: ListenOptions) => {
      const endpoint = kind === 'Unix' ? { host: '', port: 0, path: socketPath() } : anyPort;
      const server = await Server.on(reactor, peers, endpoint, options);
      let { owner, peer } = await server.pair();
      if (kind === 'adopted') owner = new Owner(adopt(reactor, owner.socket));
      const close = (): void => {
        owner.socket.reset();
        peer.destroy();
        server.listener.close();
      };
      return { server, owner, socket: owner.socket, peer, close };
    };

    t.test(`${kind}: R2 bytes come in order, then the end, again and again`, async (t) => {
      const { owner, peer, close } = await pair();
      t.equal(owner.socket.read(), undefined, 'nothing is there yet');
      peer.write('hello ');
      t.equal(String(await owner.next()), 'hello ');
      peer.end('world');
      t.equal(String(await owner.next()), 'world');
      t.equal(await owner.next(), null);
      t.equal(owner.socket.read(), null);
      t.ok(owner.socket.isReadable);
      close();
    });

    t.test(`${kind}: R3 a wish to read is answered once, and can be taken back`, async (t) => {
      const { owner, socket, peer, close } = await pair();
      socket.wantRead();
      socket.wantRead();
      peer.write('a');
      await until(() => owner.readable === 1);
      t.equal(String(socket.read()), 'a');
      socket.wantRead();
      socket.unwantRead();
      socket.unwantRead();
      peer.write('b');
      await until(() => socket.isReadable);
      t.equal(owner.readable, 1, 'nobody was told of what nobody asked for');
      t.equal(String(socket.read()), 'b');
      close();
    });

    t.test(`${kind}: R4 a peer that sends to nobody is stopped by its own window`, async (t) => {
      const { socket, peer, close } = await pair();
      const piece = Buffer.alloc(65_536);
      let offered = 0;
      const before = process.memoryUsage().arrayBuffers;
      for (let isFull = false; !isFull && offered < 256 * 65_536; offered += piece.byteLength) {
        isFull = !peer.write(piece) && !(await drained(peer));
      }
      t.ok(offered < 256 * 65_536, `it could send only ${offered} bytes`);
      t.ok(process.memoryUsage().arrayBuffers - before < 4_000_000, 'our side holds a few chunks');
      t.equal(socket.writeError, undefined);
      close();
    });

    t.test(`${kind}: R5 what is written in a turn arrives in order and is counted`, async (t) => {
      const { owner, socket, peer, close } = await pair();
      const big = Buffer.alloc(300_000, 'b');
      socket.write(Buffer.from('one '), true);
      socket.write(Buffer.from('two '), false);
      socket.write(big, false);
      socket.write(Buffer.alloc(0), true);
      socket.write(Buffer.alloc(100_000, 'c'), true);
      socket.write(Buffer.from('end'), true);
      socket.wantSent();
      t.equal(socket.written, 400_011);
      t.equal(owner.sent, 0, 'nobody is called back inside the call');
      socket.end();
      const all = await readAll(peer);
      t.equal(all.byteLength, 400_011);
      t.ok(
        all.equals(
          Buffer.concat([Buffer.from('one two '), big, Buffer.alloc(100_000, 'c'), Buffer.from('end')]),
        ),
      );
      await until(() => socket.sent === socket.written);
      t.equal(owner.sent, 1, 'it asked once');
      close();
    });

    t.test(
      `${kind}: R5 small writes that the kernel does not take wait, in order, among those of others`,
      async (t) => {
        const endpoint = kind === 'Unix' ? { host: '', port: 0, path: socketPath() } : anyPort;
        const server = await Server.on(reactor, peers, endpoint);
        const pairs = [await server.pair(), await server.pair(), await server.pair()];
        const written = pairs.map(() => [] as string[]);
        // More than the kernel holds, however much that is, from three at once, so that each has many pieces in the
        // shared output.
        const isStuck = ({ owner: { socket } }: { owner: Owner }): boolean => socket.sent < socket.written;
        for (let count = 0; count % 100 !== 0 || (count < 20_000 && !pairs.every(isStuck)); count++) {
          for (const [index, { owner }] of pairs.entries()) {
            const text = `${index} ${count} `.padEnd(1 + ((count * 37) % 12_000), '.');
            written[index]!.push(text);
            if (count % 2 === 1) owner.socket.write(Buffer.from(text), true);
            else if (owner.socket.writeCopy(text) !== text.length) t.fail('a write that was not taken whole');
          }
          if (count % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 5));
        }
        for (const { owner } of pairs) {
          t.ok(owner.socket.sent < owner.socket.written, 'something waits');
          owner.socket.end();
        }
        const heard = await Promise.all(pairs.map(({ peer }) => readAll(peer)));
        for (const [index, bytes] of heard.entries())
          t.ok(bytes.equals(Buffer.from(written[index]!.join(''))));
        for (const { owner, peer } of pairs) {
          t.equal(owner.socket.sent, owner.socket.written);
          owner.socket.reset();
          peer.destroy();
        }
        server.listener.close();
      },
    );

    t.test(`${kind}: R6 whoever asks hears of progress, and of nothing to wait for`, async (t) => {
      const { owner, socket, peer, close } = await pair();
      socket.wantSent();
      await until(() => owner.sent === 1, 'nothing to wait for');
      socket.write(Buffer.alloc(20_000_000), true);
      let before = socket.sent;
      socket.wantSent();
      await new Promise((resolve) => setTimeout(resolve, 20));
      t.ok(owner.sent <= 2, 'the peer does not read: at most what fits is told');
      peer.resume();
      for (let told = owner.sent; socket.sent < socket.written; told = owner.sent) {
        socket.wantSent();
        await until(() => owner.sent > told, 'progress');
        t.ok(socket.sent > before);
        before = socket.sent;
      }
      close();
    });

    t.test(`${kind}: R2 a reader may bring its own buffer, of any size`, async (t) => {
      const { owner, socket, peer, close } = await pair();
      const small = new Uint8Array(4);
      t.equal(socket.readInto(small), undefined);
      socket.wantRead(true);
      peer.write('hello world');
      await until(() => owner.readable === 1);
      t.equal(socket.readInto(small), 4);
      t.equal(String(Buffer.from(small)), 'hell');
      t.equal(String(await owner.next()), 'o world', 'the rest is for whoever reads next');
      peer.end(Buffer.alloc(200_000, 'x'));
      const large = Buffer.alloc(70_000);
      let size = 0;
      for (let got; got !== 0; size += got) {
        if (!socket.isReadable) {
          socket.wantRead(true);
          await until(() => socket.isReadable);
        }
        got = socket.readInto(large)!;
        t.ok(large.subarray(0, got).every((byte) => byte === 120));
      }
      t.equal(size, 200_000);
      t.equal(socket.readInto(large), 0, 'the end, again');
      close();
    });

    t.test(`${kind}: R5 keep copies what is borrowed: its owner may change it`, async (t) => {
      const { socket, peer, close } = await pair();
      const borrowed = Buffer.alloc(8_000_000, 'x');
      socket.write(borrowed, false);
      socket.flush();
      socket.keep();
      borrowed.fill('y');
      socket.end();
      const all = await readAll(peer);
      t.equal(all.byteLength, borrowed.byteLength);
      t.notOk(all.includes('y'));
      close();
    });

    t.test(`${kind}: R7 end closes one direction, reads go on`, async (t) => {
      const { owner, socket, peer, close } = await pair();
      socket.write(Buffer.from('bye'), true);
      socket.end();
      socket.end();
      t.equal(String(await readAll(peer)), 'bye');
      peer.end('still here');
      t.equal(String(await owner.nextBytes(10)), 'still here');
      t.equal(await owner.next(), null);
      close();
    });

    t.test(`${kind}: R7 after a reset nothing is called back`, async (t) => {
      const { owner, socket, peer, server } = await pair();
      socket.wantRead();
      socket.write(Buffer.alloc(10_000_000), true);
      socket.wantSent();
      const closed = new Promise((resolve) => peer.once('close', resolve));
      let received = 0;
      peer.on('data', (data: Buffer) => (received += data.byteLength));
      socket.reset();
      socket.reset();
      socket.wantRead();
      socket.wantSent();
      socket.write(Buffer.from('late'), true);
      peer.on('error', () => {});
      peer.end();
      await closed;
      t.ok(received < 10_000_000, 'what was not delivered is dropped');
      t.equal(owner.readable + owner.sent, 0);
      t.equal(socket.written, socket.sent);
      server.listener.close();
    });

    t.test(
      `${kind}: R12 a connection that was detached goes on as a net.Socket, with all its bytes`,
      async (t) => {
        const { owner, socket, peer, server, close } = await pair();
        const before = reactor.open;
        socket.wantRead();
        peer.write('unread ');
        await until(() => owner.readable === 1, 'bytes that nobody takes');
        const large = Buffer.alloc(6_000_000, 'x');
        socket.write(Buffer.from('small '), true);
        socket.write(large, true);
        socket.wantSent();
        const detached = socket.detach() as net.Socket;
        peer.end('and later');
        const heard = readAll(peer);
        t.equal(String(await readAll(detached)), 'unread and later');
        detached.end('bye');
        const all = await heard;
        t.equal(all.byteLength, 6 + large.byteLength + 3);
        t.ok(all.subarray(0, 6).equals(Buffer.from('small ')) && all.subarray(-3).equals(Buffer.from('bye')));
        await until(() => reactor.open === before - 1, 'the descriptor');
        t.equal(owner.readable + owner.sent, 1, 'nobody is called back any more');
        socket.write(Buffer.from('late'), true);
        socket.reset();
        t.ok(socket.detach().destroyed);
        server.listener.close();
        close();
      },
    );

    t.test(`${kind}: addresses tell both ends`, async (t) => {
      const { socket, peer, server, close } = await pair();
      if (kind !== 'Unix') {
        t.equal(socket.remoteAddress.port, peer.localPort);
        t.equal(socket.remoteAddress.host, '127.0.0.1');
        t.equal(socket.localAddress.port, server.listener.address.port);
      } else {
        t.equal(socket.localAddress.path, server.listener.address.path);
      }
      close();
    });

    t.test(`${kind}: R15 what the peer has not taken shrinks as it reads`, async (t) => {
      const { socket, peer, close } = await pair();
      peer.pause();
      socket.write(Buffer.alloc(4 * 2 ** 20), true);
      socket.flush();
      const before = socket.unacknowledged();
      if (reactor.name === 'node' && (kind === 'Unix' || process.platform !== 'linux')) {
        t.equal(before, undefined);
      } else {
        t.ok(before! > 0);
        peer.resume();
        await until(() => socket.unacknowledged()! < before!, 'progress');
        await until(() => socket.unacknowledged() === 0, 'that all is taken');
        socket.end();
        await until(() => socket.unacknowledged() === 0, 'that the end is taken');
      }
      close();
    });

    t.test(`${kind}: R7 what was released reaches the peer`, async (t) => {
      if (kind === 'adopted' && peers !== plainPeers) {
        // A stream that is no `net.Socket` is given one piece at a time: no kernel has the others.
        t.comment('does not apply to an adopted stream in memory');
        return;
      }
      const { socket, peer, close } = await pair();
      const size = 100_000;
      socket.write(Buffer.alloc(size), true);
      socket.end();
      socket.release();
      socket.release();
      t.equal(socket.unacknowledged() ?? 0, 0);
      t.equal((await readAll(peer)).byteLength, size);
      close();
    });

    t.test(`${kind}: a connection that was dialled reads and writes`, async (t) => {
      const server = await Server.on(
        reactor,
        peers,
        kind === 'Unix' ? { host: '', port: 0, path: socketPath() } : anyPort,
      );
      server.listener.want();
      const socket = await dialled(reactor, server.listener.address);
      const owner = new Owner(socket);
      let accepted: Socket | undefined;
      await until(() => (accepted = server.listener.take()) !== undefined);
      const other = new Owner(accepted!);
      socket.write(Buffer.from('ping'), true);
      t.equal(String(await other.nextBytes(4)), 'ping');
      accepted!.write(Buffer.from('pong'), true);
      accepted!.end();
      t.equal(String(await owner.nextBytes(4)), 'pong');
      t.equal(await owner.next(), null);
      socket.setNoDelay(false);
      socket.setKeepAlive(1000);
      socket.setKeepAlive(0);
      socket.reset();
      accepted!.reset();
      server.listener.close();
    });
  }

  t.test('R7 a TCP peer sees a reset', async (t) => {
    const server = await Server.on(reactor, peers);
    const { owner, peer } = await server.pair();
    const error = once(peer, 'error').then(([cause]) => (cause as NodeJS.ErrnoException).code);
    owner.socket.reset();
    t.equal(await error, 'ECONNRESET');
    server.listener.close();
  });

  t.test('R6 a write that fails is sticky, and what was not sent is dropped', async (t) => {
    const server = await Server.on(reactor, peers);
    const { owner, peer } = await server.pair();
    peer.resetAndDestroy();
    await until(() => {
      owner.socket.write(Buffer.from('into the void'), true);
      return owner.socket.writeError !== undefined;
    }, 'the error');
    const { code } = owner.socket.writeError as NodeJS.ErrnoException;
    t.ok(code === 'EPIPE' || code === 'ECONNRESET', `code ${code}`);
    const { written } = owner.socket;
    owner.socket.write(Buffer.from('more'), true);
    t.equal(owner.socket.written, written);
    t.ok(owner.sent >= 1);
    owner.socket.reset();
    server.listener.close();
  });

  t.test('R2 a reset is an error, after the bytes before it, and stays one', async (t) => {
    const server = await Server.on(reactor, peers);
    const { owner, peer } = await server.pair();
    peer.write('last words');
    t.equal(String(await owner.nextBytes(10)), 'last words');
    peer.resetAndDestroy();
    await t.rejects(owner.next(), { code: 'ECONNRESET', syscall: 'read' });
    t.throws(() => owner.socket.read(), { code: 'ECONNRESET' });
    owner.socket.reset();
    server.listener.close();
  });

  t.test('R9 what exceeds maxConnections waits, or is refused, counted and reported', async (t) => {
    const server = await Server.on(reactor, peers, anyPort, { maxConnections: 2 });
    const clients: { destroy(): void }[] = [];
    for (let index = 0; index < 4; index++) clients.push(peers.startConnect(server.listener.address));
    if (isEager) {
      await until(() => server.listener.dropped === 2, 'two refusals');
      t.equal(server.errors.length, 2);
      t.match(server.errors[0], { code: 'ERR_LIMIT', syscall: 'accept' });
    } else {
      const sockets: Socket[] = [];
      const take = (): boolean => {
        const socket = server.listener.take();
        if (socket !== undefined) sockets.push(socket);
        return socket !== undefined;
      };
      await until(take);
      await until(take);
      server.listener.want();
      await new Promise((resolve) => setTimeout(resolve, 20));
      t.equal(server.listener.take(), undefined, 'two are open');
      t.equal(server.connections, 0);
      sockets[0]!.reset();
      await until(() => server.connections === 1, 'room');
      t.ok(take());
      t.equal(server.listener.dropped + server.errors.length, 0);
      for (const socket of sockets) socket.reset();
    }
    for (const client of clients) client.destroy();
    server.listener.close();
    server.listener.close();
  });

  t.test('R9 a wish for connections is answered once, and can be taken back', async (t) => {
    const server = await Server.on(reactor, peers);
    server.listener.want();
    server.listener.want();
    server.listener.unwant();
    server.listener.unwant();
    const peer = await peers.connect(server.listener.address);
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(server.connections, 0);
    server.listener.close();
    peer.destroy();
  });

  t.test('closing a listener resets the connections that nobody took', async (t) => {
    const server = await Server.on(reactor, peers);
    const peer = await peers.connect(server.listener.address);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const closed = new Promise((resolve) => peer.once('close', resolve));
    server.listener.close();
    await closed;
    t.equal(server.listener.take(), undefined);
  });

  t.test('closing a listener before it is bound calls nobody back', async (t) => {
    const server = new Server(reactor, anyPort, peers);
    server.listener.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.notOk(server.listening);
    t.equal(server.listenError, undefined);
  });

  t.test('R10 an address in use is an error of listening', async (t) => {
    const first = await Server.on(reactor, peers);
    const second = new Server(reactor, first.listener.address, peers);
    await until(() => second.listenError !== undefined);
    t.match(second.listenError, { code: 'EADDRINUSE', syscall: 'listen' });
    second.listener.close();
    first.listener.close();
  });

  t.test('R10 nobody there is an error of connecting', async (t) => {
    const server = await peers.listenPlain(() => {});
    const port = server.port;
    server.close();
    await t.rejects(dialled(reactor, { host: '127.0.0.1', port, path: '' }), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
    });
    await t.rejects(dialled(reactor, { host: '', port: 0, path: socketPath() }), { code: 'ENOENT' });
  });

  t.test('R1 an attempt that fails at once is told of later', async (t) => {
    for (const to of [
      { host: '', port: 0, path: socketPath() },
      { host: '255.255.255.255', port: 1, path: '' },
    ]) {
      let isInside = true;
      const told = new Promise((resolve) => {
        reactor.connect(to, {
          onConnect: () => resolve('a connection'),
          onConnectError: (error) => resolve(isInside ? 'an error inside of the call' : error),
        });
      });
      isInside = false;
      t.match(await told, { syscall: 'connect' });
    }
  });

  t.test('an attempt that was ended calls nobody back', async (t) => {
    const server = await peers.listenPlain((socket) => socket.destroy());
    let calls = 0;
    const end = reactor.connect(
      { host: '127.0.0.1', port: server.port, path: '' },
      { onConnect: () => calls++, onConnectError: () => calls++ },
    );
    end();
    end();
    await new Promise((resolve) => setTimeout(resolve, 30));
    t.equal(calls, 0);
    server.close();
  });
}

function dialled(reactor: Reactor, endpoint: Endpoint): Promise<Socket> {
  return new Promise((onConnect, onConnectError) => reactor.connect(endpoint, { onConnect, onConnectError }));
}

/** False if the socket could not get rid of what was written in time. */
function drained(socket: net.Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 200);
    socket.once('drain', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
