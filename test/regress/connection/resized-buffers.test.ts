// Memory that changes its size while it is written or read into.

import t from 'tap';
import { bindUdp, type Co, type Connection, pause, run, sleep, spawn, wait } from '../../../lib/index.ts';
import { failure, withPair } from '../../support/connection/pair.ts';
import { readAll } from '../../support/connection/peers.ts';

const SIZE = 8_000_000;

/** As far as the types of the oldest version of Node know them not. */
interface Growing {
  readonly buffer: ArrayBuffer;
  /** Its last argument is more than the first. */
  grow(size: number): void;
}

const Resizable = ArrayBuffer as unknown as new (
  size: number,
  options: { maxByteLength: number },
) => ArrayBuffer & { resize(size: number): void };
const Growable = SharedArrayBuffer as unknown as new (
  size: number,
  options: { maxByteLength: number },
) => SharedArrayBuffer & { grow(size: number): void };
declare const WebAssembly: {
  Memory: new (options: { initial: number; maximum: number }) => Growing;
};

/** A view of memory, filled, and what makes that grow. */
const kinds: Record<string, () => [view: Uint8Array, grow: () => void]> = {
  'a resizable ArrayBuffer'() {
    const buffer = new Resizable(SIZE, { maxByteLength: 2 * SIZE });
    return [new Uint8Array(buffer), () => buffer.resize(2 * SIZE)];
  },
  'a growable SharedArrayBuffer'() {
    const buffer = new Growable(SIZE, { maxByteLength: 2 * SIZE });
    return [new Uint8Array(buffer), () => buffer.grow(2 * SIZE)];
  },
  'a memory of WebAssembly'() {
    const memory = new WebAssembly.Memory({ initial: 123, maximum: 300 });
    return [new Uint8Array(memory.buffer, 100, SIZE), () => memory.grow(1)];
  },
};

const ways: Record<string, (conn: Connection, view: Uint8Array) => Co<void>> = {
  *write(conn, view) {
    yield* conn.write(view);
  },
  *writeAll(conn, view) {
    yield* conn.writeAll([view]);
  },
  *send(conn, view) {
    conn.send(view);
    yield* conn.flush();
  },
  *'a write that waits its turn'(conn, view) {
    const first = Buffer.alloc(SIZE, 1);
    spawn(() => conn.write(first));
    yield* conn.write(view);
  },
};

for (const [kind, make] of Object.entries(kinds)) {
  for (const [way, perform] of Object.entries(ways)) {
    t.test(`${kind} may grow during ${way}`, (t) =>
      run(() =>
        withPair(function* ({ conn, peer }) {
          peer.pause();
          const [view, grow] = make();
          view.fill(1);
          const writing = spawn(() => perform(conn, view));
          yield* sleep(20);
          t.equal(writing.state, 'suspended');
          grow();
          const all = readAll(peer);
          yield* writing.join();
          yield* conn.end();
          const got = yield* wait(all);
          t.equal(got.byteLength, way.startsWith('a write') ? 2 * SIZE : SIZE);
          t.equal(got.indexOf(0), -1);
        }),
      ),
    );
  }
}

for (const [what, take] of Object.entries({
  transferred: (buffer: ArrayBuffer): void => void structuredClone(buffer, { transfer: [buffer] }),
  shrunk: (buffer: ArrayBuffer): void => (buffer as InstanceType<typeof Resizable>).resize(10),
})) {
  t.test(`memory that is ${what} before its turn is an error, and nothing of it is written`, (t) =>
    run(() =>
      withPair(function* ({ conn, peer }) {
        peer.pause();
        const buffer = new Resizable(SIZE, { maxByteLength: SIZE });
        const first = spawn(() => conn.write(Buffer.alloc(SIZE)));
        const errors: unknown[] = [];
        const note = { onError: (error: unknown) => void errors.push(error) };
        const late = [
          spawn(() => conn.write(new Uint8Array(buffer)), note),
          spawn(() => conn.writeAll(['text', new Uint8Array(buffer)]), note),
        ];
        const last = spawn(() => conn.write('last'));
        yield* sleep(20);
        take(buffer);
        const all = readAll(peer);
        for (const one of [first, last]) yield* one.join();
        for (const { state } of late) t.equal(state, 'failed');
        for (const error of errors)
          t.match(error, { name: 'TypeError', code: 'ERR_INVALID_STATE', message: /taken away/ });
        t.equal(errors.length, 2);
        yield* conn.end();
        t.equal((yield* wait(all)).byteLength, SIZE + 'last'.length);
      }),
    ),
  );
}

t.test('memory that is taken away in the middle of a write is an error of that write', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      peer.pause();
      const buffer = new Resizable(3 * SIZE, { maxByteLength: 3 * SIZE });
      const errors: unknown[] = [];
      const writing = spawn(() => conn.write(new Uint8Array(buffer)), {
        onError: (error) => errors.push(error),
      });
      yield* sleep(20);
      buffer.resize(10);
      peer.on('error', () => {}).resume();
      yield* failure(() => writing.join());
      t.match((errors[0] as Error).message, /^writing to .*: the memory of \d+ bytes was taken away/);
      t.equal((errors[0] as NodeJS.ErrnoException).code, 'ERR_INVALID_STATE');
    }),
  ),
);

t.test('readInto sees what its buffer is when bytes come', (t) =>
  run(() =>
    withPair(function* ({ conn, peer }) {
      const buffer = new Resizable(4, { maxByteLength: 1_000 });
      const reading = spawn(() => conn.readInto(new Uint8Array(buffer)));
      yield* sleep(5);
      buffer.resize(1_000);
      peer.write('hello');
      t.equal(yield* reading.join(), 5);
      t.equal(Buffer.from(buffer).toString('latin1', 0, 5), 'hello');
      const none = spawn(() => failure(() => conn.readInto(new Uint8Array(buffer))));
      yield* sleep(5);
      buffer.resize(0);
      peer.write('more');
      t.match(yield* none.join(), { name: 'TypeError', message: /taken away/ });
      t.equal(String(yield* conn.read()), 'more', 'nothing is lost, and it is no end');
    }),
  ),
);

t.test('a datagram of memory that grows is what it was', (t) =>
  run(function* () {
    const socket = yield* bindUdp(0);
    for (const [kind, make] of Object.entries(kinds)) {
      const [view, grow] = make();
      const sending = spawn(() => socket.send(view.subarray(0, 1_000).fill(7), socket.address));
      yield* pause();
      grow();
      yield* sending.join();
      const { data } = yield* socket.receive();
      t.same(data, Buffer.alloc(1_000, 7), kind);
    }
    socket.close();
  }),
);
