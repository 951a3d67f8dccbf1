// Clients that ask for a WebSocket and disappear meanwhile, in each of the ways that were found to matter: before the
// server reads the request, between that and its answer, after the answer, with other bytes around it.

import net from 'node:net';

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const upgrade = (path: string, key = KEY): string =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: a',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    key,
    '\r\n',
  ].join('\r\n');
const page = 'GET /page HTTP/1.1\r\nHost: a\r\n\r\n';

type Way = (socket: net.Socket, path: string) => void;

export const WAYS = {
  reset(socket, path) {
    socket.write(upgrade(path));
    socket.resetAndDestroy();
  },
  'reset soon'(socket, path) {
    socket.write(upgrade(path));
    setImmediate(() => socket.resetAndDestroy());
  },
  'reset behind another request'(socket, path) {
    socket.write(page + upgrade(path));
    socket.resetAndDestroy();
  },
  'reset behind bytes'(socket, path) {
    socket.write(Buffer.concat([Buffer.from(upgrade(path)), Buffer.alloc(70_000)]));
    socket.resetAndDestroy();
  },
  'end and close'(socket, path) {
    socket.end(upgrade(path));
    setImmediate(() => socket.destroy());
  },
  'end and read on'(socket, path) {
    socket.end(upgrade(path));
  },
  'reset after the answer'(socket, path) {
    socket.write(upgrade(path));
    socket.once('data', () => socket.resetAndDestroy());
  },
  'reset in pieces'(socket, path) {
    socket.write(upgrade(path).slice(0, -2));
    setImmediate(() => {
      socket.write('\r\n');
      socket.resetAndDestroy();
    });
  },
  'reset of what is no WebSocket'(socket, path) {
    socket.write(upgrade(path, 'Sec-WebSocket-Key: none'));
    socket.resetAndDestroy();
  },
} as const satisfies Record<string, Way>;

export type WayName = keyof typeof WAYS;

/** So many clients, thirty at a time; all are gone afterwards. */
export async function vanish(port: number, name: WayName, count: number, path = '/'): Promise<void> {
  const way: Way = WAYS[name];
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => {});
      socket.on('connect', () => way(socket, path));
      socket.on('end', () => socket.destroy());
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
  };
  await Promise.all(Array.from({ length: Math.min(30, count) }, lane));
}
