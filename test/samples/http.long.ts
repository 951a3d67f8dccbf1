import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { connect, readAll, until } from '../support/connection/peers.ts';
import { curl, runTool, type SampleServer, startSample, without } from '../support/programs/samples.ts';

const hasCurl = { skip: without('curl'), timeout: 60_000 };
const BIG = randomBytes(3_000_000);

/** A folder with some files, beside one that nobody may have. */
function makeFolder(t: Test): string {
  const folder = t.testdir({ 'secret.txt': 'secret', root: { 'hello.txt': 'hello, file\n', folder: {} } });
  const root = join(folder, 'root');
  writeFileSync(join(root, 'big.bin'), BIG);
  writeFileSync(join(root, 'empty.txt'), '');
  writeFileSync(join(root, 'a b%.html'), '<p>');
  mkdirSync(join(root, 'pages'));
  writeFileSync(join(root, 'pages/index.html'), '<h1>');
  mkdirSync(join(root, '.git'));
  for (const hidden of ['.git/config', '.git/index.html', '.env'])
    writeFileSync(join(root, hidden), 'hidden');
  symlinkSync('.git', join(root, 'git'));
  symlinkSync('../secret.txt', join(root, 'link.txt'));
  return root;
}

interface Site {
  readonly server: SampleServer;
  readonly root: string;
  url(path: string): string;
  /** The status, the headers and the body that curl gets. */
  get(path: string, ...args: string[]): Promise<{ status: number; headers: string; body: Buffer }>;
}

async function openSite(t: Test): Promise<Site> {
  const root = makeFolder(t);
  const server = await startSample(t, 'http.ts', { ROOT: root });
  const url = (path: string): string => `http://127.0.0.1:${server.port}${path}`;
  return {
    server,
    root,
    url,
    async get(path, ...args) {
      const { stdout, stderr } = await curl('-i', '--path-as-is', ...args, url(path));
      const end = stdout.indexOf('\r\n\r\n');
      const headers = String(stdout.subarray(0, end));
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(headers)?.[1]);
      if (Number.isNaN(status)) throw new Error(`expected a status, got ${headers}${stderr}`);
      return { status, headers, body: stdout.subarray(end + 4) };
    },
  };
}

const headerOf = (headers: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'im').exec(headers)?.[1]?.trim();

t.test('http.ts sends files with their types, and their headers alone', hasCurl, async (t) => {
  const { get, server } = await openSite(t);
  const hello = await get('/hello.txt?query');
  t.equal(hello.status, 200);
  t.equal(String(hello.body), 'hello, file\n');
  t.equal(headerOf(hello.headers, 'content-type'), 'text/plain; charset=utf-8');
  t.equal(headerOf(hello.headers, 'content-length'), '12');
  t.equal(headerOf(hello.headers, 'accept-ranges'), 'bytes');
  const head = await get('/hello.txt', '-I');
  t.equal(headerOf(head.headers, 'content-length'), '12');
  t.equal(headerOf(head.headers, 'etag'), headerOf(hello.headers, 'etag'));
  t.equal(head.body.byteLength, 0);
  t.ok((await get('/big.bin')).body.equals(BIG));
  t.equal((await get('/empty.txt')).body.byteLength, 0);
  t.equal(String((await get('/a%20b%25.html')).body), '<p>');
  t.equal(String((await get('/pages/')).body), '<h1>', 'the index of a folder');
  t.equal((await get('/folder')).status, 404);
  t.equal((await get('/nothing')).status, 404);
  const put = await get('/hello.txt', '-X', 'PUT', '-d', 'x');
  t.equal(put.status, 405);
  t.equal(headerOf(put.headers, 'allow'), 'GET, HEAD');
  t.equal(await server.end('SIGINT'), 0);
  t.notMatch(server.output(), /skein:/);
});

t.test('http.ts sends one range', hasCurl, async (t) => {
  const { get } = await openSite(t);
  const ranges: [range: string, from: number, to: number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=0-', 0, BIG.length],
    ['bytes=1000000-1999999', 1_000_000, 2_000_000],
    ['bytes=-100', BIG.length - 100, BIG.length],
    ['bytes=-9999999', 0, BIG.length],
    ['Bytes=2999999-9999999', 2_999_999, BIG.length],
  ];
  for (const [range, from, to] of ranges) {
    const { status, headers, body } = await get('/big.bin', '-H', `Range: ${range}`);
    t.equal(status, 206, range);
    t.equal(headerOf(headers, 'content-range'), `bytes ${from}-${to - 1}/${BIG.length}`);
    t.ok(body.equals(BIG.subarray(from, to)));
  }
  for (const range of ['bytes=3000000-', 'bytes=-0', 'bytes=99999999999999999999-']) {
    const { status, headers } = await get('/big.bin', '-H', `Range: ${range}`);
    t.equal(status, 416, range);
    t.equal(headerOf(headers, 'content-range'), `bytes */${BIG.length}`);
  }
  t.equal((await get('/empty.txt', '-H', 'Range: bytes=-1')).status, 416);
  for (const range of ['bytes=2-1', 'bytes=-', 'bytes=0-1,5-6', 'lines=0-1', 'bytes=a-b']) {
    const { status, body } = await get('/hello.txt', '-H', `Range: ${range}`);
    t.equal(status, 200, `${range} is passed over`);
    t.equal(body.byteLength, 12);
  }
  t.equal((await get('/hello.txt', '-I', '-H', 'Range: bytes=0-1')).status, 200, 'HEAD has no ranges');
});

t.test('curl -C - takes up a download where it was cut off', hasCurl, async (t) => {
  const { url, root } = await openSite(t);
  const file = join(root, 'download');
  writeFileSync(file, BIG.subarray(0, 1_234_567));
  const { status, stderr } = await curl('-C', '-', '-o', file, url('/big.bin'));
  t.equal(status, 0, stderr);
  const sum = (data: Buffer) => createHash('sha256').update(data).digest('hex');
  t.equal(sum(readFileSync(file)), sum(BIG));
});

t.test('http.ts does not send what the client has', hasCurl, async (t) => {
  const { get, root } = await openSite(t);
  const { headers } = await get('/hello.txt');
  const etag = headerOf(headers, 'etag')!;
  const modified = headerOf(headers, 'last-modified')!;
  const statusWith = async (...given: string[]) =>
    (await get('/hello.txt', ...given.flatMap((header) => ['-H', header]))).status;
  t.equal(await statusWith(`If-None-Match: ${etag}`), 304);
  t.equal(await statusWith(`If-None-Match: "other", W/${etag}`), 304);
  t.equal(await statusWith('If-None-Match: *'), 304);
  t.equal(await statusWith('If-None-Match: "other"'), 200);
  t.equal(await statusWith(`If-Modified-Since: ${modified}`), 304);
  t.equal(await statusWith('If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT'), 200);
  t.equal(await statusWith('If-Modified-Since: never'), 200);
  t.equal(
    await statusWith('If-None-Match: "other"', `If-Modified-Since: ${modified}`),
    200,
    'the tag counts',
  );
  t.equal(await statusWith('Range: bytes=0-1', `If-Range: ${etag}`), 206);
  t.equal(await statusWith('Range: bytes=0-1', `If-Range: ${modified}`), 206);
  t.equal(await statusWith('Range: bytes=0-1', 'If-Range: "other"'), 200);
  utimesSync(join(root, 'hello.txt'), 1e9, 1e9);
  t.equal(await statusWith(`If-None-Match: ${etag}`), 200, 'it has changed');
  t.equal(await statusWith('Range: bytes=0-1', `If-Range: ${etag}`), 200);
});

t.test('http.ts answers only if the conditions of a request hold', hasCurl, async (t) => {
  const { get, root } = await openSite(t);
  utimesSync(join(root, 'hello.txt'), 1e9, 1e9); // Sun, 09 Sep 2001 01:46:40 GMT
  const etag = headerOf((await get('/hello.txt')).headers, 'etag')!;
  const ifMatch = (tags: string): string => `If-Match: ${tags}`;
  const ifNoneMatch = (tags: string): string => `If-None-Match: ${tags}`;
  const unmodifiedSince = (date: string): string => `If-Unmodified-Since: ${date}`;
  const [at, before] = ['Sun, 09 Sep 2001 01:46:40 GMT', 'Sun, 09 Sep 2001 01:46:39 GMT'];
  const range = 'Range: bytes=0-1';
  const cases: [status: number, ...headers: string[]][] = [
    [200, ifMatch(etag)],
    [200, ifMatch('*')],
    [200, ifMatch(`"other" , ${etag}`)],
    [200, ifMatch('"other"'), ifMatch(etag)],
    [412, ifMatch('"other"')],
    [412, ifMatch(`W/${etag}`)],
    [412, ifMatch(`"a, ${etag.slice(1, -1)}, b"`)],
    [412, ifMatch(etag.slice(1, -1))],
    [412, ifMatch('"*"')],
    [200, unmodifiedSince(at)],
    [200, unmodifiedSince('Sunday, 09-Sep-01 01:46:40 GMT')],
    [200, unmodifiedSince('Sun Sep  9 01:46:40 2001')],
    [412, unmodifiedSince(before)],
    [412, unmodifiedSince('Sunday, 09-Sep-01 01:46:39 GMT')],
    [412, unmodifiedSince('Sun Sep  9 01:46:39 2001')],
    [200, unmodifiedSince('2001-01-01')],
    [200, unmodifiedSince('never')],
    // If-Match goes before it, and both before those that save sending.
    [200, ifMatch(etag), unmodifiedSince(before)],
    [412, ifMatch('"other"'), unmodifiedSince(at)],
    [412, ifMatch('"other"'), ifNoneMatch(etag)],
    [304, ifMatch(etag), ifNoneMatch(etag)],
    [200, ifMatch(etag), ifNoneMatch('"other"'), `If-Modified-Since: ${at}`],
    [304, unmodifiedSince(at), `If-Modified-Since: ${at}`],
    [412, unmodifiedSince(before), ifNoneMatch('*')],
    [304, ifNoneMatch(`"other", W/${etag}`), range],
    [200, ifNoneMatch(`"a, ${etag.slice(1, -1)}, b"`)],
    [206, ifMatch(etag), range],
    [412, ifMatch('"other"'), range],
    [412, unmodifiedSince(before), range, `If-Range: ${etag}`],
    [206, unmodifiedSince(at), range, `If-Range: ${etag}`],
    [200, ifMatch(etag), range, 'If-Range: "other"'],
    [200, ifMatch(etag), range, `If-Range: W/${etag}`],
    [416, ifMatch(etag), 'Range: bytes=99-'],
    [412, ifMatch('"other"'), 'Range: bytes=99-'],
  ];
  for (const [status, ...given] of cases) {
    const headers = given.flatMap((header) => ['-H', header]);
    const got = await get('/hello.txt', ...headers);
    t.equal(got.status, status, given.join(', '));
    if (status === 412) t.equal(headerOf(got.headers, 'etag'), etag);
    if (given.includes(range) || status === 416) continue;
    const head = await get('/hello.txt', '-I', ...headers);
    t.equal(head.status, status, `HEAD, ${given.join(', ')}`);
    t.equal(head.body.byteLength, 0);
  }
  t.equal((await get('/nothing', '-H', ifMatch('*'))).status, 404, 'what is not there has no conditions');
  t.equal((await get('/hello.txt', '-X', 'PUT', '-d', 'x', '-H', ifMatch('"other"'))).status, 405);
});

t.test('http.ts takes no note away from a client that has seen another', hasCurl, async (t) => {
  const { get } = await openSite(t);
  const post = (...args: string[]) => get('/api/notes', '-d', '{"text":"buy milk"}', ...args);
  t.equal((await post('-H', 'If-Match: "other"')).status, 412);
  t.equal((await post('-H', 'If-Match: *')).status, 201);
  const etag = headerOf((await get('/api/notes/1')).headers, 'etag')!;
  t.equal((await get('/api/notes/1', '-H', `If-None-Match: ${etag}`)).status, 304);
  t.equal((await get('/api/notes/1', '-X', 'DELETE', '-H', 'If-Match: "other"')).status, 412);
  t.equal((await get('/api/notes/1', '-X', 'DELETE', '-H', `If-None-Match: ${etag}`)).status, 412);
  const unmodified = 'If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT';
  t.equal((await get('/api/notes/1', '-H', unmodified)).status, 200, 'a note has no date');
  t.equal((await get('/api/notes/1', '-X', 'DELETE', '-H', `If-Match: ${etag}`)).status, 200);
  t.equal((await get('/api/notes/1', '-H', 'If-Match: *')).status, 404);
});

t.test('http.ts lets nobody out of its folder', hasCurl, async (t) => {
  const { get } = await openSite(t);
  for (const path of [
    '/../secret.txt',
    '/folder/../../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '//../secret.txt',
    '/link.txt',
    '/../root-of-nobody',
  ]) {
    const { status, body } = await get(path);
    t.equal(status, 404, path);
    t.notMatch(String(body), /secret/);
  }
  for (const path of ['/%', '/hello.txt%00', '/%ff']) t.equal((await get(path)).status, 400, path);
});

t.test('http.ts shows nobody what is hidden', hasCurl, async (t) => {
  const { get } = await openSite(t);
  for (const path of ['/.env', '/.git', '/.git/', '/.git/config', '/%2egit/config', '/git/config', '/git/']) {
    const { status, body } = await get(path);
    t.equal(status, 404, path);
    t.notMatch(String(body), /hidden/);
  }
});

t.test('http.ts leads from a folder to the one with a slash, and to no other host', hasCurl, async (t) => {
  const { get, url } = await openSite(t);
  for (const [path, location] of [
    ['/pages', '/pages/'],
    ['/pages?a=/b', '/pages/?a=/b'],
    ['//pages', '//pages/'],
    ['/%70ages', '/%70ages/'],
    ['/folder', undefined],
  ] as const) {
    const { status, headers } = await get(path);
    t.equal(status, location === undefined ? 404 : 301, path);
    const given = headerOf(headers, 'location');
    t.equal(given && new URL(given, url(path)).href, location && url(location));
  }
});

t.test('http.ts takes a target with its origin, and the one that is no path', hasCurl, async (t) => {
  const { get } = await openSite(t);
  const ask = (target: string, ...args: string[]) => get('/', '--request-target', target, ...args);
  t.equal(String((await ask('http://example.org/hello.txt?query')).body), 'hello, file\n');
  t.equal(String((await ask('HTTPS://example.org:80/pages/')).body), '<h1>');
  t.equal((await ask('http://example.org/../secret.txt')).status, 404);
  t.equal((await ask('http://example.org')).status, 404, 'a root without an index');
  t.equal((await ask('http:///hello.txt')).status, 400, 'no host');
  t.equal(headerOf((await ask('http://example.org/pages')).headers, 'location'), './pages/');
  const options = await ask('*', '-X', 'OPTIONS');
  t.equal(options.status, 204);
  t.equal(headerOf(options.headers, 'allow'), 'GET, HEAD, POST, DELETE, OPTIONS');
  t.equal((await ask('*')).status, 400);
});

t.test('http.ts keeps notes for its API', hasCurl, async (t) => {
  const { get, server } = await openSite(t);
  const json = async (path: string, ...args: string[]) => {
    const { status, body } = await get(path, ...args);
    return [status, JSON.parse(String(body)) as unknown];
  };
  t.same(await json('/api/notes'), [200, []]);
  t.same(await json('/api/notes', '-d', '{"text":"buy milk"}'), [201, { id: 1, text: 'buy milk' }]);
  t.same(await json('/api/notes/1'), [200, { id: 1, text: 'buy milk' }]);
  t.same(await json('/api/notes'), [200, [{ id: 1, text: 'buy milk' }]]);
  t.same(await json('/api/notes/1', '-X', 'DELETE'), [200, { id: 1, text: 'buy milk' }]);
  t.equal((await json('/api/notes/1'))[0], 404);
  for (const body of ['', '{', 'null', '{"text":1}']) {
    t.equal((await json('/api/notes', '-X', 'POST', '-d', body))[0], 400, body);
  }
  t.equal((await get('/api/notes', '-d', 'x'.repeat(20_000))).status, 413);
  t.equal((await get('/api/notes', '-X', 'PUT')).status, 405);
  t.equal((await get('/api/other')).status, 404);
  t.equal(await server.end('SIGTERM'), 0);
  t.equal(server.lines().length, 1, 'what clients do wrong is not printed');
});

/** What a process has open. */
function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return readlinkSync(join(folder, fd));
    } catch {
      return [];
    }
  });
}

t.test(
  'http.ts cuts off a file that got shorter, and goes on after clients that go away',
  hasCurl,
  async (t) => {
    const { root, server, get } = await openSite(t);
    // Sparse: it takes no room on the disk, and no machine has buffers for it.
    writeFileSync(join(root, 'huge.bin'), '');
    truncateSync(join(root, 'huge.bin'), 2 ** 30);
    const countOpen = () =>
      openFiles(server.child.pid!).filter((target) => target.endsWith('huge.bin')).length;
    const request = 'GET /huge.bin HTTP/1.1\r\nHost: x\r\n\r\n';

    const leaver = await connect(server);
    leaver.write(request);
    await until(() => leaver.readableLength > 0, 'bytes');
    leaver.destroy();
    if (process.platform === 'linux') await until(() => countOpen() === 0, 'the file to be closed');

    const reader = await connect(server);
    reader.write(request);
    await until(() => reader.readableLength > 0, 'bytes');
    truncateSync(join(root, 'huge.bin'), 10_000_000);
    const all = await readAll(reader).catch((error: NodeJS.ErrnoException) => error.code);
    t.ok(all === 'ECONNRESET' || all!.length < 2 ** 30);
    const line = /^GET \/huge\.bin of 127\.0\.0\.1: Error: expected 1073741824 bytes of the file, got \d+$/;
    await until(() => server.lines().length > 1, 'the error');
    t.match(server.lines()[1], line);
    t.equal(server.lines().length, 2);
    reader.destroy();
    t.equal((await get('/hello.txt')).status, 200);
    rmSync(join(root, 'huge.bin'));
    t.equal(await server.end('SIGTERM'), 0);
  },
);

t.test('http.ts under wrk', { skip: without('wrk'), timeout: 60_000 }, async (t) => {
  const { url, server } = await openSite(t);
  const { stdout } = await runTool('wrk', ['-t1', '-c20', '-d1s', url('/hello.txt')]);
  t.match(String(stdout), /[1-9]\d* requests in/);
  t.notMatch(String(stdout), /Non-2xx|Socket errors/);
  t.equal(await server.end('SIGTERM'), 0);
});
