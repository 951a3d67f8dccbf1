// A connection over a stream that somebody else has made: a `net.Socket`, one end of a `PassThrough`, what a library
// hands out. Invariant: nothing is read before somebody asks, and both ends of the stream stay their own (N1, N4).

import net from 'node:net';
import { Duplex } from 'node:stream';
import { inWords, StateError } from '../../scheduler/kernel/errors.ts';
import { currentScheduler } from '../../scheduler/kernel/scheduler.ts';
import { networkOf } from '../common/current-reactor.ts';
import { Connection } from '../connection/connection.ts';
import { builtin } from '../reactor/builtin.ts';
import type { Carrier, Endpoint } from '../reactor/contract.ts';

/**
 * A connection over a stream of Node's that gives bytes, and that nobody else reads or writes. `end` ends its
 * writable side, and its 'end' is the end of the stream; `reset` destroys it. An error of the stream is thrown with
 * its `code`, and a stream that is destroyed without one fails with `ERR_STREAM_PREMATURE_CLOSE`. The addresses are
 * those of a `net.Socket`; others are unnamed.
 *
 * @throws TypeError for what is no Duplex, is in object mode, or has an encoding set; StateError if one of its sides
 * has ended, or it has failed or was destroyed
 *
 * @example
 * ```ts
 * import { Duplex, PassThrough } from 'node:stream';
 * import { fromDuplex, run } from 'skein';
 *
 * const there = new PassThrough();
 * const back = new PassThrough();
 *
 * await run(function* () {
 *   const conn = fromDuplex(Duplex.from({ readable: back, writable: there }));
 *   yield* conn.write('hello');
 *   back.end(there.read());
 *   console.log(String(yield* conn.read()), yield* conn.read()); // hello null
 *   conn.reset();
 * });
 * ```
 */
export function fromDuplex(duplex: Duplex): Connection {
  checkDuplex(duplex);
  // Else Node would end the writable side at the end of the readable one.
  duplex.allowHalfOpen = true;
  const scheduler = currentScheduler();
  return new Connection(networkOf(scheduler).adopt(duplex, carrierOf(duplex)), true, scheduler);
}

function checkDuplex(duplex: unknown): asserts duplex is Duplex {
  const { readable, read, write, on } = (duplex ?? {}) as Partial<Duplex>;
  const isDuplex = [read, write, on].every((method) => typeof method === 'function');
  if (!isDuplex || readable === undefined) {
    throw new TypeError(`fromDuplex expects a Duplex, got ${inWords(duplex)}`);
  }
  const stream = duplex as Duplex;
  if (stream.readableObjectMode || stream.writableObjectMode) {
    throw new TypeError('fromDuplex expects a stream of bytes, got one in object mode');
  }
  if (stream.readableEncoding !== null) {
    throw new TypeError(
      `fromDuplex expects a stream of bytes, got one that gives ${stream.readableEncoding}`,
    );
  }
  if (stream.destroyed || stream.errored) {
    const fate = stream.destroyed ? 'was destroyed' : 'has failed';
    throw new StateError(`fromDuplex expects an open stream, got one that ${fate}`);
  }
  if (stream.readableEnded || stream.writableEnded) {
    const side = stream.readableEnded ? 'readable' : 'writable';
    throw new StateError(`fromDuplex expects an open stream, got one whose ${side} side has ended`);
  }
}

function carrierOf(duplex: Duplex): Carrier {
  const { localAddress, localPort, remoteAddress, remotePort } = duplex as net.Socket;
  return {
    socket: isTcp(duplex) ? duplex : null,
    localAddress: endpoint(localAddress, localPort),
    remoteAddress: endpoint(remoteAddress, remotePort),
  };
}

/** @internal Node has delays, probes and resets for TCP alone. */
export function isTcp(stream: Duplex): stream is net.Socket {
  return (
    stream instanceof net.Socket &&
    !(stream instanceof builtin('node:tls').TLSSocket) &&
    stream.remotePort !== undefined
  );
}

function endpoint(host: unknown, port: unknown): Endpoint {
  return {
    host: typeof host === 'string' ? host : '',
    port: typeof port === 'number' ? port : 0,
    path: '',
  };
}
