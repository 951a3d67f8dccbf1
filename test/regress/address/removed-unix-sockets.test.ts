// The files of Unix listeners: closing one removed whatever stood at its path by then.

import fs from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Acceptor, type Co, dial, listen, run, serve, sleep, spawn, wait } from '../../../lib/index.ts';
import { openDescriptors } from '../../support/network/descriptors.ts';
import { failure } from '../../support/connection/pair.ts';
import { until } from '../../support/connection/peers.ts';

const skip = process.platform === 'win32' ? 'pipes of Windows are no files' : false;

/** A folder of a test's own, without a link on the way to it. */
function folderOf(t: { teardown(handler: () => void): unknown }): string {
  const folder = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'u-')));
  t.teardown(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

/** Somebody comes in by the path. */
function* answers(path: string, acceptor: Acceptor): Co<boolean> {
  const conn = yield* dial({ path });
  (yield* acceptor.accept()).close();
  const end = yield* conn.read();
  conn.close();
  return end === null;
}

/** Lets close what closes later. */
function* close(acceptor: Acceptor): Co<void> {
  acceptor.close();
  yield* sleep(20);
}

t.test('while it listens its file is all that there is, and closing removes that', { skip }, (t) =>
  run(function* () {
    const folder = folderOf(t);
    const path = join(folder, 'a.sock');
    const acceptor = yield* listen({ path });
    t.same(fs.readdirSync(folder), ['a.sock']);
    t.ok(fs.lstatSync(path).isSocket());
    t.equal(acceptor.address.path, path);
    t.ok(yield* answers(path, acceptor));
    acceptor.close();
    t.same(fs.readdirSync(folder), [], 'at once');
    yield* sleep(20);
    yield* close(yield* listen({ path }));
    t.same(fs.readdirSync(folder), [], 'a second time');
  }),
);

t.test('closing leaves what others have put at the path', { skip }, async (t) => {
  const others: Record<string, (path: string, folder: string) => Promise<() => void>> = {
    async 'the socket of a successor'(path) {
      const server = net.createServer().listen(path);
      await until(() => server.listening, 'the successor');
      return () => server.close();
    },
    async 'a file'(path) {
      fs.writeFileSync(path, 'mine');
      return () => {};
    },
    async 'a link to the old socket'(path, folder) {
      fs.symlinkSync(join(folder, 'moved.sock'), path);
      return () => {};
    },
  };
  for (const [name, put] of Object.entries(others)) {
    const folder = folderOf(t);
    const path = join(folder, 'a.sock');
    await run(function* () {
      const acceptor = yield* listen({ path });
      fs.renameSync(path, join(folder, 'moved.sock'));
      const remove = yield* wait(put(path, folder));
      const before = fs.lstatSync(path).ino;
      yield* close(acceptor);
      t.equal(fs.lstatSync(path).ino, before, `${name} stays`);
      remove();
    });
  }
});

t.test('the file of one that reuses the number of the removed file stays', { skip }, (t) =>
  run(function* () {
    const path = join(folderOf(t), 'a.sock');
    const acceptor = yield* listen({ path });
    // With the descriptor open, its inode lives on, so nobody else can have the number.
    fs.unlinkSync(path);
    for (let count = 0; count < 20; count++) {
      fs.rmSync(path, { force: true });
      fs.writeFileSync(path, '');
    }
    yield* close(acceptor);
    t.ok(fs.existsSync(path));
  }),
);

t.test('after chdir a relative path still means what was bound', { skip }, async (t) => {
  const folder = folderOf(t);
  const before = process.cwd();
  t.teardown(() => process.chdir(before));
  for (const name of ['one', 'two', 'one/below']) fs.mkdirSync(join(folder, name));
  for (const path of ['a.sock', './a.sock', 'below/../a.sock']) {
    process.chdir(join(folder, 'one'));
    fs.rmSync(join(folder, 'two'), { recursive: true });
    fs.mkdirSync(join(folder, 'two/below'), { recursive: true });
    await run(function* () {
      const acceptor = yield* listen({ path });
      t.equal(acceptor.address.path, path);
      t.ok(yield* answers(path, acceptor));
      process.chdir('../two');
      fs.writeFileSync('a.sock', 'somebody else');
      yield* close(acceptor);
      t.same(fs.readdirSync('.').toSorted(), ['a.sock', 'below'], path);
      t.same(fs.readdirSync('../one'), ['below'], path);
    });
  }
});

t.test(
  'a folder that was renamed, or a link to it that leads elsewhere by now, is not mistaken',
  { skip },
  (t) =>
    run(function* () {
      const folder = folderOf(t);
      for (const name of ['one', 'two']) fs.mkdirSync(join(folder, name));
      const link = join(folder, 'current');
      fs.symlinkSync('one', link);
      const acceptor = yield* listen({ path: join(link, 'a.sock') });
      fs.rmSync(link);
      fs.symlinkSync('two', link);
      const successor = yield* listen({ path: join(link, 'a.sock') });
      yield* close(acceptor);
      t.same(fs.readdirSync(join(folder, 'one')), []);
      t.ok(yield* answers(join(link, 'a.sock'), successor));

      fs.renameSync(join(folder, 'two'), join(folder, 'three'));
      fs.mkdirSync(join(folder, 'two'));
      fs.writeFileSync(join(folder, 'two/a.sock'), '');
      yield* close(successor);
      t.ok(fs.existsSync(join(folder, 'two/a.sock')));
    }),
);

t.test('with unlinkOnClose: false the file stays, and others may go on with it', { skip }, (t) =>
  run(function* () {
    const path = join(folderOf(t), 'a.sock');
    yield* close(yield* listen({ path }, { unlinkOnClose: false }));
    t.ok(fs.lstatSync(path).isSocket());
    fs.unlinkSync(path);
    const stop = new AbortController();
    const options = { signal: stop.signal, unlinkOnClose: false, onListening: () => stop.abort() };
    yield* serve({ path }, function* nobody() {}, options);
    t.ok(fs.lstatSync(path).isSocket());
    t.throws(() => new Acceptor({ path }, { unlinkOnClose: 'no' as unknown as boolean }), {
      name: 'TypeError',
      message: 'unlinkOnClose should be true or false, got "no"',
    });
  }),
);

t.test('a path is bound up to the last byte that the system has room for', { skip }, async (t) => {
  const folder = folderOf(t);
  const most = process.platform === 'linux' ? 107 : 103;
  const before = process.cwd();
  t.teardown(() => process.chdir(before));
  const descriptors = openDescriptors();
  for (const size of [1, 2, 7, 8, 9, 16, 17, 18, 40]) {
    const deep = join(folder, 'x'.repeat(most - folder.length - size - 2));
    fs.mkdirSync(deep);
    const path = join(deep, 's'.repeat(size));
    await run(function* () {
      const acceptor = yield* listen({ path });
      t.equal(Buffer.byteLength(path), most);
      t.same(fs.readdirSync(deep), ['s'.repeat(size)], `a name of ${size}`);
      t.ok(yield* answers(path, acceptor));
      yield* close(acceptor);
      t.same(fs.readdirSync(deep), []);
    });
    fs.rmdirSync(deep);
  }
  // A relative one is as short where its folder is deeper than that.
  const deep = join(folder, 'y'.repeat(100), 'z'.repeat(100));
  fs.mkdirSync(deep, { recursive: true });
  process.chdir(deep);
  await run(function* () {
    for (const path of ['s', 'a.sock', 'ü'.repeat(50)]) {
      const acceptor = yield* listen({ path });
      t.ok(yield* answers(path, acceptor));
      yield* close(acceptor);
    }
    t.same(fs.readdirSync('.'), []);
  });
  t.same(fs.readdirSync(folder), ['y'.repeat(100)]);
  t.equal(openDescriptors(), descriptors);
});

t.test('what stands at a path is an EADDRINUSE that names it, and stays', { skip }, async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'a.sock');
  const server = net.createServer();
  const there: [name: string, make: () => void][] = [
    ['a file', () => fs.writeFileSync(path, '')],
    ['a folder', () => fs.mkdirSync(path)],
    ['a link that leads nowhere', () => fs.symlinkSync('nowhere', path)],
    ['a socket', () => server.listen(path)],
  ];
  for (const [name, make] of there) {
    fs.rmSync(path, { recursive: true, force: true });
    make();
    await run(function* () {
      yield* sleep(5);
      const { ino } = fs.lstatSync(path);
      const acceptor = new Acceptor({ path });
      const error = yield* failure(function* second() {
        yield* listen({ path });
      });
      t.match(error, { code: 'EADDRINUSE', syscall: 'listen', address: path }, name);
      t.match(error.message, `listening on unix:${path}: listen EADDRINUSE: address already in use ${path}`);
      yield* close(acceptor);
      t.equal(fs.lstatSync(path).ino, ino, name);
      t.same(fs.readdirSync(folder), ['a.sock'], name);
    });
  }
  server.close();
});

t.test('a folder that is missing, or is none, is named by its error', { skip }, async (t) => {
  const folder = folderOf(t);
  fs.writeFileSync(join(folder, 'file'), '');
  for (const [path, code] of [
    [join(folder, 'missing/a.sock'), 'ENOENT'],
    [join(folder, 'file/a.sock'), 'ENOTDIR'],
  ] as const) {
    const error = await run(() => failure(() => listen({ path })));
    t.match(error, { code, syscall: 'listen', address: path });
  }
});

t.test(
  'of several who bind a path in the same turn one has it, and cancelling leaves nothing',
  { skip },
  (t) =>
    run(function* () {
      const folder = folderOf(t);
      const path = join(folder, 'a.sock');
      const codes: unknown[] = [];
      const all = Array.from({ length: 5 }, () =>
        spawn(() => listen({ path }), {
          onError: (error) => codes.push((error as NodeJS.ErrnoException).code),
        }),
      );
      yield* sleep(50);
      const bound = all.filter(({ state }) => state === 'done');
      t.equal(bound.length, 1);
      t.same(
        codes,
        Array.from({ length: 4 }, () => 'EADDRINUSE'),
      );
      yield* close(yield* bound[0]!.join());
      t.same(fs.readdirSync(folder), []);
      const cancelled = spawn(() => listen({ path }), { onError() {} });
      yield* sleep(0);
      cancelled.cancel();
      yield* sleep(30);
      if (cancelled.state === 'done') yield* close(yield* cancelled.join());
      t.same(fs.readdirSync(folder), []);
    }),
);
