// Peers that speak plain node:net, so that what is tested is met by something that is not itself.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let paths = 0;

/** A path for a Unix socket that nobody else uses. */
export function socketPath(): string {
  return join(tmpdir(), `skein-test-${process.pid}-${++paths}.sock`);
}

/** A client that connects; its errors are no test's concern unless it looks for them. */
export function startConnect(to: { port: number; host?: string; path?: string }): net.Socket {
  const target = to.path ? { path: to.path } : { port: to.port, host: to.host ?? '127.0.0.1' };
  const socket = net.connect({ ...target, allowHalfOpen: true });
  socket.on('error', () => {});
  return socket;
}

/** A client that is connected. */
export async function connect(to: { port: number; path?: string }): Promise<net.Socket> {
  const socket = startConnect(to);
  await once(socket, 'connect');
  return socket;
}

/** A server that gives its connections to `onSocket`; closed by the test. */
export async function listenPlain(onSocket: (socket: net.Socket) => void): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/**
 * Takes an address at which nobody answers: a listener that never accepts and whose queue is full. Linux drops what
 * comes then, so an attempt neither connects nor fails.
 */
export async function takeSilently(host: string, port = 0): Promise<{ port: number; release(): void }> {
  // A process that stands still; it ends by itself if the test does not come to that.
  const program = `require('node:net').createServer().listen({ port: ${port}, host: '${host}', backlog: 1 }, function () {
    require('node:fs').writeSync(1, String(this.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20_000);
  })`;
  const silent = spawn(process.execPath, ['-e', program], { env: { ...process.env, NODE_OPTIONS: '' } });
  const taken = Number(String((await once(silent.stdout, 'data'))[0]));
  // A backlog of one has room for two.
  const fillers = [1, 2].map(() => startConnect({ host, port: taken }));
  await Promise.all(fillers.map((filler) => once(filler, 'connect')));
  return {
    port: taken,
    release() {
      for (const filler of fillers) filler.destroy();
      silent.kill('SIGKILL');
    },
  };
}

/** Who is at the other end of what is tested. */
export interface Peers {
  startConnect(to: { port: number; host?: string; path?: string }): { destroy(): void };
  connect(to: { port: number; path?: string }): Promise<net.Socket>;
  listenPlain(onSocket: (socket: net.Socket) => void): Promise<{ readonly port: number; close(): void }>;
}

/** Those over node:net. */
export const plainPeers: Peers = {
  startConnect,
  connect,
  async listenPlain(onSocket) {
    const server = await listenPlain(onSocket);
    return { port: portOf(server), close: () => void server.close() };
  },
};

export function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}

/** All that a socket sends until its end. */
export async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Waits until a condition holds; fails after a time that no machine needs. */
export async function until(
  condition: () => boolean,
  what = 'the condition',
  patience = 10_000,
): Promise<void> {
  const deadline = Date.now() + patience;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
