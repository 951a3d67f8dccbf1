// Datagrams of both reactors of the system, over node:dgram. libuv reads from the kernel whether or not somebody asks.
// Invariant: Node never looks a name up here; by itself it would take a turn of the loop for each datagram.

import type dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { builtin } from '../builtin.ts';
import type { BindOwner, DatagramOptions, DatagramOwner, DatagramSocket, Endpoint } from '../contract.ts';

/** `bind` as R17 has it. */
export function bindDatagrams(to: Endpoint, options: DatagramOptions, owner: BindOwner): () => void {
  const { reuseAddr = false, ipv6Only = false, broadcast = false } = options;
  const type = isIPv6(to.host) ? 'udp6' : 'udp4';
  const socket = builtin('node:dgram').createSocket({ type, reuseAddr, ipv6Only, lookup: asItIs });
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    socket.close();
  };
  // Node binds within the call, since no name is looked up.
  const onError = (error: Error): void =>
    queueMicrotask(() => {
      if (isOver) return;
      end();
      owner.onBindError(error);
    });
  const onListening = (): void => {
    if (isOver) return;
    isOver = true;
    socket.removeListener('error', onError);
    if (broadcast) socket.setBroadcast(true);
    owner.onBound(new NodeDatagrams(socket));
  };
  // Whoever waits keeps the process alive, and not the socket.
  socket.unref();
  socket.once('error', onError);
  socket.once('listening', () => queueMicrotask(onListening));
  // The workers of a cluster share a port that they name. One that the system chooses is where answers come to.
  socket.bind({ address: to.host, port: to.port, exclusive: to.port === 0 });
  return end;
}

function asItIs(
  host: string,
  _: unknown,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, host, isIPv6(host) ? 6 : 4);
}

class NodeDatagrams implements DatagramSocket {
  owner: DatagramOwner | null = null;
  readonly address: Endpoint;
  readonly #socket: dgram.Socket;

  constructor(socket: dgram.Socket) {
    const { address, port } = socket.address();
    this.address = { host: address, port, path: '' };
    this.#socket = socket;
    socket.on('message', (data, from) =>
      this.owner?.onDatagram(data, { host: from.address, port: from.port, path: '' }),
    );
    socket.on('error', (error) => this.owner?.onError(error));
    if (!builtin('node:worker_threads').isMainThread) closeAtExit(this, socket);
  }

  send(bytes: Buffer, { host, port }: Endpoint, onTaken: (error: Error | null) => void): void {
    this.#socket.send(bytes, port, host, onTaken);
  }

  /** Node cancels what it holds, and says so. */
  close(): void {
    this.#socket.close();
  }
}

/** Those of a worker thread that are open; null before the first. */
let open: Set<NodeDatagrams> | null = null;

/** On Node 20 a datagram that comes while its thread is being stopped aborts the process (`UDPWrap::OnRecv`). */
function closeAtExit(datagrams: NodeDatagrams, socket: dgram.Socket): void {
  const all = (open ??= closingAtExit());
  all.add(datagrams);
  socket.once('close', () => all.delete(datagrams));
}

function closingAtExit(): Set<NodeDatagrams> {
  const sockets = new Set<NodeDatagrams>();
  process.once('exit', () => {
    for (const socket of sockets) (socket.owner ?? socket).close();
  });
  return sockets;
}
