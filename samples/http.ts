// The files of a folder over HTTP, in ranges if that is asked for, and a small JSON API.
//
//   ROOT=. npx tsx --conditions=skein-source samples/http.ts      then:   curl -C - -O http://127.0.0.1:9981/README.md
//
// Notice the loop that sends a file: it reads a piece, writes it, and waits until the response wants more, so a client
// that reads slowly costs one piece of memory. A client that goes away ends the loop wherever it waits, and the file is
// closed. What takes a promise that must not get lost, such as that of an open file, stands in a `shield`.

import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { constants, type FileHandle, open, realpath } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { extname, join, relative, sep } from 'node:path';
import { type Co, drained, readBody, run, serveHttp, shield, wait } from 'skein';
import { folder, whereToListen } from './environment.ts';

const ROOT = folder('ROOT', '.');
const PIECE = 262_144; // bytes
const MOST_NOTES = 1_000;

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
};

function* respond(request: IncomingMessage, response: ServerResponse): Co<void> {
  const path = pathOf(request.url!);
  const note = /^\/api\/notes(?:\/(\d+))?$/.exec(path ?? '');
  if (request.method === 'OPTIONS' && request.url === '*')
    response.writeHead(204, { Allow: 'GET, HEAD, POST, DELETE, OPTIONS' }).end();
  else if (path === null) answer(response, 400);
  else if (note !== null) yield* serveNote(note[1], request, response);
  else if (isOneOf(['GET', 'HEAD'], request, response)) yield* serveFile(path, request, response);
}

/** What was asked for, without its query, or the origin that RFC 9112, 3.2.2 has us accept; null if it is no path. */
function pathOf(target: string): string | null {
  const [, raw] = /^(?:https?:\/\/[^/?]+)?([^?]*)/i.exec(target)!;
  try {
    const path = decodeURIComponent(raw || '/');
    return path.startsWith('/') && !path.includes('\0') ? path : null;
  } catch {
    return null;
  }
}

// Files.

/** A file that is open. */
interface Opened {
  readonly handle: FileHandle;
  readonly stat: BigIntStats;
  readonly type: string;
  /** Whether its folder was asked for. */
  readonly isIndex: boolean;
}

function* serveFile(path: string, request: IncomingMessage, response: ServerResponse): Co<void> {
  // The handle would be lost if the client went away while it is on its way.
  const file = yield* shield(() => wait(openFile(path)));
  if (file === null) {
    answer(response, 404);
    return;
  }
  try {
    if (file.isIndex && !path.endsWith('/')) addSlash(request, response);
    else yield* sendFile(file, request, response);
  } finally {
    yield* shield(() => wait(file.handle.close()));
  }
}

/** Opens a file below the root, or the index of a folder; null if there is none, or it is hidden, such as in `.git`. */
async function openFile(path: string, isIndex = false): Promise<Opened | null> {
  try {
    // Its real path, since links may lead out as well as dots.
    const real = await realpath(join(ROOT, path));
    if (real !== ROOT && !real.startsWith(ROOT.endsWith(sep) ? ROOT : ROOT + sep)) return null;
    if (/[/\\]\./.test(`${path}/${relative(ROOT, real)}`)) return null;
    // A pipe would make it wait for whoever writes to it.
    const handle = await open(real, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat({ bigint: true });
    const type = TYPES[extname(real)] ?? 'application/octet-stream';
    if (stat.isFile()) return { handle, stat, type, isIndex };
    await handle.close();
    return stat.isDirectory() ? await openFile(join(path, 'index.html'), true) : null;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG', 'ENXIO'].includes(code)) return null;
    throw error;
  }
}

/** The links of a page would else begin one folder above. The target is relative, as `//host/` is another host. */
function addSlash({ url }: IncomingMessage, response: ServerResponse) {
  response.setHeader('Location', url!.replace(/^[^?]*\/([^/?]*)/, './$1/'));
  answer(response, 301);
}

function* sendFile(
  { handle, stat, type }: Opened,
  request: IncomingMessage,
  response: ServerResponse,
): Co<void> {
  const { size, mtimeNs, mtime } = stat;
  const etag = `"${size.toString(36)}-${mtimeNs.toString(36)}"`;
  const modified = mtime.toUTCString();
  response.setHeaders(
    new Map(Object.entries({ ETag: etag, 'Last-Modified': modified, 'Accept-Ranges': 'bytes' })),
  );
  if (isAnswered(request, response, etag, modified)) return;
  const range = rangeOf(request, etag, modified, Number(size));
  if (range === null) {
    response.setHeader('Content-Range', `bytes */${size}`);
    answer(response, 416);
    return;
  }
  const { from, to } = range ?? { from: 0, to: Number(size) };
  if (range !== undefined) {
    response.statusCode = 206;
    response.setHeader('Content-Range', `bytes ${from}-${to - 1}/${size}`);
  }
  response.setHeader('Content-Type', type);
  response.setHeader('Content-Length', to - from);
  if (request.method !== 'HEAD') yield* sendBytes(handle, from, to, response);
}

function* sendBytes(file: FileHandle, from: number, to: number, response: ServerResponse): Co<void> {
  for (let at = from; at < to;) {
    // A new one each time: the response keeps it until it is out.
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, to - at));
    const { bytesRead } = yield* wait(file.read(piece, 0, piece.byteLength, at));
    // The headers are out, so the connection is cut off: that the client notices.
    if (bytesRead === 0) throw new Error(`expected ${to} bytes of the file, got ${at}`);
    response.write(piece.subarray(0, bytesRead));
    yield* drained(response);
    at += bytesRead;
  }
}

/** The one range that is asked for; undefined for all of it, null if nothing is there. RFC 9110, 14. */
function rangeOf(
  { headers, method }: IncomingMessage,
  etag: string,
  modified: string,
  size: number,
): { from: number; to: number } | null | undefined {
  // Whoever has a part of what was there before wants all of it.
  const condition = headers['if-range'] ?? etag;
  const range = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/i.exec(headers.range ?? '');
  if (method !== 'GET' || range === null || (condition !== etag && condition !== modified)) return undefined;
  const [, first, last, suffix] = range;
  if (suffix !== undefined) {
    return size > 0 && Number(suffix) > 0 ? { from: Math.max(0, size - Number(suffix)), to: size } : null;
  }
  const from = Number(first);
  const to = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < from) return undefined;
  return from < size ? { from, to } : null;
}

// Conditions, of files and of notes.

/** Answers a request of which a condition does not hold; RFC 9110, 13.2.2. What has no date meets any condition on it. */
function isAnswered(
  request: IncomingMessage,
  response: ServerResponse,
  etag: string,
  modified = '',
): boolean {
  const status = statusFor(request, etag, Date.parse(modified));
  if (status === 304) response.writeHead(304).end();
  else if (status === 412) answer(response, 412);
  return status !== undefined;
}

function statusFor({ headers, method }: IncomingMessage, etag: string, modified: number) {
  const isReading = method === 'GET' || method === 'HEAD';
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  // Nothing is before or after what is no date.
  if (match === undefined ? modified > dateOf(headers['if-unmodified-since']) : !names(match, etag, false))
    return 412;
  if (noneMatch !== undefined) return names(noneMatch, etag, true) ? (isReading ? 304 : 412) : undefined;
  return isReading && modified <= dateOf(headers['if-modified-since']) ? 304 : undefined;
}

/** Whether a list of entity tags names this one, which is a strong one; a weak tag in it counts in weak comparisons only. */
function names(list: string, etag: string, isWeak: boolean): boolean {
  if (list.trim() === '*') return true;
  return [...list.matchAll(/(W\/)?("[^"]*")/g)].some(([, weak, tag]) => tag === etag && (isWeak || !weak));
}

/** The time of an HTTP date, in one of its three forms; NaN for anything else. RFC 9110, 5.6.7. */
function dateOf(text = ''): number {
  if (/^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/.test(text)) return Date.parse(`${text} GMT`);
  return /^\w{3,9}, \d\d[ -]\w{3}[ -]\d{2,4} \d\d:\d\d:\d\d GMT$/.test(text) ? Date.parse(text) : NaN;
}

// The API: notes, which are gone when the server is.

const notes = new Map<number, { id: number; text: string }>();
let lastId = 0;

function* serveNote(id: string | undefined, request: IncomingMessage, response: ServerResponse): Co<void> {
  const { method } = request;
  if (!isOneOf(id === undefined ? ['GET', 'HEAD', 'POST'] : ['GET', 'HEAD', 'DELETE'], request, response))
    return;
  // Before all else: what is true of the notes has to be so when one is added.
  const text = method === 'POST' ? textOf(yield* readBody(request, { limit: 10_000 })) : undefined;
  const asked = id === undefined ? [...notes.values()] : notes.get(Number(id));
  if (text === null) answerJson(response, 400, { error: 'expected {"text": "…"}' });
  else if (asked === undefined) answerJson(response, 404, { error: `there is no note ${id}` });
  else if (text !== undefined && notes.size >= MOST_NOTES)
    answerJson(response, 507, { error: `there are ${MOST_NOTES} notes` });
  else if (!isAnswered(request, response, tagOf(asked))) {
    if (text !== undefined) {
      notes.set(++lastId, { id: lastId, text });
      response.setHeader('Location', `/api/notes/${lastId}`);
      answerJson(response, 201, notes.get(lastId));
    } else {
      if (method === 'DELETE') notes.delete(Number(id));
      else response.setHeader('ETag', tagOf(asked));
      answerJson(response, 200, asked);
    }
  }
}

function tagOf(value: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(value)).digest('base64url')}"`;
}

function textOf(body: Buffer): string | null {
  try {
    const { text } = JSON.parse(String(body)) as { text: unknown };
    return typeof text === 'string' ? text : null;
  } catch {
    return null;
  }
}

// What both need.

function isOneOf(methods: string[], { method = '' }: IncomingMessage, response: ServerResponse): boolean {
  if (methods.includes(method)) return true;
  response.setHeader('Allow', methods.join(', '));
  answer(response, 405);
  return false;
}

function answer(response: ServerResponse, status: number) {
  response.writeHead(status, { 'Content-Type': 'text/plain' }).end(`${STATUS_CODES[status]}\n`);
}

function answerJson(response: ServerResponse, status: number, value: unknown) {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
}

/** One line for each; what is wrong with a request has been answered with its status. */
function onError(error: unknown, request: IncomingMessage | undefined) {
  const { statusCode = 500 } = error as { statusCode?: number };
  if (statusCode < 500) return;
  const what = request && `${request.method} ${request.url} of ${request.socket.remoteAddress}`;
  console.error(`${what ?? 'accepting'}: ${String(error)}`);
}

await run(() =>
  serveHttp(whereToListen(), respond, {
    signals: true,
    onListening: (address) => console.log(`http listening on ${address}, with the files of ${ROOT}`),
    onError,
  }),
);
