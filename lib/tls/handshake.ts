// A TLS handshake over a socket, in either role: detach, node:tls upon it, adopt. Invariants: it calls back once,
// later, or not at all if it was ended before; when it has failed or was ended, the connection is gone.

import net from 'node:net';
import type tls from 'node:tls';
import type { Duplex } from 'node:stream';
import { whenClosed } from '../../scheduler/interop/once.ts';
import { TimeoutError } from '../../scheduler/kernel/errors.ts';
import type { Scheduler } from '../../scheduler/kernel/scheduler.ts';
import { Timer } from '../../scheduler/kernel/timers.ts';
import { networkOf } from '../common/current-reactor.ts';
import { builtin } from '../reactor/builtin.ts';
import type { Reactor, Socket } from '../reactor/contract.ts';
import { setTlsInfo, TlsInfo } from './info.ts';

/** Hears how a handshake has ended. */
interface Outcome {
  onSecure(stream: tls.TLSSocket): void;
  onFailure(error: Error): void;
}

/** A role: begins a handshake over a stream. */
export type Role = (raw: Duplex, outcome: Outcome) => void;

export type OnSecured = (error: Error | null, socket: Socket | null) => void;

/**
 * For one who waits for it: it keeps the process alive, and may take so many milliseconds in all. Gives a function
 * that ends it.
 */
export function secureInTime(
  socket: Socket,
  role: Role,
  timeout: number,
  scheduler: Scheduler,
  onSecured: OnSecured,
  unread?: Buffer,
): () => void {
  const reactor = networkOf(scheduler);
  const release = reactor.hold();
  let isOver = false;
  const leave = (): boolean => {
    if (isOver) return false;
    isOver = true;
    timer.stop();
    release();
    return true;
  };
  const settle: OnSecured = (error, secured) => {
    if (leave()) onSecured(error, secured);
  };
  const end = secure(reactor, socket, role, settle, unread);
  const timer = new Timer(scheduler.timers, () => {
    if (!leave()) return;
    end();
    onSecured(handshakeTimeout(timeout), null);
  });
  if (timeout < Infinity) timer.start(timeout);
  return () => {
    if (leave()) end();
  };
}

export function handshakeTimeout(timeout: number): TimeoutError {
  return new TimeoutError(`the handshake took more than ${timeout} ms`);
}

/**
 * The same without a deadline, for one who perhaps does not wait. Gives a function that ends it, and the connection
 * with it. `unread` was taken from the socket, and belongs to the handshake as what comes does: whatever came in the
 * clear must never pass for what came over TLS.
 */
export function secure(
  reactor: Pick<Reactor, 'adopt'>,
  socket: Socket,
  role: Role,
  onSecured: OnSecured,
  unread?: Buffer,
): () => void {
  const { localAddress, remoteAddress, sent } = socket;
  const raw = socket.detach();
  const plain = raw instanceof net.Socket ? raw : null;
  let isOver = false;
  const end = (error: Error | null, secured: Socket | null): void => {
    isOver = true;
    onSecured(error, secured);
  };
  const outcome: Outcome = {
    onSecure(stream) {
      stream.pause();
      stream.on('error', outcome.onFailure);
      allowHalfOpen(true, raw, stream);
      // OpenSSL is in the middle of a read, and Node runs microtasks before that goes on: whoever destroyed the
      // stream in one would take the memory away that is read.
      setImmediate(() => {
        if (isOver) return;
        if (stream.destroyed) {
          outcome.onFailure(ended());
          return;
        }
        const secured = reactor.adopt(stream, { socket: plain, localAddress, remoteAddress, sent });
        setTlsInfo(secured, new TlsInfo(stream));
        end(null, secured);
      });
    },
    onFailure(error) {
      if (isOver) return;
      setImmediate(() => raw.destroy());
      end(error, null);
    },
  };
  raw.on('error', outcome.onFailure);
  // Node does not say in each role that the stream beneath was destroyed. If it does, with a reason, that comes first.
  whenClosed(raw, () => setImmediate(() => outcome.onFailure(ended())));
  if (raw.readableEnded) {
    queueMicrotask(() => outcome.onFailure(ended()));
  } else if (!raw.destroyed) {
    // A peer that ends its side in the middle of a handshake will not complete it: Node then ends ours.
    allowHalfOpen(false, raw);
    plain?.unref();
    if (unread !== undefined && unread.byteLength > 0) raw.unshift(unread);
    role(raw, outcome);
  }
  return () => {
    if (isOver) return;
    isOver = true;
    // Node has RST for TCP alone; that it knows an address tells it from a Unix socket.
    if (plain?.localAddress !== undefined) plain.resetAndDestroy();
    else raw.destroy();
  };
}

/** The client's role; throws nothing for options that `clientOptions` has made. */
export function asClient(options: tls.ConnectionOptions): Role {
  return (raw, outcome) => {
    const stream = builtin('node:tls').connect({ ...options, socket: raw });
    // A handshake that fails, or was ended, has its error as long as the stream lives; who goes on has a listener.
    stream.on('error', outcome.onFailure);
    stream.once('secureConnect', () => outcome.onSecure(stream));
  };
}

/** Whose handshakes servers do, by the object that stands for the server there. */
const outcomes = new WeakMap<object, Outcome>();

/** The same by the peer's address: Bun calls the listeners of the server itself. */
const byPeer = new Map<string, Outcome>();

function peerOf({ remoteAddress, remotePort, localPort }: net.Socket): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}

/**
 * The server's role. The events of a `tls.Server` do not say which connection they are about, and a Unix socket has no
 * port to know it by. So each connection comes in through an object of its own that inherits from the server: Node emits
 * on the server that it was given, and listeners have that as their `this`.
 */
export function asServer(server: tls.Server): Role {
  if (server.listenerCount('secureConnection') === 0) {
    server.on('secureConnection', function onSecure(this: tls.Server, stream: tls.TLSSocket) {
      (outcomes.get(this) ?? byPeer.get(peerOf(stream)))?.onSecure(stream);
    });
    server.on('tlsClientError', function onFailure(this: tls.Server, error: Error, stream: tls.TLSSocket) {
      (outcomes.get(this) ?? byPeer.get(peerOf(stream)))?.onFailure(refusal(stream) ?? error);
    });
  }
  return (raw, outcome) => {
    const one = Object.create(server) as tls.Server;
    outcomes.set(one, outcome);
    if (process.versions.bun !== undefined && raw instanceof net.Socket) {
      const peer = peerOf(raw);
      byPeer.set(peer, outcome);
      raw.once('close', () => byPeer.delete(peer));
    }
    one.emit('connection', raw as net.Socket);
  };
}

/** Node refuses a client by hanging up, and says so. */
function refusal(stream: tls.TLSSocket): Error | null {
  const code = stream.authorizationError as unknown as string | null | undefined;
  if (typeof code !== 'string') return null;
  return Object.assign(new Error(`the client's certificate was refused: ${code}`), { code });
}

function ended(): Error {
  return Object.assign(new Error('the connection ended in the handshake'), { code: 'ECONNRESET' });
}

/** Streams may be told so until their end has come. */
function allowHalfOpen(isAllowed: boolean, ...streams: Duplex[]): void {
  for (const stream of streams) stream.allowHalfOpen = isAllowed;
}
