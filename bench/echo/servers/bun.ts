// Bun's own sockets. `write` takes what the kernel takes and says how much that was; the rest is kept until
// `drain`, and no more is read meanwhile.

interface BunSocket {
  data: { unsent: Buffer | null };
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  end(): void;
}

declare const Bun: {
  listen(options: {
    hostname: string;
    port: number;
    socket: Record<'open' | 'drain' | 'close' | 'error', (socket: BunSocket) => void> & {
      data(socket: BunSocket, bytes: Buffer): void;
    };
  }): { port: number };
};

function send(socket: BunSocket, bytes: Buffer): void {
  const sent = Math.max(0, socket.write(bytes));
  if (sent === bytes.length) return;
  // The bytes are borrowed for the time of this call.
  socket.data.unsent = Buffer.from(bytes.subarray(sent));
  socket.pause();
}

const { port } = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: {
    open(socket) {
      socket.data = { unsent: null };
    },
    data: send,
    drain(socket) {
      const { unsent } = socket.data;
      if (unsent === null) return;
      socket.data.unsent = null;
      send(socket, unsent);
      if (socket.data.unsent === null) socket.resume();
    },
    close() {},
    error() {},
  },
});
console.log(`listening on ${port}`);
