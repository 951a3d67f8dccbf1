// `npm run test:upgrades`: 2,000 clients in each of several ways ask for a WebSocket and are gone before they have it. They
// must leave no coroutine and no slot: a server of 100 slots then serves 100 clients at the same time. Half a minute on each
// reactor; CLIENTS changes the number, ONLY names one way.
//
// The clients are a process of their own, so that server and client do not take turns.

import { fork } from 'node:child_process';
import net from 'node:net';
import { type Co, dump, reactorName, run, sleep, spawn, suspend } from 'skein';
import { serveWebSocket } from 'skein/ws';
import { vanish, type WayName, WAYS } from '../../support/network/vanishing.ts';

const SLOTS = 100;
const clients = Number(process.env['CLIENTS'] ?? 2_000);
const only = process.env['ONLY'];
const [, , asClients, portGiven, way] = process.argv;

if (asClients === 'clients') await vanish(Number(portGiven), way as WayName, clients);
else if (process.env['SKEIN_REACTOR'] === undefined) await onEach(['epoll', 'node']);
else await attack();

async function onEach(reactors: readonly string[]): Promise<void> {
  for (const reactor of reactors) {
    const child = fork(import.meta.filename, [], { env: { ...process.env, SKEIN_REACTOR: reactor } });
    const status = await new Promise<number | null>((resolve) => child.once('exit', resolve));
    if (status !== 0) process.exitCode = 1;
  }
}

async function attack(): Promise<void> {
  const stop = new AbortController();
  let port = 0;
  let handlers = 0;
  let asked = 0;
  await run(function* () {
    const serving = spawn(() =>
      serveWebSocket(
        '127.0.0.1:0',
        function* (socket) {
          asked++;
          handlers++;
          try {
            for (let message; (message = yield* socket.receive()) !== null;) yield* socket.send(message);
          } finally {
            handlers--;
          }
        },
        {
          maxConnections: SLOTS,
          signal: stop.signal,
          onListening: (address) => (port = address.port),
          onError: () => {},
        },
      ),
    );
    yield* waitFor(() => port !== 0);
    for (const name of Object.keys(WAYS)) {
      if (only !== undefined && only !== name) continue;
      asked = 0;
      const attackers = fork(import.meta.filename, ['clients', String(port), name], {
        env: { ...process.env, CLIENTS: String(clients) },
      });
      yield* suspend<void>((resume) => attackers.once('exit', () => resume()));
      yield* waitFor(() => clientsLeft() === 0);
      const left = clientsLeft();
      const good = yield* serveAll(port);
      const isRight = left === 0 && handlers === 0 && good === SLOTS;
      console.log(
        `${reactorName()}, ${name}: of ${clients} clients ${asked} had a WebSocket for a moment; ` +
          `${left} are left, ${handlers} handlers, ${good} of ${SLOTS} good clients served${isRight ? '' : '  WRONG'}`,
      );
      if (!isRight) process.exitCode = 1;
    }
    stop.abort();
    yield* serving.join();
  });
}

/** Coroutines of clients, by what the server calls them. */
function clientsLeft(): number {
  return JSON.stringify(dump()).match(/"name":"(client |upgraded )/g)?.length ?? 0;
}

/** How many clients are served at the same time. */
function* serveAll(port: number): Co<number> {
  const sockets: net.Socket[] = [];
  let served = 0;
  for (let count = 0; count < SLOTS; count++) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {}).once('data', () => served++);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    sockets.push(socket);
  }
  yield* waitFor(() => served === SLOTS);
  for (const socket of sockets) socket.destroy();
  yield* waitFor(() => clientsLeft() === 0);
  return served;
}

/** At most 3 s. */
function* waitFor(condition: () => boolean): Co<void> {
  for (let tries = 0; tries < 300 && !condition(); tries++) yield* sleep(10);
}
