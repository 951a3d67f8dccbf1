// The portable reactor, over node:net. libuv accepts eagerly and, out of descriptors, closes clients
// unseen, so N10 holds here only as far as a limit of our own can carry it: sockets arrive paused into a
// bounded queue, and what goes beyond the descriptors that are left is refused, counted and reported.

import net from 'node:net';
import type { Duplex } from 'node:stream';
import { constants } from 'node:os';
import { attempt } from '../attempt.ts';
import { builtin } from '../builtin.ts';
import {
  BACKLOG,
  type Carrier,
  type ConnectOwner,
  type Endpoint,
  KEEP_ALIVE,
  type Listener,
  type ListenerOwner,
  type ListenOptions,
  type Reactor,
  type Socket,
} from '../contract.ts';
import { roomForSockets, SocketBudget } from '../descriptors.ts';
import { resolve } from '../resolve.ts';
import { NewSocketFile, SocketFile } from '../socket-file.ts';
import { systemError } from '../system-error.ts';
import { bindDatagrams } from './datagrams.ts';
import { StreamHost } from './stream-host.ts';
import { StreamSocket } from './stream-socket.ts';

/** What a TCP socket is born with. */
const DEFAULTS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE };

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
/** Older versions of Node pass over the option in silence. */
const canReusePort = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);

export class NodeReactor extends StreamHost implements Reactor {
  readonly name = 'node';
  open = 0;
  readonly budget = new SocketBudget();
  readonly bind = bindDatagrams;

  listen(to: Endpoint, options: ListenOptions, owner: ListenerOwner): Listener {
    return new NodeListener(this, to, options, owner);
  }

  connect(to: Endpoint, owner: ConnectOwner): () => void {
    return attempt(this.#connect, to, owner);
  }

  readonly #connect = (to: Endpoint, owner: ConnectOwner): (() => void) => {
    const target = to.path === '' ? { host: to.host, port: to.port } : { path: to.path };
    const socket = net.connect({ ...target, ...(to.path === '' ? DEFAULTS : {}), allowHalfOpen: true });
    let isOver = false;
    const end = (): boolean => {
      if (isOver) return false;
      isOver = true;
      this.holds.remove();
      return true;
    };
    this.holds.add();
    this.count(socket);
    // Nothing is read before somebody asks.
    socket.pause();
    socket.once('connect', () => {
      socket.removeListener('error', onError);
      if (end()) owner.onConnect(this.plain(socket, to.path));
    });
    const onError = (error: Error): void => {
      if (end()) owner.onConnectError(error);
    };
    socket.on('error', onError);
    return () => {
      if (end()) socket.destroy();
    };
  };

  resolve(...[to, onResolved, lookup]: Parameters<Reactor['resolve']>): void {
    resolve(to, onResolved, lookup);
  }

  room(): number {
    return roomForSockets();
  }

  adopt(stream: Duplex, carrier: Carrier): Socket {
    return new StreamSocket(this, stream, carrier);
  }

  /** A socket over one of Node's. */
  plain(socket: net.Socket, path: string): StreamSocket {
    const localAddress = endpoint(socket.localAddress, socket.localPort, path);
    const remoteAddress = endpoint(socket.remoteAddress, socket.remotePort, path);
    return new StreamSocket(this, socket, { socket, localAddress, remoteAddress });
  }

  /** Counts a socket for as long as its descriptor is open. */
  count(socket: net.Socket): void {
    this.open++;
    socket.once('close', () => this.open--);
  }
}

/**
 * A server that says at once when somebody has closed it. In a worker that is to disconnect node:cluster closes all
 * servers; `'close'` comes only when all connections have ended, which nobody would end who does not know.
 */
class SharedServer extends net.Server {
  onClose: () => void = () => {};

  override close(callback?: (error?: Error) => void): this {
    super.close(callback);
    this.onClose();
    return this;
  }
}

class NodeListener implements Listener {
  address: Endpoint;
  dropped = 0;
  readonly #reactor: NodeReactor;
  readonly #owner: ListenerOwner;
  readonly #server: SharedServer;
  readonly #backlog: number;
  readonly #maxConnections: number;
  /** Connections of this listener that are open. */
  #open = 0;
  #queue: StreamSocket[] = [];
  /** Until the file of a Unix socket is in its place. */
  #newFile: NewSocketFile | null = null;
  /** What to remove in the end. */
  #file: SocketFile | null = null;
  #keepsFile = false;
  #isWanted = false;
  #isListening = false;
  #isClosed = false;

  constructor(reactor: NodeReactor, to: Endpoint, options: ListenOptions, owner: ListenerOwner) {
    this.#reactor = reactor;
    this.#owner = owner;
    this.address = to;
    this.#backlog = Math.max(1, options.backlog ?? BACKLOG);
    this.#maxConnections = options.maxConnections ?? Infinity;
    this.#server = new SharedServer({
      ...(to.path === '' ? DEFAULTS : {}),
      allowHalfOpen: true,
      pauseOnConnect: true,
    });
    // Binding keeps the process alive until its answer is there.
    reactor.holds.add();
    this.#server.on('listening', () => this.#onListening());
    this.#server.on('error', (error) => this.#onError(error));
    this.#server.on('connection', (socket) => this.#onConnection(socket));
    this.#server.onClose = () => {
      if (this.#isClosed) return;
      this.close();
      owner.onClosed();
    };
    const { reusePort = false } = options;
    if (reusePort && !canReusePort) {
      const message = 'listen ENOTSUP: reusePort needs the epoll reactor, or Node 22.12 or 23.1';
      const error = Object.assign(new Error(message), { code: 'ENOTSUP', syscall: 'listen' });
      queueMicrotask(() => this.#onError(error));
      return;
    }
    resolve(to, (error, found) => {
      if (this.#isClosed) return;
      if (error !== null) this.#onError(error);
      else if (to.path !== '') this.#listenAtPath(to.path, options);
      else this.#listenAtPort(found[0]!, options);
    });
  }

  want(): void {
    if (this.#isWanted || this.#isClosed) return;
    this.#isWanted = true;
    this.#reactor.holds.add();
  }

  unwant(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    this.#reactor.holds.remove();
  }

  take(): Socket | undefined {
    return this.#queue.shift();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.unwant();
    if (!this.#isListening) this.#reactor.holds.remove();
    this.#file?.remove();
    this.#server.close();
    this.#newFile?.forget();
    for (const socket of this.#queue) socket.reset();
    this.#queue = [];
  }

  #listenAtPort({ host, port }: Endpoint, { ipv6Only = false, reusePort = false }: ListenOptions): void {
    this.#server.listen({ host, port, ipv6Only, reusePort, backlog: this.#backlog });
  }

  #listenAtPath(path: string, { unlinkOnClose = true }: ListenOptions): void {
    const backlog = this.#backlog;
    // A pipe of Windows is no file; and what the workers of a cluster share belongs to the primary, which removes it.
    if (process.platform === 'win32' || builtin('node:cluster').isWorker) {
      this.#server.listen({ path, backlog });
      return;
    }
    try {
      this.#newFile = new NewSocketFile(path);
    } catch (error) {
      this.#onError(error as Error);
      return;
    }
    this.#keepsFile = !unlinkOnClose;
    this.#server.listen({ path: this.#newFile.path, backlog });
  }

  /** Puts the file of a socket that is bound in its place; false if something is there. */
  #placeFile(): boolean {
    if (this.#newFile === null) return true;
    try {
      const file = this.#newFile.place();
      if (!this.#keepsFile) this.#file = file;
      this.#newFile.forget();
      return true;
    } catch (error) {
      this.#onError(error as Error);
      this.#server.close();
      return false;
    }
  }

  #onListening(): void {
    if (this.#isClosed || !this.#placeFile()) return;
    const bound = this.#server.address();
    if (bound !== null && typeof bound === 'object') this.address = endpoint(bound.address, bound.port, '');
    this.#isListening = true;
    this.#reactor.holds.remove();
    this.#server.unref();
    this.#owner.onListening();
  }

  #onError(error: Error): void {
    if (this.#isClosed) return;
    if (this.#isListening) {
      this.#owner.onAcceptError(error);
    } else {
      this.#isClosed = true;
      this.unwant();
      this.#reactor.holds.remove();
      this.#newFile?.forget();
      this.#owner.onListenError(this.address.path === '' ? error : this.#ofPath(error));
    }
  }

  /** An error that names the path that was asked for, and what binding it would have met. */
  #ofPath(error: NodeJS.ErrnoException): Error {
    if (error.errno === undefined) return error;
    const errno = error.code === 'EEXIST' ? constants.errno.EADDRINUSE : Math.abs(error.errno);
    return systemError(errno, 'listen', this.address);
  }

  #onConnection(socket: net.Socket): void {
    const reason = this.#isClosed ? 'it was closed' : this.#fullness();
    if (reason !== undefined) {
      this.#refuse(socket, reason);
      return;
    }
    this.#reactor.count(socket);
    this.#open++;
    socket.once('close', () => this.#open--);
    this.#queue.push(this.#reactor.plain(socket, this.address.path));
    if (!this.#isWanted) return;
    this.unwant();
    this.#owner.onConnection();
  }

  /** Why no connection fits; undefined if one does. */
  #fullness(): string | undefined {
    if (this.#open >= this.#maxConnections) return `maxConnections is ${this.#maxConnections}`;
    const { budget, open } = this.#reactor;
    if (!budget.fits(open)) return `descriptors allow ${budget.limit} sockets`;
    if (this.#queue.length >= this.#backlog) return `${this.#queue.length} connections wait to be accepted`;
    return undefined;
  }

  #refuse(socket: net.Socket, reason: string): void {
    const peer = `${socket.remoteAddress ?? this.address.path}:${socket.remotePort ?? ''}`;
    socket.on('error', () => {});
    if (this.address.path === '') socket.resetAndDestroy();
    else socket.destroy();
    if (this.#isClosed) return;
    this.dropped++;
    const error = new Error(`refused a connection from ${peer}: ${reason}`);
    this.#owner.onAcceptError(Object.assign(error, { code: 'ERR_LIMIT', syscall: 'accept' }));
  }
}

function endpoint(host: string | undefined, port: number | undefined, path: string): Endpoint {
  return { host: host ?? '', port: port ?? 0, path };
}
