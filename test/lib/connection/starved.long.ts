import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { reactorName } from 'skein';
import { connect, readAll, until } from '../../support/connection/peers.ts';
import { root } from '../../support/programs/compiled.ts';
import { type Program, runProgram } from '../../support/programs/program.ts';

/**
 * The package as it is installed: a program that imports it opens few files, as compiling the source would not. It stands
 * where the packages are found that it needs itself.
 */
function install(): string {
  const project = mkdtempSync(join(root, 'test', 'starved-'));
  const installed = join(project, 'node_modules', 'skein');
  mkdirSync(installed, { recursive: true });
  writeFileSync(join(project, 'package.json'), '{}');
  execFileSync(process.execPath, [join(root, 'build.mjs'), join(installed, 'dist')]);
  for (const name of ['package.json', 'native']) symlinkSync(join(root, name), join(installed, name));
  return project;
}

const project = install();
t.teardown(() => rmSync(project, { recursive: true }));
let count = 0;

function runModule(program: string, limits?: string): Program {
  const file = join(project, `${++count}.mjs`);
  writeFileSync(file, program);
  return runProgram(['--expose-gc', file], {}, limits, []);
}

/** Runs a server until it says its port. */
async function startServer(program: string, limits?: string): Promise<Program & { port: number }> {
  const running = runModule(program, limits);
  await until(() => running.lines().length > 0, 'the port');
  return { ...running, port: Number(running.lines()[0]) };
}

const hasLimits = spawnSync('bash', ['-c', 'ulimit -n 64']).status === 0;

const isPortable = reactorName() === 'node';

/** Reports when `onError` hears of something; tells how many it has had of each code when asked. */
const serveAndCount = (options = '') => `
  import { run, serve } from 'skein';
  const errors = {};
  process.stdin.on('data', () => console.log(JSON.stringify(errors)));
  await run(() => serve(0, function* (conn) {
    for (let data; (data = yield* conn.read()) !== null; ) yield* conn.write(data);
  }, {
    backlog: 512,
    ${options}
    onListening: ({ port }) => console.log(port),
    onError: ({ code }) => { errors[code] = (errors[code] ?? 0) + 1; },
  }));
`;

t.test(
  'N10 200 clients under 64 descriptors are all served in the end, on the epoll reactor',
  { skip: !hasLimits || isPortable },
  async (t) => {
    const errors = await serve200(t, 'maxConnections: 1000,');
    const { EMFILE, ...others } = errors;
    t.ok(EMFILE! > 0, 'the server was told that it lacks descriptors');
    t.same(others, {}, 'and of nothing else');
    t.same(await serve200(t, ''), {}, 'by default nobody is accepted whom there is no descriptor for');
  },
);

/** Serves 200 clients at once under 64 descriptors; gives how often the server heard of each error. */
async function serve200(t: Test, options: string): Promise<Record<string, number>> {
  const { child, lines, port } = await startServer(serveAndCount(options), 'ulimit -n 64');
  let atOnce = 0;
  let most = 0;
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, id) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.write(`client ${id}`);
      const [data] = (await once(socket, 'data')) as [Buffer];
      most = Math.max(most, ++atOnce);
      // Who has been served stays for a while, so that the others find no descriptor.
      await delay(30);
      atOnce--;
      socket.end();
      return String(data) === `client ${id}`;
    }),
  );
  t.equal(answers.filter(Boolean).length, 200);
  t.ok(most >= 10 && most < 64, `${most} at once`);
  child.stdin!.write('?');
  await until(() => lines().length === 2, 'the count');
  child.kill('SIGKILL');
  return JSON.parse(lines()[1]!) as Record<string, number>;
}

t.test(
  'N10 200 clients under 64 descriptors are served or refused, on the portable reactor',
  { skip: !hasLimits || !isPortable },
  async (t) => {
    const { child, lines, port } = await startServer(
      `
    import { run, serve } from 'skein';
    let clients = 0, refused = 0;
    await run(() => serve(0, function* (conn) {
      clients++;
      try {
        for (let data; (data = yield* conn.read()) !== null; ) yield* conn.write(data);
      } finally {
        clients--;
      }
    }, {
      onListening: ({ port }) => console.log(port),
      onError: (error, conn) => { if (conn === undefined && error.code === 'ERR_LIMIT') refused++; },
    }));
    `.replace(
        'let clients',
        "process.stdin.on('data', () => console.log(`${clients} ${refused}`)); let clients",
      ),
      'ulimit -n 64',
    );
    const served: net.Socket[] = [];
    let refused = 0;
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        const socket = net.connect(port, '127.0.0.1');
        const ended = new Promise<false>((resolve) => socket.once('close', () => resolve(false)));
        socket.on('error', () => {});
        socket.write('x');
        if (await Promise.race([once(socket, 'data').catch(() => false), ended])) served.push(socket);
        else refused++;
      }),
    );
    t.ok(served.length >= 10, `${served.length} are served`);
    t.equal(refused, 200 - served.length, 'each of the others was told');
    child.stdin!.write('?');
    await until(() => lines().length === 2, 'the count');
    t.equal(lines()[1], `${served.length} ${refused}`, 'the server counts the same');
    // Those it has go on, and new ones come in once descriptors are free.
    for (const socket of served) {
      socket.write('y');
      t.equal(String((await once(socket, 'data'))[0]), 'y');
    }
    for (const socket of served) socket.end();
    const started = Date.now();
    for (;;) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      const closed = once(socket, 'close').then(() => false);
      socket.write('z');
      const isServed = await Promise.race([
        once(socket, 'data').catch(() => false),
        closed.catch(() => false),
      ]);
      socket.destroy();
      if (isServed) break;
      if (Date.now() - started > 5_000) throw new Error('no new client got in');
    }
    t.ok(Date.now() - started < 4_000, 'soon: counting descriptors anew takes no second');
    child.kill('SIGKILL');
  },
);

t.test('N1 a client that sends a gigabyte and never reads costs less than 1 MB', async (t) => {
  const { child, lines, port } = await startServer(`
    import { setTimeout as delay } from 'node:timers/promises';
    import { run, serve } from 'skein';
    process.stdin.on('data', async () => {
      for (let round = 0; round < 3; round++) {
        gc();
        await delay(20);
      }
      const { heapUsed, external } = process.memoryUsage();
      console.log(heapUsed + external);
    });
    await run(() => serve(0, function* (conn) {
      for (let data; (data = yield* conn.read()) !== null; ) yield* conn.write(data);
    }, { onListening: ({ port }) => console.log(port) }));
  `);
  const warm = await connect({ port });
  warm.end('warm');
  await readAll(warm);
  child.stdin!.write('?');
  await until(() => lines().length === 2, 'the first figure');
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  const piece = Buffer.alloc(1_048_576);
  let offered = 0;
  // Node would queue without end what the kernel does not take: offer only what it drains.
  for (let isStuck = false; !isStuck && offered < 1024; offered++) {
    isStuck = !socket.write(piece) && !(await Promise.race([once(socket, 'drain'), delay(300)]));
  }
  t.ok(offered < 1024, `the kernel stopped it after ${offered} MiB`);
  await delay(100);
  child.stdin!.write('?');
  await until(() => lines().length === 3, 'the second figure');
  const grown = Number(lines()[2]) - Number(lines()[1]);
  t.ok(grown < 1_000_000, `the server has grown by ${grown} bytes`);
  socket.destroy();
  child.kill('SIGKILL');
});

t.test('a process in which nobody waits for a socket ends', async (t) => {
  const { exited } = runModule(`
    import { dial, listen, run } from 'skein';
    await run(function* () {
      const acceptor = yield* listen(0);
      const conn = yield* dial(acceptor.address);
      const other = yield* acceptor.accept();
      yield* conn.write('x');
      yield* other.read();
    });
  `);
  t.equal(await exited, 0, 'although an acceptor and two connections are open');
});

function delay(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}
