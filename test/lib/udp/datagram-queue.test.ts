// UDP sockets whose other side is the test: what is queued, dropped, given back and cancelled.

import type { LookupFunction } from 'node:net';
import t from 'tap';
import {
  after,
  type Co,
  type Datagram,
  never,
  pause,
  run,
  select,
  sleep,
  spawn,
  trySelect,
  type UdpSocket,
} from '../../../lib/index.ts';
import { everyPoint } from '../../support/scheduler/every-point.ts';
import { MadeUpUdp } from '../../support/network/made-up-udp.ts';
import { failure } from '../../support/connection/pair.ts';

function* textOf(socket: UdpSocket): Co<string> {
  return String((yield* socket.receive()).data);
}

/** What can be received at once. */
function rest(socket: UdpSocket): string[] {
  const all: string[] = [];
  for (;;) {
    const datagram = trySelect({ one: socket.receive() });
    if (datagram === undefined) return all;
    all.push(String(datagram.value.data));
  }
}

t.test('the newest that does not fit is dropped, and counted', (t) =>
  run(function* () {
    const udp = new MadeUpUdp();
    const socket = udp.socket(3);
    for (const data of ['a', 'b', 'c', 'd', 'e']) udp.deliver(data);
    t.equal(socket.dropped, 2);
    t.equal(yield* textOf(socket), 'a');
    udp.deliver('f');
    udp.deliver('g');
    t.equal(socket.dropped, 3);
    t.same(rest(socket), ['b', 'c', 'f']);
    const waiting = spawn(() => textOf(socket));
    yield* pause();
    udp.deliver('h');
    t.equal(yield* waiting.join(), 'h');
    t.equal(socket.dropped, 3);
  }),
);

t.test('the queue is bounded in bytes too, and one datagram always has room', (t) =>
  run(function* () {
    const udp = new MadeUpUdp();
    const socket = udp.socket(4);
    udp.deliver('x'.repeat(65_507));
    udp.deliver('a');
    t.equal(socket.dropped, 1, 'that is more than four times 4 KiB');
    t.equal((yield* textOf(socket)).length, 65_507);
    for (const size of [8_192, 8_192, 1]) udp.deliver('y'.repeat(size));
    t.equal(socket.dropped, 2);
    t.same(
      rest(socket).map(({ length }) => length),
      [8_192, 8_192],
    );
    udp.deliver('');
    t.equal(yield* textOf(socket), '');
  }),
);

t.test('those who receive are served first come, first served', (t) =>
  run(function* () {
    const udp = new MadeUpUdp();
    const socket = udp.socket(9);
    const log: string[] = [];
    const receivers = [1, 2, 3].map((name) =>
      spawn(function* () {
        log.push(`${name} ${yield* textOf(socket)}`);
      }),
    );
    yield* pause();
    t.equal(receivers[0]!.describe(), 'receiving datagrams on 127.0.0.1:9');
    receivers[1]!.cancel();
    udp.deliver('a');
    udp.deliver('b');
    udp.deliver('c');
    yield* receivers[2]!.join();
    t.same(log, ['1 a', '3 b']);
    t.same(rest(socket), ['c']);
  }),
);

t.test('a select that another case wins takes no datagram', (t) =>
  run(function* () {
    const udp = new MadeUpUdp();
    const socket = udp.socket(9);
    t.equal((yield* select({ data: socket.receive(), late: after(1) })).key, 'late');
    udp.deliver('a');
    const { key, value } = yield* select({ data: socket.receive(), late: never });
    t.equal(key, 'data');
    t.match(value, { from: { host: '127.0.0.2', port: 1 } });
  }),
);

t.test('a datagram whose receiver returns instead goes to the next, or back to the front', (t) =>
  run(function* () {
    for (const isAnotherWaiting of [false, true]) {
      const udp = new MadeUpUdp();
      const socket = udp.socket(1);
      const receive = socket.receive();
      // Performed by nobody but this test, so that it is not resumed.
      receive.next();
      udp.deliver('a');
      if (!isAnotherWaiting) udp.deliver('b');
      const waiting = isAnotherWaiting ? spawn(() => textOf(socket)) : null;
      yield* pause();
      receive.return(undefined as never as Datagram);
      if (waiting !== null) t.equal(yield* waiting.join(), 'a');
      else t.same(rest(socket), ['a', 'b']);
    }
  }),
);

t.test('an error of the socket goes to the next receive, after what came before it, and once', (t) =>
  run(function* () {
    const udp = new MadeUpUdp();
    const socket = udp.socket(9);
    const broken = Object.assign(new Error('recvmsg ECONNRESET'), { code: 'ECONNRESET', syscall: 'recvmsg' });
    udp.deliver('a');
    udp.emit('error', broken);
    udp.emit('error', new Error('a second one, which would say the same'));
    t.equal(yield* textOf(socket), 'a');
    const waiting = spawn(() =>
      failure(function* receiving() {
        yield* socket.receive();
      }),
    );
    const error = yield* waiting.join();
    t.equal(error.message, 'receiving on 127.0.0.1:9: recvmsg ECONNRESET');
    t.match(error, { code: 'ECONNRESET', syscall: 'recvmsg', cause: broken, port: 9 });
    t.match(error.stack, /at receiving.*datagram-queue\.test\.ts/);
    const [first, second] = [1, 2].map(() => spawn(() => failure(() => socket.receive()) as Co<unknown>));
    yield* pause();
    udp.emit('error', broken);
    t.match(yield* first!.join(), { code: 'ECONNRESET' });
    socket.close();
    t.match(yield* second!.join(), { code: 'ERR_CLOSED' });
  }),
);

t.test('close wakes all who wait, also for a name that is looked up, and may be called twice', (t) =>
  run(function* () {
    const udp = new MadeUpUdp();
    let answer = (): void => {};
    const lookup: LookupFunction = (_, __, callback) => {
      answer = () => callback(null, [{ address: '127.0.0.3', family: 4 }]);
    };
    const socket = udp.socket(9, lookup);
    const waiting = [
      spawn(() => failure(() => socket.receive())),
      spawn(() => failure(() => socket.receive())),
      spawn(() => failure(() => socket.send('to a name', 'db.example:1'))),
      spawn(() => failure(() => socket.send('not taken yet', '127.0.0.2:1'))),
    ];
    yield* sleep(1);
    t.same(udp.sent, ['not taken yet to 127.0.0.2:1']);
    t.notOk(socket.isClosed);
    socket.close();
    socket.close();
    t.ok(socket.isClosed && udp.isClosed);
    udp.deliver('late');
    for (const one of waiting)
      t.match(yield* one.join(), { code: 'ERR_CLOSED', message: 'the UDP socket at 127.0.0.1:9 was closed' });
    answer();
    yield* sleep(1);
    t.equal(udp.sent.length, 1);
    for (const wait of [() => socket.receive(), () => socket.send('x', 1)]) {
      t.equal((yield* failure(wait)).code, 'ERR_CLOSED');
    }
  }),
);

t.test('what the kernel has taken was sent, even if the socket is closed before its sender runs', (t) =>
  run(function* () {
    const udp = new MadeUpUdp();
    const socket = udp.socket(1);
    const sender = spawn(() => socket.send('a', 1));
    yield* sleep(1);
    udp.answers.shift()!(null);
    socket.close();
    yield* sender.join();
    t.equal(sender.state, 'done');
  }),
);

t.test(
  'a send that is cancelled while its name is looked up sends nothing; later, the datagram goes out',
  (t) =>
    run(function* () {
      const udp = new MadeUpUdp();
      const answers: (() => void)[] = [];
      const lookup: LookupFunction = (_, __, callback) => {
        answers.push(() => callback(null, [{ address: '127.0.0.3', family: 4 }]));
      };
      const socket = udp.socket(1, lookup);
      const early = spawn(() => socket.send('early', 'db.example:1'));
      yield* pause();
      t.equal(early.describe(), 'sending a datagram to db.example:1');
      early.cancel();
      answers[0]!();
      const bytes = Buffer.from('late');
      const late = spawn(() => socket.send(bytes, 'db.example:1'));
      yield* pause();
      bytes.fill('x');
      answers[1]!();
      yield* sleep(1);
      late.cancel();
      yield* sleep(1);
      udp.answers[0]!(null);
      t.same(udp.sent, ['late to 127.0.0.3:1']);
      t.equal(late.state, 'cancelled');
    }),
);

t.test('a name that has no address of the family is an error, and so is one without any', (t) =>
  run(function* () {
    const udp = new MadeUpUdp();
    const lookup: LookupFunction = (name, _, callback) => {
      if (name === 'none.example') callback(new Error('getaddrinfo ENOTFOUND'), []);
      const addresses = name === 'both.example' ? ['::1', '127.0.0.4'] : ['::1'];
      callback(
        null,
        addresses.map((address) => ({ address, family: 0 })),
      );
    };
    const socket = udp.socket(1, lookup);
    t.equal(
      (yield* failure(() => socket.send('x', 'none.example:1'))).message,
      'sending a datagram to none.example:1: getaddrinfo ENOTFOUND',
    );
    const error = yield* failure(() => socket.send('x', 'six.example:1'));
    t.match(error, { code: 'EAFNOSUPPORT', syscall: 'send', address: 'six.example', port: 1 });
    t.match(error.message, 'send EAFNOSUPPORT ::1: the socket is bound to 127.0.0.1:9');
    spawn(() => socket.send('x', 'both.example:1'), { daemon: true });
    yield* sleep(1);
    t.same(udp.sent, ['x to 127.0.0.4:1']);
  }),
);

t.test('receiving can be cancelled at every point, and no datagram is lost', async (t) => {
  const result = await everyPoint(() => {
    const udp = new MadeUpUdp();
    const socket = udp.socket(9);
    const received: string[] = [];
    const victim = function* (): Co<void> {
      for (let count = 0; count < 2; count++) received.push(yield* textOf(socket));
    };
    return {
      victims: [victim, victim],
      others: [
        function* () {
          for (const data of ['a', 'b', 'c', 'd']) {
            udp.deliver(data);
            yield* sleep(1);
          }
        },
      ],
      verify() {
        const left: string[] = [];
        for (let one; (one = socket.take()) !== undefined;) left.push(String(one.data));
        const all = [...received, ...left].toSorted().join('');
        return all === 'abcd' ? undefined : `of abcd there are ${received.join('')} and ${left.join('')}`;
      },
    };
  });
  t.same(result.failures, []);
  t.ok(result.cancelled > 10, `${result.cancelled} cancelled in ${result.plays} plays`);
});

t.test('sending can be cancelled at every point, and nothing is left of it', async (t) => {
  const result = await everyPoint(() => {
    const udp = new MadeUpUdp();
    const lookup: LookupFunction = (_, __, callback) => callback(null, [{ address: '127.0.0.3', family: 4 }]);
    const socket = udp.socket(1, lookup);
    const done: string[] = [];
    const sender = (name: string) =>
      function* (): Co<void> {
        yield* socket.send(name, 'db.example:1');
        done.push(name);
      };
    return {
      victims: [sender('one'), sender('other')],
      others: [
        function* () {
          for (let count = 0; count < 5; count++) {
            yield* sleep(1);
            for (const answer of udp.answers.splice(0)) answer(null);
          }
        },
      ],
      verify() {
        const lost = done.filter((name) => !udp.sent.includes(`${name} to 127.0.0.3:1`));
        return lost.length === 0 ? undefined : `${lost.join()} were never sent`;
      },
    };
  });
  t.same(result.failures, []);
  t.ok(result.cancelled > 10, `${result.cancelled} cancelled in ${result.plays} plays`);
});
