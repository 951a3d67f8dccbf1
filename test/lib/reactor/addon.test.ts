// The addon's own checks, past everything that lib/ would check before it: whatever JavaScript gives it, the
// answer is a typed error or EBADF, never a crash, and a stale handle never reaches another connection. Run
// under sanitizers (`npm run test:asan`) these tests also show that no byte is touched that is not the addon's.

import { closeSync } from 'node:fs';
import type net from 'node:net';
import { constants } from 'node:os';
import t from 'tap';
import { HEADER_LENGTH, READABLE, RECORD, SENT_WANTED } from '../../../lib/reactor/epoll/addon.ts';
import {
  arrays,
  Bare,
  type Call,
  ENTRIES,
  INPUT_SIZE,
  ofSlot,
  others,
  SLOTS,
  withAddon,
} from '../../support/connection/bare.ts';
import { openDescriptors } from '../../support/network/descriptors.ts';
import { connect, listenPlain, portOf, readAll, until } from '../../support/connection/peers.ts';

const { EBADF, EINVAL, EMFILE, ENAMETOOLONG } = constants.errno;

withAddon((addon) => {
  const bare = new Bare(addon);
  const calls = bare.native as unknown as Record<string, Call>;

  t.test('a slot that was never given is EBADF, whatever its number', async (t) => {
    const on = bare.listen();
    const numbers = [-1, -(2 ** 31), 2 ** 31, 2 ** 32, 2 ** 32 + on.slot, 2 ** 53, -(2 ** 53), 1e300, -1e300];
    const slots = [...numbers, 0, 1, 2, SLOTS - 1, SLOTS, SLOTS + 1, Infinity, -Infinity, Number.NaN];
    for (const [name, rest] of Object.entries(ofSlot)) {
      for (const slot of slots) {
        for (const generation of [0, on.generation, -1, 2 ** 31]) {
          const result = calls[name]!(slot, generation, ...rest);
          if (result !== -EBADF) t.fail(`${name}(${slot}, ${generation}) gave ${String(result)}`);
        }
      }
      for (const generation of [on.generation + 1, on.generation - 1, 2 ** 32 + on.generation, -1, 1e300]) {
        t.equal(calls[name]!(on.slot, generation, ...rest), -EBADF, `${name} of generation ${generation}`);
      }
    }
    t.equal(bare.native.close(on.slot, on.generation, 0), 0, 'the right one is there');
  });

  t.test('a slot of another kind is EBADF', async (t) => {
    const on = bare.listen();
    for (const name of ['read', 'send', 'shutdown', 'detach']) {
      t.equal(calls[name]!(on.slot, on.generation, ...ofSlot[name]!), -EBADF, `${name} of a listener`);
    }
    const { slot, generation, peer } = await bare.pair(on);
    t.equal(bare.native.accept(slot, generation), -EBADF, 'accept of a connection');
    bare.native.close(slot, generation, 1);
    bare.native.close(on.slot, on.generation, 0);
    peer.destroy();
  });

  t.test('too few arguments, and arguments of a wrong type, are typed errors', async (t) => {
    const on = bare.listen();
    const { slot, generation, peer } = await bare.pair(on);
    const wrong = [
      undefined,
      null,
      true,
      {},
      [],
      () => {},
      Symbol('x'),
      1n,
      new Float64Array(8),
      new DataView(new ArrayBuffer(8)),
    ];
    const forms = [
      ...Object.entries(ofSlot).map(([name, rest]) => [name, [slot, generation, ...rest]] as const),
      ...Object.entries(others),
    ];
    for (const [name, args] of forms) {
      for (let count = 0; count < args.length; count++) {
        t.throws(
          () => calls[name]!(...args.slice(0, count)),
          { code: 'ERR_INVALID_ARG_VALUE' },
          `${name}, ${count}`,
        );
        for (const value of wrong) {
          const changed = args.with(count, value);
          t.throws(
            () => calls[name]!(...changed),
            { code: 'ERR_INVALID_ARG_TYPE' },
            `${name}, argument ${count}`,
          );
        }
      }
    }
    t.equal(calls['setNoDelay']!(slot, generation, 1, 'more', 'than', 'there', 'are', 'expected'), 0);
    bare.native.close(slot, generation, 1);
    bare.native.close(on.slot, on.generation, 0);
    peer.destroy();
  });

  t.test('a part that is not within its buffer is a range error', async (t) => {
    const on = bare.listen();
    const { slot, generation, peer } = await bare.pair(on);
    const bytes = new Uint8Array(new ArrayBuffer(16));
    const parts = [
      [-1, 1],
      [0, -1],
      [0, 17],
      [16, 1],
      [17, 0],
      [8, 9],
      [1, 2 ** 53],
      [2 ** 53, 1],
      [2 ** 32, 0],
      [0, 2 ** 32],
      [1e300, 1e300],
      [-1e300, 4],
    ] as const;
    for (const [offset, length] of parts) {
      for (const name of ['read', 'send'] as const) {
        t.throws(
          () => bare.native[name](slot, generation, bytes, offset, length),
          { code: 'ERR_OUT_OF_RANGE' },
          `${name} at ${offset}, ${length} bytes`,
        );
      }
    }
    peer.write('0123456789');
    await until(() => (bare.shared.flags[slot]! & READABLE) !== 0);
    t.equal(bare.native.read(slot, generation, bytes.subarray(4), 4, 4), 4);
    t.equal(Buffer.from(bytes).toString('latin1'), `${'\0'.repeat(8)}0123\0\0\0\0`);
    t.equal(bare.native.send(slot, generation, new Uint8Array(0), 0, 0), 0);
    t.equal(bare.native.send(slot, generation, bytes, 16, 0), 0);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    t.equal(bare.native.send(slot, generation, bytes, 0, 0), 0, 'memory that was given away has no bytes');
    t.throws(() => bare.native.read(slot, generation, bytes, 0, 4), { code: 'ERR_OUT_OF_RANGE' });
    bare.native.close(slot, generation, 1);
    bare.native.close(on.slot, on.generation, 0);
    peer.destroy();
  });

  t.test('an address that is none is an error, of any length', async (t) => {
    const { native } = bare;
    const before = openDescriptors();
    for (const host of [
      '',
      'localhost',
      '999.1.1.1',
      '::g',
      '127.0.0.1 ',
      '[::1]',
      'x'.repeat(1_023),
      '\0'.repeat(200),
    ]) {
      t.equal(native.connect(host, 1), -EINVAL);
      t.equal(native.listen(host, 0, 1, 0), -EINVAL);
    }
    for (const port of [65_536, 2 ** 31, 2 ** 32, 1e300]) {
      t.equal(native.connect('127.0.0.1', port), -EINVAL);
      t.equal(native.listen('127.0.0.1', port, 1, 0), -EINVAL);
    }
    for (const path of ['', '/x'.repeat(54), 'é'.repeat(60), 'x'.repeat(1_023)]) {
      t.equal(native.connect(path, -1), -ENAMETOOLONG);
      t.equal(native.listen(path, -1, 1, 0), -ENAMETOOLONG);
    }
    for (const text of ['x'.repeat(1_024), 'é'.repeat(512), 'x'.repeat(1_000_000)]) {
      t.throws(() => native.connect(text, 1), { code: 'ERR_OUT_OF_RANGE' });
      t.throws(() => native.listen(text, -1, 1, 0), { code: 'ERR_OUT_OF_RANGE' });
    }
    for (const backlog of [-1, 0, 2 ** 31, 1e300, -1e300, Number.NaN]) {
      const slot = native.listen('127.0.0.1', 0, backlog, -1);
      t.ok(slot >= 0);
      native.close(slot, bare.generation, 0);
    }
    t.equal(openDescriptors(), before);
  });

  t.test('a stale handle never reaches the connection that has its number now', async (t) => {
    const on = bare.listen();
    const first = await bare.pair(on);
    bare.native.close(first.slot, first.generation, 1);
    first.peer.destroy();
    const seconds: { slot: number; generation: number; peer: net.Socket }[] = [];
    let second;
    do {
      second = await bare.pair(on);
      seconds.push(second);
    } while (second.slot !== first.slot && seconds.length < 64);
    t.equal(second.slot, first.slot, 'the number was used again');
    t.not(second.generation, first.generation);
    second.peer.write('theirs');
    await until(() => (bare.shared.flags[second.slot]! & READABLE) !== 0);
    for (const [name, rest] of Object.entries(ofSlot)) {
      t.equal(calls[name]!(first.slot, first.generation, ...rest), -EBADF, name);
    }
    bare.shared.output.write('of the first one');
    bare.shared.flags[second.slot]! |= SENT_WANTED;
    bare.entry(0, first.slot, first.generation, 0, 16, 0);
    t.equal(bare.flush(1), 0, 'its output is passed over');
    t.ok((bare.shared.flags[second.slot]! & SENT_WANTED) !== 0, 'nobody is told that it was sent');
    const bytes = Buffer.alloc(16);
    t.equal(bare.native.read(second.slot, second.generation, bytes, 0, 16), 6);
    t.equal(String(bytes.subarray(0, 6)), 'theirs');
    t.equal(bare.native.send(second.slot, second.generation, Buffer.from('mine'), 0, 4), 4);
    bare.native.shutdown(second.slot, second.generation);
    t.equal(String(await readAll(second.peer)), 'mine', 'and nothing else came');
    for (const { slot, generation, peer } of seconds) {
      bare.native.close(slot, generation, 1);
      peer.destroy();
    }
    bare.native.close(on.slot, on.generation, 0);
  });

  t.test('a descriptor that somebody else has closed gives its connection up', async (t) => {
    const on = bare.listen();
    const first = await bare.pair(on);
    // A peer has a descriptor, too: it must not be the one that gets the number.
    const peer = await connect({ port: on.port });
    closeSync(first.slot);
    let slot = -1;
    await until(() => (slot = bare.native.accept(on.slot, on.generation)) >= 0, 'a connection');
    const second = { slot, generation: bare.generation };
    t.equal(second.slot, first.slot, 'the number was used again');
    t.not(second.generation, first.generation);
    for (const [name, rest] of Object.entries(ofSlot)) {
      t.equal(calls[name]!(first.slot, first.generation, ...rest), -EBADF, name);
    }
    t.equal(bare.native.setNoDelay(second.slot, second.generation, 1), 0);
    bare.native.close(second.slot, second.generation, 1);
    peer.destroy();
    first.peer.destroy();
    bare.native.close(on.slot, on.generation, 0);
  });

  t.test('memory that does not fit is refused, and leaves no descriptor open', async (t) => {
    const before = openDescriptors();
    const right = arrays();
    const deliver = (): void => {};
    const open = addon.open as Call;
    const refused = { code: 'ERR_INVALID_ARG_TYPE' };
    for (const args of [[], [right], [1, deliver], ['x', deliver], [{}, deliver]]) {
      t.throws(() => open(...args), refused);
    }
    t.throws(() => open(null, deliver), TypeError);
    for (const notCallable of [null, undefined, 1, 'x', {}, Symbol('x')]) {
      t.throws(() => open(right, notCallable), refused);
    }
    const wrong = [undefined, null, 1, [], new Float64Array(1_000), new ArrayBuffer(1_000)];
    for (const name of Object.keys(right)) {
      for (const value of wrong) t.throws(() => open({ ...right, [name]: value }, deliver), refused, name);
    }
    t.throws(() => open({ ...right, flags: new Uint8Array(0) }, deliver), refused);
    t.throws(() => open({ ...right, header: new Int32Array(HEADER_LENGTH - 1) }, deliver), refused);
    t.throws(() => open({ ...right, records: new Int32Array(ENTRIES * RECORD - 1) }, deliver), refused);
    t.throws(() => open({ ...right, input: Buffer.alloc(INPUT_SIZE - 1) }, deliver), refused);
    t.throws(() => open({ ...right, address: Buffer.alloc(127) }, deliver), refused);
    const throwing = Object.defineProperty({ ...right }, 'flags', {
      get() {
        throw new RangeError('a getter');
      },
    });
    t.throws(() => open(throwing, deliver), { message: 'a getter' });
    t.equal(openDescriptors(), before);
  });

  t.test('a descriptor beyond the slots is EMFILE, and closed', async (t) => {
    const few = addon.open({ ...arrays(), flags: new Uint8Array(4) }, () => {});
    const before = openDescriptors();
    t.equal(few.listen('127.0.0.1', 0, 1, 0), -EMFILE);
    const server = await listenPlain(() => {});
    t.equal(few.connect('127.0.0.1', portOf(server)), -EMFILE);
    server.close();
    await until(() => openDescriptors() === before, 'as few descriptors as before');
  });
});
