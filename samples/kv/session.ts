// One client from its first byte to its last: a loop that reads a chunk, performs the requests in it, and writes what
// they have to say as one. Only three things in it wait: reading, writing, and what a command has left `pending`.

import { Buffer } from 'node:buffer';
import {
  ClosedError,
  type Co,
  type Connection,
  type Latch,
  ProtocolError,
  spawn,
  timeout,
  TimeoutError,
} from 'skein';
import { log } from './append-only.ts';
import { Client, clients, protocolFailure, totals } from './clients.ts';
import { unwatch } from './commands/transactions.ts';
import { unsubscribeAll } from './commands/pubsub.ts';
import { execute } from './dispatch.ts';

/** So many characters of replies are written before the next request is performed. */
const MUCH = 65_536;
/** Milliseconds that a client has to go when it was told to. */
const PATIENCE = 500;

export function* serveClient(conn: Connection, stopping: Latch): Co<void> {
  const client = new Client(conn);
  clients.set(client.id, client);
  totals.connections++;
  spawn(() => endWith(stopping, client), { daemon: true });
  try {
    yield* converse(client, conn);
  } catch (error) {
    // Closed on this side: it was told to end, killed, or dropped.
    if (!(error instanceof ClosedError)) throw error;
  } finally {
    clients.delete(client.id);
    unwatch(client);
    unsubscribeAll(client);
  }
}

function* converse(client: Client, conn: Connection): Co<void> {
  const { parser } = client;
  for (let chunk; (chunk = yield* conn.read()) !== null;) {
    client.isBusy = true;
    const { appends } = log;
    let replies = '';
    try {
      parser.add(chunk);
      while (!client.isEnding && parser.next()) {
        let reply = execute(client, parser.args);
        if (client.pending !== null) {
          if (replies !== '') yield* say(client, conn, replies, appends);
          replies = '';
          client.isBusy = false;
          reply = yield* client.pending();
          client.pending = null;
          client.isBusy = true;
        }
        replies += client.muting === 'none' ? reply : client.hears(reply);
        if (replies.length > MUCH) {
          yield* say(client, conn, replies, appends);
          replies = '';
        }
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      replies += client.hears(protocolFailure(error.message));
      client.refuse();
    }
    // The same as `say`, without a generator around it, for the one write that nearly every chunk has.
    if (log.appends !== appends && log.mustWait) yield* log.committed();
    if (client.isEnding) return yield* part(client, conn, replies);
    if (replies !== '') yield* conn.write(bytesOf(client, replies));
    client.isBusy = false;
  }
}

/** Says something once all that was appended meanwhile is where it has to be. */
function* say(client: Client, conn: Connection, replies: string, appends: number): Co<void> {
  if (log.appends !== appends && log.mustWait) yield* log.committed();
  yield* conn.write(bytesOf(client, replies));
}

/**
 * Says the last to a client, and waits a moment for it to go. One that is refused has gone then, whether it reads, sends
 * or does nothing; so has one that goes on sending. From any other no reply is kept, however slowly it reads.
 */
function* part(client: Client, conn: Connection, replies: string): Co<void> {
  // Nothing may be said to it behind the end.
  unsubscribeAll(client);
  const { isRefused } = client;
  let isSending = isRefused;
  const last = replies === '' ? null : bytesOf(client, replies);
  if (last !== null && !isRefused) yield* conn.write(last);
  try {
    yield* timeout(PATIENCE, function* () {
      if (last !== null && isRefused) yield* conn.write(last);
      yield* conn.end();
      while ((yield* conn.read()) !== null) isSending = true;
    });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    if (isSending) conn.reset();
  }
}

function bytesOf(client: Client, replies: string): Buffer {
  const bytes = Buffer.from(replies, 'latin1');
  client.handedOver += bytes.length;
  return bytes;
}

/** The server ends: its clients are asked nothing more. */
function* endWith(stopping: Latch, client: Client): Co<void> {
  yield* stopping.wait();
  client.end();
}
