// A server that speaks the protocol of Redis and keeps its data in memory, and in an append-only file if it is told to.
//
//   npx tsx --conditions=skein-source samples/kv/server.ts         then, elsewhere:   redis-cli -p 6379
//   HOST PORT   DIR APPENDONLY=yes APPENDFILENAME APPENDFSYNC=always|everysec|no
//
// Notice that a client is a loop (session.ts) and that a command is a function from arguments to a reply: neither knows
// of the other's troubles. What waits is a coroutine: a client in BLPOP (blocking.ts), the writer of the file, to whose
// batch a client's answer is tied by a latch (append-only.ts), a rewrite that goes on beside it (rewrite.ts), expiry.
// Read in this order: session, resp, dispatch, keyspace, commands/strings, blocking, append-only, load, rewrite.

import { type Connection, listen, run, scope, type ScopeBody, serve } from 'skein';
import { log } from './append-only.ts';
import { enter } from './command.ts';
import { connection } from './commands/connection.ts';
import { counters } from './commands/counters.ts';
import { expiries } from './commands/expiries.ts';
import { hashes } from './commands/hashes.ts';
import { keys } from './commands/keys.ts';
import { listPops } from './commands/list-pops.ts';
import { lists } from './commands/lists.ts';
import { pubsub } from './commands/pubsub.ts';
import { server } from './commands/server.ts';
import { setAlgebra } from './commands/set-algebra.ts';
import { sets } from './commands/sets.ts';
import { strings } from './commands/strings.ts';
import { transactions } from './commands/transactions.ts';
import { isNoFault } from './errors.ts';
import { expireInBackground } from './expiry.ts';
import { load } from './load.ts';
import { FileLock } from './lock.ts';
import { rewrite } from './rewrite.ts';
import { serveClient } from './session.ts';
import { appendOnlyPath, settings } from './settings.ts';

for (const commands of [
  connection,
  strings,
  counters,
  keys,
  expiries,
  lists,
  listPops,
  hashes,
  sets,
  setAlgebra,
]) {
  enter(commands);
}
for (const commands of [transactions, pubsub, server]) enter(commands);

const all: ScopeBody<void> = function* (background) {
  // Clients that come while the file is loaded wait in the kernel.
  const acceptor = yield* listen({ host: settings.host, port: settings.port }, { onError });
  if (settings.appendOnly) {
    log.lock = new FileLock(appendOnlyPath());
    yield* load(appendOnlyPath());
    yield* log.open(appendOnlyPath());
  }
  background.spawn(() => expireInBackground(), { daemon: true });
  background.spawn(() => rewrite.whenDoubled(), { daemon: true });
  // The last to end: what clients have changed is on the disk then.
  background.spawn(() => log.write());
  yield* serve(acceptor, serveClient, {
    signals: true,
    onListening: (address) => console.log(`kv listening on ${address}`),
    onError,
  });
  log.end();
};

function onError(error: unknown, conn?: Connection): void {
  // A client that vanishes is no event.
  if (conn === undefined || !isGone(error)) console.error(conn?.remoteAddress.toString() ?? 'kv', error);
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(ECONNRESET|EPIPE)$/.test(String(error.code));
}

try {
  await run(() => scope(all));
} catch (error) {
  console.error('kv:', isNoFault(error) ? error.message : error);
  process.exitCode = 1;
} finally {
  log.lock?.release();
}
