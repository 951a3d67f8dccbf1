// A UDP socket whose other side is the test, in place of Node's.

import type dgram from 'node:dgram';
import { EventEmitter } from 'node:events';
import type { LookupFunction } from 'node:net';
import { UdpSocket } from '../../../lib/index.ts';
import { reactor } from '../connection/reactor.ts';

export class MadeUpUdp extends EventEmitter {
  /** What was handed over, in order. */
  readonly sent: string[] = [];
  isClosed = false;
  /** Says that the kernel has taken what it was given, or why not; in order. */
  readonly answers: ((error: Error | null) => void)[] = [];

  socket(capacity: number, lookup?: LookupFunction): UdpSocket {
    return new UdpSocket(this as unknown as dgram.Socket, reactor, capacity, lookup);
  }

  address(): { address: string; port: number } {
    return { address: '127.0.0.1', port: 9 };
  }

  /** A datagram comes. */
  deliver(data: string | Buffer, port = 1): void {
    this.emit('message', Buffer.from(data as string), { address: '127.0.0.2', port });
  }

  send(bytes: Buffer, port: number, host: string, answer: (error: Error | null) => void): void {
    this.sent.push(`${bytes} to ${host}:${port}`);
    this.answers.push(answer);
  }

  close(): void {
    this.isClosed = true;
    const error = Object.assign(new Error('send ECANCELED'), { code: 'ECANCELED' });
    for (const answer of this.answers.splice(0)) queueMicrotask(() => answer(error));
  }
}
