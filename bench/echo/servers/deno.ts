// Deno's own sockets, an async function and a buffer for each client. The argument is the size of the buffer:
// Deno fills it with zeros, so that a large one costs memory before it is used.

import { BACKLOG } from './announce.ts';

interface DenoConnection {
  /** Null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  setNoDelay(on: boolean): void;
  close(): void;
}

declare const Deno: {
  args: string[];
  listen(options: {
    hostname: string;
    port: number;
    tcpBacklog: number;
  }): AsyncIterable<DenoConnection> & { addr: { port: number } };
};

const SIZE = Number(Deno.args[0] ?? 8192);

async function echo(conn: DenoConnection): Promise<void> {
  try {
    conn.setNoDelay(true);
    const buffer = new Uint8Array(SIZE);
    for (let length; (length = await conn.read(buffer)) !== null;) {
      for (let sent = 0; sent < length;) sent += await conn.write(buffer.subarray(sent, length));
    }
  } finally {
    conn.close();
  }
}

const listener = Deno.listen({ hostname: '127.0.0.1', port: 0, tcpBacklog: BACKLOG });
console.log(`listening on ${listener.addr.port}`);
for await (const conn of listener) echo(conn).catch(() => {});
