// A server that is up, for tests that talk to it from outside.

import {
  type Address,
  type AddressLike,
  type Co,
  type Connection,
  run,
  serve,
  type ServeOptions,
} from '../../../lib/index.ts';
import { until } from './peers.ts';

export function* echo(conn: Connection): Co<void> {
  for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
}

type Options = ServeOptions & { where?: readonly AddressLike[] };

/** Serves at a port, or at several addresses, and says how to end it. */
export async function serving(
  handler: Parameters<typeof serve>[1],
  { where = [0], ...options }: Options = {},
) {
  const stop = new AbortController();
  const addresses: Address[] = [];
  const onListening = (address: Address): void => void addresses.push(address);
  const ended = run(() => serve(where, handler, { signal: stop.signal, onListening, ...options }));
  await Promise.race([ended, until(() => addresses.length === where.length)]);
  return { addresses, port: addresses[0]!.port, stop: () => stop.abort(), ended };
}
