// What the guide does not use: a program that prints the same on each runtime, and then waits for ever.

import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import { bindUdp, dial, formatDump, reactorName, readBody, run, scope, serve, serveHttp } from 'skein';
import { shield, sleep, spawn, suspend, timeout, wait } from 'skein';

const ca = readFileSync('server.pem');
const keys = { key: readFileSync('server.key'), cert: ca };

/** Runs a server, and ends it after its client. */
function* beside(start, client) {
  const stop = new AbortController();
  let onListening;
  const listening = new Promise((resolve) => (onListening = resolve));
  const server = spawn(() => start({ signal: stop.signal, onListening }));
  const result = yield* client(yield* wait(listening));
  stop.abort();
  yield* server.join();
  return result;
}

function* echo(conn) {
  for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
}

const checks = {
  *megabytes() {
    const sent = Buffer.alloc(3_000_000, 'skein ');
    return yield* beside(
      (options) => serve(0, echo, options),
      function* (address) {
        const conn = yield* dial(address);
        const writer = spawn(function* () {
          yield* conn.write(sent);
          yield* conn.end();
        });
        const came = [];
        for (let data; (data = yield* conn.read()) !== null;) came.push(data);
        yield* writer.join();
        conn.close();
        return Buffer.concat(came).equals(sent);
      },
    );
  },
  *http() {
    function* answer(request, response) {
      response.end(`${request.method} ${request.url} ${yield* readBody(request)}`);
    }
    return yield* beside(
      (options) => serveHttp(0, answer, options),
      function* ({ port }) {
        const url = `http://127.0.0.1:${port}/path`;
        const first = yield* wait(fetch(url, { method: 'POST', body: 'body' }).then((got) => got.text()));
        const second = yield* wait(fetch(url).then((got) => got.text()));
        return [first, second].join(', ');
      },
    );
  },
  *udp() {
    const one = yield* bindUdp(0);
    const other = yield* bindUdp(0);
    yield* one.send('ping', other.address);
    const { data, from } = yield* other.receive();
    yield* other.send(`${data}, pong`, from);
    const answer = String((yield* one.receive()).data);
    one.close();
    other.close();
    return answer;
  },
  *'many handshakes'() {
    return yield* beside(
      (options) => serve(0, echo, { ...options, tls: keys }),
      function* ({ port }) {
        const clients = Array.from({ length: 20 }, (_, index) =>
          spawn(function* () {
            const conn = yield* dial({ host: '127.0.0.1', port }, { tls: { ca, servername: 'localhost' } });
            yield* conn.write(`${index}\n`);
            const line = yield* conn.readLine();
            conn.close();
            return Number(line) === index;
          }),
        );
        let right = 0;
        for (const client of clients) if (yield* client.join()) right++;
        return right;
      },
    );
  },
  *'a certificate that is not trusted'() {
    return yield* beside(
      (options) => serve(0, echo, { ...options, tls: keys, onError: () => {} }),
      function* ({ port }) {
        try {
          yield* dial({ host: '127.0.0.1', port }, { tls: { servername: 'localhost' } });
          return 'taken';
        } catch (error) {
          return error.code;
        }
      },
    );
  },
  *startTls() {
    function* upgrade(conn) {
      yield* conn.readLine();
      yield* conn.write('go\n');
      yield* conn.startTls({ ...keys, isServer: true });
      yield* echo(conn);
    }
    return yield* beside(
      (options) => serve(0, upgrade, options),
      function* (address) {
        const conn = yield* dial(address);
        yield* conn.write('starttls\n');
        yield* conn.readLine();
        yield* conn.startTls({ ca, servername: 'localhost' });
        yield* conn.write('private\n');
        const line = yield* conn.readLine();
        conn.close();
        return line;
      },
    );
  },
  *cancellation() {
    const log = [];
    const child = spawn(function* () {
      try {
        yield* sleep(60_000);
      } catch (error) {
        log.push(error.code);
        throw error;
      } finally {
        yield* shield(() => sleep(1));
        log.push('cleaned up');
      }
    });
    yield* sleep(1);
    child.cancel();
    yield* scope(function* (jobs) {
      jobs.spawn(() => sleep(60_000), { daemon: true });
    });
    try {
      yield* timeout(5, () => sleep(60_000));
    } catch (error) {
      log.push(error.code);
    }
    return log.join(', ');
  },
  *'a reader that is cancelled'() {
    return yield* beside(
      (options) => serve(0, echo, options),
      function* (address) {
        const conn = yield* dial(address);
        const reader = spawn(() => conn.read());
        yield* sleep(1);
        reader.cancel();
        yield* conn.write('not lost\n');
        const line = yield* conn.readLine();
        conn.close();
        return line;
      },
    );
  },
  *refused() {
    try {
      yield* dial(1);
      return 'connected';
    } catch (error) {
      return error.code;
    }
  },
  *dump() {
    spawn(() => sleep(60_000), { daemon: true, name: 'sleeper' });
    yield* sleep(1);
    return /sleeper #\d+, suspended, .*: sleeping/.test(formatDump());
  },
  *stores() {
    const store = new AsyncLocalStorage();
    store.enterWith('entered');
    yield* wait(Promise.resolve());
    const left = store.getStore();
    const kept = () => run(() => sleep(1), { asyncContext: true }).then(() => store.getStore());
    return `${left}, ${yield* wait(store.run('kept', kept))}`;
  },
};

console.log('reactor', reactorName());
for (const [name, check] of Object.entries(checks)) {
  try {
    console.log(name, await run(() => timeout(5_000, check)));
  } catch (error) {
    console.log(name, 'failed:', error.code, error.message, error.cause ?? '');
  }
}
// A deadlock: it is reported when the event loop has nothing left to do, and the exit code is 2. A top-level await would
// keep Bun running, and Deno has an error of its own for it.
void run(() => suspend(() => {})).catch((error) => console.log(error.code));
