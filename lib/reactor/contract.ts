// What a backend must supply. A reactor turns the readiness of sockets into callbacks; it knows nothing
// of coroutines, and what stands above it knows nothing of the operating system.
//
// R1  Nothing is called back inside the call that asked for it: owners hear of things later.
// R2  `read` never waits: bytes, null at the peer's end, undefined when nothing is there. Bytes that
//     arrived come before the end or the error that followed them; an error is thrown again each time.
// R3  `isReadable` says whether `read` would give something. After `wantRead`, `onReadable` comes once, when
//     that is so.
// R4  At most one chunk is held for a reader who has not asked: the kernel's window does the rest (N1).
//     After `wantRead(true)` the bytes are left where they are, as far as the platform lets them be: the one
//     who reads has a buffer for them.
// R5  `write` takes the bytes in order. `isOwned` bytes may be kept; others are borrowed until `sent` has
//     passed them, or copied by `keep`; `writeCopy` leaves them to the caller at once. What is written in one
//     turn reaches the kernel together, before the loop waits; `flush` does it now.
// R6  After `wantSent`, `onSent` comes once: when `sent` has grown, or when nothing waits to be sent. A write
//     that fails is sticky: `writeError` is set, what was not sent is dropped, and `onSent` comes unasked.
// R7  `end` shuts down writing after what was written; reads go on (N4). `reset` drops everything at
//     once and lets the peer see it; on a Unix socket it closes. Both may be called at any time, twice.
//     After `reset` nothing is called back. `release` is for a socket that has ended: it closes without a reset, and
//     leaves to the kernel what the peer has not taken and what it still sends.
// R8  A handle on which nobody waits does not keep the process alive: `wantRead`, unsent bytes, `want`
//     of a listener and attempts to connect do.
// R9  A listener takes connections from the kernel only while somebody wants them, as far as the
//     platform lets it; errors of accepting go to `onError` and are retried, and nobody is dropped
//     without `onError` or `dropped` saying so (N10). Addresses are taken at accept (N11).
//     Where connections can wait in the kernel, those beyond `maxConnections` do; elsewhere they are refused.
//     In a worker of node:cluster it shares its address with those of the other workers, as one of node:net does.
// R10 Errors are those of the operating system, with `code` and `syscall` as Node names them.
// R11 A TCP socket is born without Nagle's delay, and with keep-alive after `KEEP_ALIVE`. A peer that has vanished with
//     something unacknowledged is noticed as soon as one that owes nothing, as far as the platform tells (DeadPeers).
// R12 `detach` gives the connection up to a stream of Node's, for what only that can do, such as TLS: what was
//     written goes out first, and what has come and was not read is read there. After it nothing is called back.
//     It counts as open until that stream is closed.
// R13 `adopt` makes a socket of a stream of Node's, under the same rules; its counts begin with `sent` of the
//     carrier. A stream that is destroyed before its end fails with `ERR_STREAM_PREMATURE_CLOSE`.
// R14 `connect` goes to one address or one path. Which addresses a name stands for, and in which order they are tried,
//     is decided above; a listener binds the first that its name stands for. A TCP socket is never connected to itself:
//     that is ECONNREFUSED. A Unix listener whose queue is full is waited for.
// R15 `unacknowledged` says what was written and the peer has not taken: on TCP what its system has not acknowledged,
//     the end included; on a Unix socket the memory of what was not read, which shrinks by whole pieces of 32 KiB; over
//     TLS what is unsent and the ciphertext of what is sent. So it is for comparing: a peer for which it shrinks makes
//     progress (N6). The epoll reactor asks the kernel (SIOCOUTQ), of the descriptors of TLS as well. A stream has only
//     the table in /proc/net/tcp, so for Unix sockets on the portable reactor, for streams that are no sockets, and
//     elsewhere than on Linux it is undefined, and `sent` is all that can be known. Asking is a system call or
//     a look into that table: timers do, through `Uptake`, and nothing that happens per message does.
// R16 `resolve` gives the addresses that a host stands for, in the order of the resolver: later, once, and at least one or
//     an error. An address and a path stand for themselves, `*` for every address of the machine. A resolver of the
//     user's is asked instead of the system's, and may answer anything.
// R17 A datagram is sent whole or not at all, and comes whole; `onTaken` comes once, later, when the kernel has it. What
//     comes is delivered whether or not somebody asks, so whoever binds has a queue. After `close` no datagram comes, and
//     what was not sent fails. An open socket keeps no process alive.

import type net from 'node:net';
import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';

/** Milliseconds of silence before a dead peer is probed for; Go's default. */
export const KEEP_ALIVE = 15_000;

/** Connections that the kernel queues, unless said otherwise. */
export const BACKLOG = 511;

/** A host and a port, or a path. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

export interface ListenOptions {
  /** Connections that the kernel queues; 511 unless said otherwise. */
  readonly backlog?: number | undefined;
  /** Bind only IPv6 on an IPv6 address, not IPv4 too. */
  readonly ipv6Only?: boolean | undefined;
  /** Several sockets may listen on the port, and share its connections (SO_REUSEPORT): one a thread, say. */
  readonly reusePort?: boolean | undefined;
  /**
   * Closing removes the file of a Unix listener, if it is still its own. Default true; with false it stays, for whoever
   * goes on with the socket: another process that has its descriptor.
   */
  readonly unlinkOnClose?: boolean | undefined;
  /**
   * Connections open at once. Further ones wait until one is closed; on the portable reactor they are refused.
   * By default what descriptors allow.
   */
  readonly maxConnections?: number | undefined;
}

export interface ListenerOwner {
  /** Bound; `address` is known. */
  onListening(): void;
  /** Binding failed: nothing follows. */
  onListenError(error: Error): void;
  /** Somebody else has closed it, as `node:cluster` does in a worker that is to disconnect: nothing follows. */
  onClosed(): void;
  /** `take` has a connection. */
  onConnection(): void;
  /** Accepting failed, or a connection was refused; the listener goes on. */
  onAcceptError(error: Error): void;
}

export interface Listener {
  /** Once `onListening` has come. */
  readonly address: Endpoint;
  /** Connections that were refused for want of descriptors or by `maxConnections`. */
  readonly dropped: number;
  /** Asks for `onConnection`, once. */
  want(): void;
  /** Takes the request back. */
  unwant(): void;
  /** The next accepted connection, if there is one. */
  take(): Socket | undefined;
  /** Stops; connections not taken are reset. */
  close(): void;
}

export interface SocketOwner {
  onReadable(): void;
  onSent(): void;
}

export interface Socket {
  owner: SocketOwner | null;
  // A proxy in front may have said others than the system knows: these are set then.
  localAddress: Endpoint;
  remoteAddress: Endpoint;
  /** Bytes that were accepted by `write`, less those that were lost. */
  readonly written: number;
  /** Bytes that the kernel has taken. */
  readonly sent: number;
  /** Bytes that `write` was given in all. */
  readonly position: number;
  /** Those of them that the kernel has not taken: it will, or they were lost and stay counted here. */
  readonly waiting: number;
  /** Bytes that were written and that the peer has not taken (R15); undefined where the system does not tell. */
  unacknowledged(): number | undefined;
  /** The error of the first write that failed. */
  readonly writeError: Error | undefined;
  readonly isReadable: boolean;
  read(): Buffer | null | undefined;
  /** As `read`, and as `wantRead` if nothing is there: whoever is about to wait asks once. */
  readOrWant(): Buffer | null | undefined;
  /**
   * Whether `readInto` has the kernel fill the buffer, and what was sent is not looked at again: else there is a stream
   * in between, which may keep what it was given.
   */
  readonly isDirect: boolean;
  /** As `read`, into a buffer: the number of bytes, 0 at the peer's end. */
  readInto(buffer: Uint8Array): number | undefined;
  wantRead(intoOwnBuffer?: boolean): void;
  unwantRead(): void;
  wantSent(): void;
  write(bytes: Uint8Array, isOwned: boolean): void;
  /** Writes text (as UTF-8) or a copy of bytes; gives their number. */
  writeCopy(data: string | Uint8Array): number;
  /** Copies what is borrowed and not sent: its owner takes it back. */
  keep(): void;
  flush(): void;
  end(): void;
  reset(): void;
  release(): void;
  /**
   * It does not flow yet, and allows half-open connections; it is a `net.Socket` unless the socket was made of
   * another stream. A connection that has ended gives a destroyed one.
   */
  detach(): Duplex;
  setNoDelay(on: boolean): void;
  /** Milliseconds of silence before the first probe; 0 turns probes off. */
  setKeepAlive(delay: number): void;
}

/** What a stream's bytes travel on. */
export interface Carrier {
  /** Knows of delays and probes, and can be reset; null for a stream that knows nothing of networks. */
  readonly socket: net.Socket | null;
  /** Bytes that went out on it before, which the new socket's counts begin with. Default 0. */
  readonly sent?: number;
  readonly localAddress: Endpoint;
  readonly remoteAddress: Endpoint;
}

export interface ConnectOwner {
  onConnect(socket: Socket): void;
  onConnectError(error: Error): void;
}

/** How to bind a socket for datagrams. */
export interface DatagramOptions {
  /** Other sockets may be bound to the address as well (SO_REUSEADDR). */
  readonly reuseAddr?: boolean | undefined;
  /** Bind only IPv6 on `::`, not IPv4 too. */
  readonly ipv6Only?: boolean | undefined;
  /** Sending to a broadcast address is allowed. */
  readonly broadcast?: boolean | undefined;
}

export interface BindOwner {
  onBound(socket: DatagramSocket): void;
  onBindError(error: Error): void;
}

export interface DatagramOwner {
  /** The bytes are the owner's. */
  onDatagram(data: Buffer, from: Endpoint): void;
  /** What the system has reported; the socket goes on. */
  onError(error: Error): void;
  /** Its thread ends: it closes the socket. */
  close(): void;
}

export interface DatagramSocket {
  owner: DatagramOwner | null;
  readonly address: Endpoint;
  /** To an address of its family, or one that is written in it. The bytes stay as they are until `onTaken`. */
  send(bytes: Buffer, to: Endpoint, onTaken: (error: Error | null) => void): void;
  close(): void;
}

/** Hears what a host stands for. */
export type OnResolved = (error: Error | null, found: Endpoint[]) => void;

/** Whoever wants to know when a reactor tells its owners of events, and when it has told all of a batch. */
export interface Host {
  beginBatch(): void;
  endBatch(): void;
}

export interface Reactor {
  /** What is written until `endBatch` returns reaches the kernel with what its owners have written. */
  host: Host | null;
  readonly name: string;
  /** Another scheduler makes its sockets here; for a reactor that cares whose they are. */
  attach?(host: Host): void;
  /** Connections whose descriptor is open, accepted and dialled. */
  readonly open: number;
  listen(endpoint: Endpoint, options: ListenOptions, owner: ListenerOwner): Listener;
  /** To an IP address or a path (R14). Gives a function that ends the attempt; after it nothing is called back. */
  connect(endpoint: Endpoint, owner: ConnectOwner): () => void;
  /** Binds an address for datagrams. Gives a function that ends that; after it nothing is called back. */
  bind(endpoint: Endpoint, options: DatagramOptions, owner: BindOwner): () => void;
  /** What a host stands for, as it says or as `lookup` does (R16). */
  resolve(endpoint: Endpoint, onResolved: OnResolved, lookup?: LookupFunction): void;
  /** How many more connections there is room for; `Infinity` where there is no limit, or none that is known. */
  room(): number;
  /** A socket over a stream that gives bytes, not text, and that nobody else reads or writes. */
  adopt(stream: Duplex, carrier: Carrier): Socket;
  /** Keeps the process alive until the returned function is called. */
  hold(): () => void;
  /** Sends what this turn has written; R5 needs it only where no turn follows: at the end of the process. */
  flush(): void;
}
