// A load balancer for TCP: each client goes to the backend that has the fewest.
//
//   BACKENDS=127.0.0.1:8001,127.0.0.1:8002 npx tsx --conditions=skein-source samples/balance.ts
//
// Notice what makes a proxy: `copyBoth`, which passes on each side's end by itself and waits for whoever reads slowly.
// Only the dial is tried again, at the next backend: once a byte has been passed on, nobody can know what was done
// with it. SIGINT drains: nobody new comes in, and those who are there may finish within `GRACE` milliseconds. A backend
// counts as up if it can be dialled: one that was stopped, and says nothing, does too, since the kernel accepts for it.

import {
  Address,
  CancelledError,
  type Co,
  type Connection,
  copyBoth,
  dial,
  run,
  serve,
  sleep,
  spawn,
} from 'skein';
import { refuseToStart, text, whereToListen, whole } from './environment.ts';

const DEADLINE = 1_000; // milliseconds for a dial
const INTERVAL = whole('INTERVAL', 2_000, { least: 1 }); // milliseconds between two looks at a backend
const GRACE = whole('GRACE', 60_000);

class Backend {
  readonly address: Address;
  clients = 0;
  isUp = true;

  constructor(address: string) {
    this.address = Address.parse(address);
  }

  /** The lowest is taken. Who is down comes last, but is tried as well if nobody else answers. */
  get rank() {
    return this.isUp ? this.clients : Infinity;
  }

  *dial(): Co<Connection> {
    try {
      const conn = yield* dial(this.address, { timeout: DEADLINE });
      this.#note(true);
      return conn;
    } catch (error) {
      if (!(error instanceof CancelledError))
        this.#note(false, ` (${(error as NodeJS.ErrnoException).code})`);
      throw error;
    }
  }

  #note(isUp: boolean, why = '') {
    if (this.isUp !== isUp) console.log(`${this.address} is ${isUp ? 'up' : 'down'}${why}`);
    this.isUp = isUp;
  }
}

const backends = backendsOf(text('BACKENDS') ?? '');

function backendsOf(list: string): Backend[] {
  try {
    return list.split(',').map((address) => new Backend(address.trim()));
  } catch {
    return refuseToStart(`BACKENDS expects addresses, such as 127.0.0.1:8001,127.0.0.1:8002, got "${list}"`);
  }
}

function* proxy(client: Connection) {
  const chosen = yield* connect();
  if (chosen === null) {
    // An end without a byte might be taken for an answer.
    client.reset();
    return;
  }
  const { backend, upstream } = chosen;
  try {
    yield* copyBoth(client, upstream);
  } finally {
    backend.clients--;
    upstream.close();
  }
}

/** Dials the backends, best first, until one answers, which has then one client more; null if none does. */
function* connect(): Co<{ backend: Backend; upstream: Connection } | null> {
  for (const left = new Set(backends); left.size > 0;) {
    const backend = [...left].reduce((best, other) => (other.rank < best.rank ? other : best));
    left.delete(backend);
    // From now on, or all who come in one moment would go to the same.
    backend.clients++;
    try {
      return { backend, upstream: yield* backend.dial() };
    } catch (error) {
      backend.clients--;
      if (error instanceof CancelledError) throw error;
    }
  }
  return null;
}

/** Looks at a backend from time to time: whoever is down must be found to be up again. */
function* watch(backend: Backend): Co<void> {
  for (;;) {
    yield* sleep(INTERVAL);
    try {
      (yield* backend.dial()).close();
    } catch (error) {
      if (error instanceof CancelledError) throw error;
    }
  }
}

await run(function* () {
  for (const backend of backends) spawn(() => watch(backend), { daemon: true });
  yield* serve(whereToListen(), proxy, {
    signals: true,
    grace: GRACE,
    onListening: (address) => console.log(`balance listening on ${address}, before ${text('BACKENDS')}`),
    onError: (error, conn) => console.error(`${conn?.remoteAddress ?? 'accepting'}: ${String(error)}`),
  });
});
