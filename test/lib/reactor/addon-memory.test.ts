// What JavaScript may write into the memory that it shares with the addon: whatever it is, nothing is read or
// written that does not belong there. Run under sanitizers by `npm run test:asan`.

import type net from 'node:net';
import { constants } from 'node:os';
import t from 'tap';
import {
  ENTRIES_USED,
  ENTRY,
  HEADER_LENGTH,
  HOLDS,
  OUTPUT_USED,
  POOL_USED,
  SAYS_CONNECTED,
  SENT_WANTED,
  WANTED,
} from '../../../lib/reactor/epoll/addon.ts';
import { Random } from '../../../scheduler/kernel/random.ts';
import { Bare, type Call, ENTRIES, ofSlot, SLOTS, withAddon } from '../../support/connection/bare.ts';
import { openDescriptors } from '../../support/network/descriptors.ts';
import { connect, listenPlain, portOf, readAll, until } from '../../support/connection/peers.ts';

const { EAGAIN, EBADF } = constants.errno;

withAddon((addon) => {
  const bare = new Bare(addon);
  const calls = bare.native as unknown as Record<string, Call>;

  t.test('entries that make no sense are sent in part or not at all', async (t) => {
    const on = bare.listen();
    const { slot, generation, peer } = await bare.pair(on);
    const { output } = bare.shared;
    output.fill('x');
    let received = 0;
    peer.on('data', (data: Buffer) => {
      received += data.byteLength;
      if (data.some((byte) => byte !== 120)) t.fail('bytes of elsewhere were sent');
    });
    const size = output.byteLength;
    const parts = [
      [-1, 4],
      [0, -1],
      [0, size + 1],
      [size, 1],
      [size + 1, 0],
      [2 ** 31 - 1, 2 ** 31 - 1],
      [-(2 ** 31), 2 ** 31 - 1],
      [-(2 ** 31), -(2 ** 31)],
      [size - 1, 2],
    ] as const;
    for (const [offset, length] of parts) {
      bare.entry(0, slot, generation, offset, length, 0);
      t.ok(bare.flush(1) <= 1);
      // As a second one, too.
      bare.entry(0, slot, generation, 0, 1, 1);
      bare.entry(1, ~slot, generation, offset, length, 0);
      t.ok(bare.flush(2) <= 1);
    }
    // Links that lead backwards, to themselves, round, and out of what is used.
    for (const next of [0, 1, -1, 2, 3, ENTRIES - 1, ENTRIES, 2 ** 31 - 1, -(2 ** 31)]) {
      bare.entry(0, slot, generation, 0, 1, 1);
      bare.entry(1, ~slot, generation, 1, 1, next);
      bare.entry(2, ~slot, generation, 2, 1, 0);
      t.ok(bare.flush(3) <= 1, `next is ${next}`);
    }
    // Slots that are none; one inverted is passed over.
    for (const bad of [-1, -(2 ** 31), 2 ** 31 - 1, SLOTS, SLOTS - 1, 0, on.slot, ~slot]) {
      bare.entry(0, bad, generation, 0, 4, 0);
      t.equal(bare.flush(1), 0, `slot ${bad}`);
    }
    // More of them than there is room for, in the most expensive order.
    for (let index = 0; index < ENTRIES; index++) bare.entry(index, slot, generation, 0, 1, index + 1);
    for (const used of [-1, -(2 ** 31), ENTRIES, ENTRIES + 1, 2 ** 31 - 1]) {
      bare.shared.flags[slot]! |= SENT_WANTED;
      t.ok(bare.flush(used) <= ENTRIES, `${used} are used`);
      t.equal(bare.shared.header[ENTRIES_USED], 0);
    }
    await until(() => received > 0);
    bare.native.close(slot, generation, 1);
    bare.native.close(on.slot, on.generation, 0);
    peer.destroy();
  });

  t.test('positions and flags that make no sense break nothing', async (t) => {
    const on = bare.listen();
    const { slot, generation, peer } = await bare.pair(on);
    const { flags, header } = bare.shared;
    const pool = new Uint8Array(new ArrayBuffer(100));
    bare.native.pool(pool);
    t.throws(() => bare.native.pool(new Uint8Array(65_537)), { code: 'ERR_INVALID_ARG_TYPE' });
    for (const used of [-1, -(2 ** 31), 2 ** 31 - 1, 99, 100, 101]) {
      header[POOL_USED] = used;
      header[OUTPUT_USED] = used;
      bare.said.length = 0;
      flags[slot] = WANTED;
      peer.write('abc');
      await until(() => bare.said.length > 0);
      const [, , result, offset] = bare.said[0]!;
      t.equal(result, 3);
      t.ok(offset >= 0, 'there is no room in the pool');
      t.equal(bare.shared.input.toString('latin1', offset, offset + 3), 'abc');
    }
    header[POOL_USED] = 0;
    for (let round = 0; round < 20; round++) {
      flags.fill(255);
      header.fill(round % 2 === 0 ? -1 : 2 ** 31 - 1);
      peer.write('x'.repeat(2_000));
      await new Promise((resolve) => setTimeout(resolve, 2));
      bare.native.hold();
    }
    flags.fill(0);
    header.fill(0);
    bare.native.hold();
    bare.native.close(slot, generation, 1);
    bare.native.close(on.slot, on.generation, 0);
    peer.destroy();
  });

  t.test('a pool whose memory was given away is not written any more', async (t) => {
    const on = bare.listen();
    const { slot, generation, peer } = await bare.pair(on);
    const { flags, header, input } = bare.shared;
    const next = async (): Promise<number> => {
      bare.said.length = 0;
      flags[slot] = WANTED;
      peer.write('abc');
      await until(() => bare.said.length > 0);
      return bare.said[0]![3];
    };
    const pool = new Uint8Array(new ArrayBuffer(4_096));
    bare.native.pool(pool);
    t.equal(await next(), ~0, 'there it goes at first');
    const elsewhere = structuredClone(pool, { transfer: [pool.buffer] });
    const offset = await next();
    t.ok(offset >= 0);
    t.equal(input.toString('latin1', offset, offset + 3), 'abc');
    t.ok(header[POOL_USED]! > 4_096, 'a new one is asked for');
    t.equal(Buffer.from(elsewhere).toString('latin1', 0, 16), `abc${'\0'.repeat(13)}`);
    bare.native.pool(new Uint8Array(64));
    t.equal(await next(), ~0, 'and used');
    bare.native.close(slot, generation, 1);
    bare.native.close(on.slot, on.generation, 0);
    peer.destroy();
  });

  t.test('random calls and random memory, round after round', async (t) => {
    const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);
    t.comment(`SKEIN_SEED=${seed}`);
    const random = new Random(seed);
    const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!;
    const before = openDescriptors();
    const { native, shared } = bare;
    const { entries, header, flags } = shared;
    const peers: net.Socket[] = [];
    const echo = await listenPlain((socket) => {
      peers.push(socket);
      socket.on('data', (data: Buffer) => socket.write(data));
    });
    const handles: [slot: number, generation: number][] = [];
    let on = bare.listen();
    const edge = [
      -1,
      0,
      1,
      2,
      15,
      16,
      17,
      4_095,
      4_096,
      2 ** 31 - 1,
      -(2 ** 31),
      2 ** 32,
      2 ** 53,
      -1e300,
      Number.NaN,
    ];
    const any = (): unknown => pick<unknown>([...edge, 'x', '', null, undefined, {}, new Uint8Array(16)]);
    const names = [...Object.keys(ofSlot), 'flush', 'hold'].filter((name) => name !== 'detach');
    for (let round = 0; round < 400; round++) {
      // A random call may have closed it.
      if (native.address(on.slot, on.generation, 0) === -EBADF) on = bare.listen();
      if (handles.length < 16) {
        const peer = await connect({ port: on.port });
        peer.resume();
        peers.push(peer);
        const slot = native.accept(on.slot, on.generation);
        if (slot >= 0) handles.push([slot, bare.generation]);
        const dialled = native.connect('127.0.0.1', portOf(echo));
        if (dialled >= 0) handles.push([dialled, bare.generation]);
      }
      for (let call = 0; call < 50; call++) {
        const name = pick(names);
        const [slot, generation] = random.below(4) === 0 ? [pick(edge), pick(edge)] : pick(handles);
        const rest = (ofSlot[name] ?? []).map((argument) => (random.below(8) === 0 ? any() : argument));
        try {
          calls[name]!(...(random.below(20) === 0 ? [any(), any(), any()] : [slot, generation, ...rest]));
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          if (!/^ERR_(?:INVALID_ARG|OUT_OF_RANGE)/.test(code ?? '')) throw error;
        }
      }
      for (let index = 0; index < ENTRIES; index++) {
        const [slot, generation] = pick(handles);
        const numbers = [slot, generation, random.below(4_000), random.below(96), random.below(ENTRIES)];
        if (random.below(3) === 0) numbers[random.below(5)] = pick(edge);
        entries.set(numbers, index * ENTRY);
      }
      flags[pick(handles)[0]] = random.below(256);
      header[random.below(HEADER_LENGTH)] = pick(edge);
      bare.flush(pick([ENTRIES, ENTRIES + 1, -1, random.below(ENTRIES)]));
      bare.said.length = 0;
      if (round % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
      // Those that it has closed make room; the number of one may be another's by now.
      for (let index = handles.length - 1; index >= 0; index--) {
        if (native.address(...handles[index]!, 0) === -EBADF) handles.splice(index, 1);
      }
      if (handles.length === 0) handles.push([on.slot, on.generation]);
    }
    header.fill(0);
    flags.fill(0);
    native.hold();
    for (const handle of handles) native.close(...handle, 1);
    native.close(on.slot, on.generation, 0);
    for (const peer of peers) peer.destroy();
    echo.close();
    await until(() => openDescriptors() === before, `${before} descriptors`);
    t.pass(`${before} descriptors, as before`);
  });

  t.test('it still works after all of this', async (t) => {
    const on = bare.listen();
    const { slot, generation, peer } = await bare.pair(on);
    bare.said.length = 0;
    t.equal(bare.native.accept(on.slot, on.generation), -EAGAIN, 'nobody else is there');
    bare.shared.flags[slot]! |= WANTED;
    peer.write('ping');
    await until(() => bare.said.length > 0);
    t.match(bare.said[0], [slot, generation, 4]);
    bare.shared.output.write('pong');
    bare.entry(0, slot, generation, 0, 4, 0);
    bare.flush(1);
    bare.native.shutdown(slot, generation);
    t.equal(String(await readAll(peer)), 'pong');
    bare.said.length = 0;
    const server = await listenPlain((socket) => socket.destroy());
    const dialled = bare.native.connect('127.0.0.1', portOf(server));
    await until(() => bare.said.some(([of, , result]) => of === dialled && result === SAYS_CONNECTED));
    bare.native.close(dialled, bare.generation, 1);
    server.close();
    bare.native.close(slot, generation, 1);
    bare.native.close(on.slot, on.generation, 0);
    bare.shared.header[HOLDS] = 0;
    bare.native.hold();
  });
});
