// A UDP socket whose other side is the test, in place of the reactor's.

import { EventEmitter } from 'node:events';
import type { LookupFunction } from 'node:net';
import { UdpSocket } from '../../../lib/index.ts';
import type { DatagramOwner, DatagramSocket, Endpoint } from '../../../lib/reactor/contract.ts';
import { reactor } from '../connection/reactor.ts';

export class MadeUpUdp extends EventEmitter implements DatagramSocket {
  owner: DatagramOwner | null = null;
  readonly address: Endpoint = { host: '127.0.0.1', port: 9, path: '' };
  /** What was handed over, in order. */
  readonly sent: string[] = [];
  isClosed = false;
  /** Says that the kernel has taken what it was given, or why not; in order. */
  readonly answers: ((error: Error | null) => void)[] = [];

  socket(capacity: number, lookup?: LookupFunction): UdpSocket {
    this.on('error', (error: Error) => this.owner?.onError(error));
    return new UdpSocket(this, reactor, capacity, lookup);
  }

  /** A datagram comes. */
  deliver(data: string | Buffer, port = 1): void {
    this.owner?.onDatagram(Buffer.from(data as string), { host: '127.0.0.2', port, path: '' });
  }

  send(bytes: Buffer, { host, port }: Endpoint, answer: (error: Error | null) => void): void {
    this.sent.push(`${bytes} to ${host}:${port}`);
    this.answers.push(answer);
  }

  close(): void {
    this.isClosed = true;
    const error = Object.assign(new Error('send ECANCELED'), { code: 'ECANCELED' });
    for (const answer of this.answers.splice(0)) queueMicrotask(() => answer(error));
  }
}
