// Happy Eyeballs in made-up time and a made-up network; real-addresses.test.ts has it among real sockets.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { LookupAddress } from 'node:dns';
import { constants } from 'node:os';
import type { LookupFunction } from 'node:net';
import t from 'tap';
import { after, type Co, Connector, dial, pause, select, sleep, spawn } from '../../../lib/index.ts';
import { interleave } from '../../../lib/dial/happy-eyeballs.ts';
import { currentScheduler } from '../../../scheduler/kernel/scheduler.ts';
import { everyPoint } from '../../support/scheduler/every-point.ts';
import {
  type Behaviour,
  inMadeUpNetwork,
  install,
  MadeUpNetwork,
} from '../../support/network/made-up-network.ts';
import { failure } from '../../support/connection/pair.ts';

const { ECONNREFUSED, ENETUNREACH, ETIMEDOUT } = constants.errno;

/** A resolver that knows one answer. */
function giving(...hosts: string[]): LookupFunction {
  return (_, __, callback) => callback(null, hosts.map(entry));
}

function entry(address: string): LookupAddress {
  return { address, family: address.includes(':') ? 6 : 4 };
}

function sorted(...hosts: string[]): string[] {
  return interleave(hosts.map((host) => ({ host, port: 1, path: '' }))).map(({ host }) => host);
}

interface DialError extends NodeJS.ErrnoException {
  errors: NodeJS.ErrnoException[];
  address: string;
  port: number;
}

/** What dialling a name fails with. */
function* dialError(lookup: LookupFunction, timeout?: number): Co<DialError> {
  return (yield* failure(function* dialling() {
    yield* dial('db.example:5432', { lookup, timeout });
  })) as DialError;
}

t.test('the families take turns, the first being that of the first address', async (t) => {
  t.same(sorted(), []);
  t.same(sorted('1.1.1.1'), ['1.1.1.1']);
  t.same(sorted('::1', '::2', '::3', '1.1.1.1', '2.2.2.2'), ['::1', '1.1.1.1', '::2', '2.2.2.2', '::3']);
  t.same(sorted('1.1.1.1', '::1', '::2', '::3'), ['1.1.1.1', '::1', '::2', '::3']);
  t.same(sorted('1.1.1.1', '2.2.2.2', '::1', '3.3.3.3'), ['1.1.1.1', '::1', '2.2.2.2', '3.3.3.3']);
  t.same(sorted('fe80::1%lo', '::ffff:1.1.1.1', '2.2.2.2'), ['fe80::1%lo', '2.2.2.2', '::ffff:1.1.1.1']);
});

t.test('the next attempt begins after 250 ms, and the first to connect ends the others', async (t) => {
  const hosts = { '::1': {}, '::2': {}, '1.1.1.1': { after: 1_000 }, '2.2.2.2': { after: 5 } };
  const network = await inMadeUpNetwork(hosts, function* () {
    const conn = yield* dial('db.example:5432', { lookup: giving('::1', '::2', '1.1.1.1', '2.2.2.2') });
    t.equal(String(conn.remoteAddress), '2.2.2.2:5432');
    conn.reset();
  });
  t.same(network.log, [
    '0 ::1',
    '250 1.1.1.1',
    '500 ::2',
    '750 2.2.2.2',
    '755 end ::1',
    '755 end 1.1.1.1',
    '755 end ::2',
  ]);
});

t.test(
  'the next attempt begins at once when one has failed, and the one after it is given its 250 ms',
  async (t) => {
    const hosts = {
      '::1': { after: 100, errno: ENETUNREACH },
      '1.1.1.1': {},
      '::2': {},
      '::3': { after: 10 },
    };
    const network = await inMadeUpNetwork(hosts, function* () {
      (yield* dial('db.example:5432', { lookup: giving('::1', '1.1.1.1', '::2', '::3') })).reset();
    });
    t.same(network.log.slice(0, 4), ['0 ::1', '100 1.1.1.1', '350 ::2', '600 ::3']);
  },
);

t.test('an earlier attempt may win while a later one goes on', async (t) => {
  const network = await inMadeUpNetwork({ '::1': { after: 300 }, '1.1.1.1': {} }, function* () {
    const conn = yield* dial('db.example:5432', { lookup: giving('::1', '1.1.1.1') });
    t.equal(conn.remoteAddress.host, '::1');
    conn.reset();
  });
  t.same(network.log, ['0 ::1', '250 1.1.1.1', '300 end 1.1.1.1']);
});

t.test('when all attempts have failed, the error lists them, and has the code of the last', async (t) => {
  const hosts = { '::1': { after: 600, errno: ECONNREFUSED }, '1.1.1.1': { after: 1_000, errno: ETIMEDOUT } };
  await inMadeUpNetwork(hosts, function* () {
    const error = yield* dialError(giving('::1', '1.1.1.1'));
    t.ok(error instanceof AggregateError);
    t.equal(
      error.message,
      'dialling db.example:5432: 2 attempts failed: [::1]:5432 ECONNREFUSED; 1.1.1.1:5432 ETIMEDOUT',
    );
    t.match(error, { code: 'ETIMEDOUT', syscall: 'connect', address: 'db.example', port: 5432 });
    t.match(error.stack, /^AggregateError: dialling db\.example[^]*at dialling.*happy-eyeballs\.test\.ts/);
    t.match(error.errors, [
      { code: 'ECONNREFUSED', syscall: 'connect', address: '::1', port: 5432 },
      { code: 'ETIMEDOUT', syscall: 'connect', address: '1.1.1.1', port: 5432 },
    ]);
  });
});

t.test('a name with one address fails as the address does', (t) =>
  inMadeUpNetwork({ '1.1.1.1': { after: 1, errno: ECONNREFUSED } }, function* () {
    const error = yield* dialError(giving('1.1.1.1'));
    t.notOk(error instanceof AggregateError);
    t.equal(error.message, 'dialling db.example:5432: connect ECONNREFUSED 1.1.1.1:5432');
    t.match(error, { code: 'ECONNREFUSED', cause: { address: '1.1.1.1' } });
  }),
);

t.test('an error without a code is listed by its message', async (t) => {
  await inMadeUpNetwork({}, function* () {
    const remove = install((to, owner) => {
      queueMicrotask(() => owner.onConnectError(new Error(`no way to ${to.host}`)));
      return () => {};
    });
    const { message } = yield* dialError(giving('::1', '1.1.1.1'));
    remove();
    t.match(message, '2 attempts failed: [::1]:5432 no way to ::1; 1.1.1.1:5432 no way to 1.1.1.1');
  });
});

t.test('when the time is up, the error says how each attempt stands', async (t) => {
  const hosts = { '::1': { after: 100, errno: ECONNREFUSED }, '1.1.1.1': {}, '::2': {}, '2.2.2.2': {} };
  const network = await inMadeUpNetwork(hosts, function* () {
    const error = yield* dialError(giving('::1', '::2', '1.1.1.1', '2.2.2.2'), 400);
    t.equal(
      error.message,
      'dialling db.example:5432 took more than 400 ms: [::1]:5432 ECONNREFUSED; 1.1.1.1:5432 still connecting; ' +
        '[::2]:5432 still connecting; 2.2.2.2:5432 not tried',
    );
    t.match(error, { name: 'TimeoutError', code: 'ERR_TIMEOUT', address: 'db.example', port: 5432 });
    t.match(error.stack, /at dialling.*happy-eyeballs\.test\.ts/);
    t.match(error.errors, [{ code: 'ECONNREFUSED', address: '::1' }]);
    t.equal(error.errors.length, 1);
    yield* sleep(10_000);
  });
  t.equal(network.log.length, 5, 'nothing was tried after that');
});

t.test('a resolver may take its time: the deadline says so, and its answer is passed over', async (t) => {
  let answer = (): void => {};
  const lookup: LookupFunction = (_, __, callback) => {
    answer = () => callback(null, [entry('1.1.1.1')]);
  };
  const network = await inMadeUpNetwork({}, function* () {
    const error = yield* dialError(lookup, 50);
    t.equal(error.message, 'dialling db.example:5432 took more than 50 ms: still looking db.example up');
    t.same(error.errors, []);
    answer();
    yield* sleep(1_000);
  });
  t.same(network.log, []);
});

t.test('whenever it is cancelled, no attempt, no timer and no callback is left', async (t) => {
  for (const [ms, log] of [
    [0, []],
    [10, ['5 ::1']],
    [200, ['5 ::1', '105 1.1.1.1']],
    [400, ['5 ::1', '105 1.1.1.1', '355 ::2']],
  ] as const) {
    const hosts = { '::1': { after: 100, errno: ECONNREFUSED }, '1.1.1.1': {}, '::2': {} };
    const network = await inMadeUpNetwork(hosts, function* () {
      const lookup: LookupFunction = (_, __, callback) => {
        spawn(function* () {
          yield* sleep(5);
          callback(null, ['::1', '::2', '1.1.1.1'].map(entry));
        });
      };
      const dialling = spawn(() => dial('db.example:5432', { lookup }));
      yield* ms === 0 ? pause() : sleep(ms);
      t.equal(dialling.describe(), 'dialling db.example:5432');
      dialling.cancel();
      t.match(yield* failure(() => dialling.join()), { code: 'ABORT_ERR' });
      yield* sleep(10_000);
    });
    t.same(
      network.log.filter((line) => !line.includes('end')),
      log,
    );
  }
});

t.test('a dial that loses in a select ends its attempts', async (t) => {
  const network = await inMadeUpNetwork({ '::1': {}, '1.1.1.1': {} }, function* () {
    const lookup = giving('::1', '1.1.1.1');
    t.equal((yield* select({ conn: dial('db.example:1', { lookup }), late: after(300) })).key, 'late');
  });
  t.same(network.log, ['0 ::1', '250 1.1.1.1', '300 end ::1', '300 end 1.1.1.1']);
});

t.test('a resolver is asked for all addresses, and never about an address', (t) =>
  inMadeUpNetwork({ '1.1.1.1': { after: 1 }, '::1': { after: 1 } }, function* () {
    const asked: unknown[] = [];
    const lookup: LookupFunction = (name, options, callback) => {
      asked.push(name, options.all, options.family);
      callback(null, [entry('1.1.1.1')]);
    };
    for (const address of ['db.example:1', '1.1.1.1:1', '[::1]:1'])
      (yield* dial(address, { lookup })).reset();
    t.same(asked, ['db.example', true, undefined]);
  }),
);

t.test('a resolver that answers twice is heard once', async (t) => {
  const lookup: LookupFunction = (_, __, callback) => {
    callback(null, [entry('1.1.1.1')]);
    callback(null, [entry('2.2.2.2')]);
    callback(new Error('after all'), []);
  };
  const network = await inMadeUpNetwork({ '1.1.1.1': { after: 1 } }, function* () {
    (yield* dial('db.example:1', { lookup })).reset();
  });
  t.same(network.log, ['0 1.1.1.1']);
});

t.test('what a resolver fails with is the error, whatever that is', (t) =>
  inMadeUpNetwork({}, function* () {
    const answers: [LookupFunction, RegExp, object?][] = [
      [
        (_, __, callback) =>
          callback(Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' }), []),
        /^dialling db\.example:5432: getaddrinfo EAI_AGAIN$/,
        { code: 'EAI_AGAIN' },
      ],
      [
        () => {
          throw new Error('no resolver');
        },
        /^dialling db\.example:5432: no resolver$/,
      ],
      [
        () => {
          throw 'text' as unknown;
        },
        /lookup failed with 'text'$/,
      ],
      [(_, __, callback) => callback('text' as never, []), /lookup failed with 'text'$/],
      [giving(), /: getaddrinfo ENOTFOUND db\.example$/, { code: 'ENOTFOUND', syscall: 'getaddrinfo' }],
    ];
    for (const malformed of [
      '1.1.1.1',
      undefined,
      [{}],
      [null],
      ['::1'],
      [entry('::1'), entry('nonsense')],
    ]) {
      answers.push([
        (_, __, callback) => callback(null, malformed as never),
        /^dialling db\.example:5432: expected lookup to give \[\{ address, family \}, …\] for db\.example, got /,
      ]);
    }
    for (const [lookup, message, properties = {}] of answers) {
      const error = yield* dialError(lookup);
      t.match(error, { ...properties, message, address: 'db.example', port: 5432 });
      t.match(error.stack, /at dialling.*happy-eyeballs\.test\.ts/);
      t.ok(error.cause instanceof Error);
    }
  }),
);

t.test('a lookup that is no function is a TypeError', async (t) => {
  t.throws(() => dial('db.example:1', { lookup: 5 as never }), {
    name: 'TypeError',
    message: 'the lookup of dial expects a function, got 5',
  });
});

t.test('the callback face has the same, and is never called inside of the call', (t) =>
  inMadeUpNetwork(
    { '::1': { after: 1, errno: ECONNREFUSED }, '1.1.1.1': { after: 1 }, '::2': {} },
    function* () {
      const heard: string[] = [];
      const dialling = (lookup: LookupFunction, timeout?: number): (() => void) =>
        new Connector('db.example:1', { lookup, timeout }).connect((conn, error) => {
          heard.push(conn === null ? error!.message : String(conn.remoteAddress));
          conn?.reset();
        });
      dialling(giving('::1', '1.1.1.1'));
      dialling(giving('::1', '::1'));
      dialling(giving());
      dialling(giving('::2'), 600);
      dialling(giving('::2', '::2'))();
      t.same(heard, []);
      const late = dialling(giving('::2', '::2'));
      yield* sleep(10_000);
      late();
      t.same(heard.toSorted(), [
        '1.1.1.1:1',
        'dialling db.example:1 took more than 600 ms: [::2]:1 still connecting',
        'dialling db.example:1: 2 attempts failed: [::1]:1 ECONNREFUSED; [::1]:1 ECONNREFUSED',
        'dialling db.example:1: getaddrinfo ENOTFOUND db.example',
      ]);
    },
  ),
);

t.test(
  'attempts and results belong to nobody’s context, and a resolver is asked in that of its caller',
  (t) =>
    inMadeUpNetwork({ '::1': {}, '1.1.1.1': { after: 1 } }, function* (network) {
      const storage = new AsyncLocalStorage<string>();
      const seen: unknown[] = [];
      const remove = install((to, owner) => {
        seen.push(`attempt of ${storage.getStore()}`);
        return network.connect(to, owner);
      });
      const lookup: LookupFunction = (_, __, callback) => {
        seen.push(`lookup of ${storage.getStore()}`);
        storage.run('another', () => callback(null, ['::1', '1.1.1.1'].map(entry)));
      };
      storage.run('a request', () =>
        new Connector('db.example:1', { lookup }).connect((conn) => {
          seen.push(`result of ${storage.getStore()}`);
          conn!.reset();
        }),
      );
      yield* sleep(1_000);
      remove();
      t.same(seen, [
        'lookup of a request',
        'attempt of undefined',
        'attempt of undefined',
        'result of undefined',
      ]);
    }),
);

t.test('dialling can be cancelled at every point', async (t) => {
  const programs: Record<string, Record<string, Behaviour>> = {
    'the second connects': { '::1': {}, '1.1.1.1': { after: 2 }, '::2': {} },
    'one fails, the last connects': {
      '::1': { after: 1, errno: ECONNREFUSED },
      '1.1.1.1': {},
      '::2': { after: 2 },
    },
  };
  for (const [name, hosts] of Object.entries(programs)) {
    let network!: MadeUpNetwork;
    let remove = (): void => {};
    const result = await everyPoint(() => {
      remove();
      network = new MadeUpNetwork(currentScheduler(), hosts);
      remove = install(network.connect);
      const lookup: LookupFunction = (_, __, callback) =>
        callback(null, ['::1', '::2', '1.1.1.1'].map(entry));
      const victim = function* (): Co<string> {
        const conn = yield* dial('db.example:1', { lookup, timeout: 5_000 });
        const { host } = conn.remoteAddress;
        conn.reset();
        return host;
      };
      return {
        victims: [victim, victim],
        verify: () => (network.open > 0 ? `${network.open} are open` : undefined),
      };
    });
    remove();
    t.same(result.failures, [], name);
    t.ok(result.cancelled > 10, `${result.cancelled} cancelled in ${result.plays} plays`);
  }
});
