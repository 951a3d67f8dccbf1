// Effect's socket server, a fiber for each client.

import * as NodeSocketServer from '@effect/platform-node-shared/NodeSocketServer';
import * as Effect from 'effect/Effect';
import type { Socket } from 'effect/socket/Socket';
import * as SocketServer from 'effect/socket/SocketServer';
import { BACKLOG } from './announce.ts';

const echo = (socket: Socket) =>
  Effect.gen(function* () {
    const writer = yield* socket.writer;
    const { pull } = yield* socket.reader;
    return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll));
  }).pipe(
    Effect.scoped,
    // Every end of a connection is an error here, a clean one too.
    Effect.ignore,
  );

const main = Effect.gen(function* () {
  const server = yield* SocketServer.SocketServer;
  const { address } = server;
  if ('port' in address) console.log(`listening on ${address.port}`);
  yield* server.run(echo);
}).pipe(
  Effect.provide(NodeSocketServer.layer({ port: 0, host: '127.0.0.1', backlog: BACKLOG, noDelay: true })),
);

await Effect.runPromise(main);
