// `npm run test:relay`: curl fetches a gigabyte from samples/http.ts through samples/socks5.ts and, behind it,
// samples/balance.ts; and the same through two relays of socat, in turn. It must come intact, at no less than 0.7 of
// socat's rate, and neither relay may take 100 MB. The samples run on the package as it is built, as a user has it.
// A minute; Linux only, skipped without socat or curl.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reactorName } from 'skein';
import ts from 'typescript';
import { connect, until } from '../../support/connection/peers.ts';
import { curl, without } from '../../support/programs/samples.ts';

const SIZE = 1e9;
const ROUNDS = 3;
const LEAST_RATIO = 0.7;
const MOST_MEMORY = 100e6;
/** Bytes that socat copies at a time: those of its own choice, and as many as skein does. */
const SOCATS = [8_192, 65_536];

const why = process.platform === 'linux' ? without('socat', 'curl') : 'this is not Linux';
if (why !== false) {
  console.log(`skipped: ${why}`);
  process.exit();
}

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const folder = mkdtempSync(join(tmpdir(), 'skein-relay-'));
const children: ChildProcess[] = [];
try {
  await measure();
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}

async function measure(): Promise<void> {
  installSkein();
  compile('environment');
  const sum = makeFile(join(folder, 'giga'));
  const http = await startSample('http', { ROOT: folder });
  const balance = await startSample('balance', { BACKENDS: `127.0.0.1:${http.port}` });
  const socks5 = await startSample('socks5');
  const url = (port: number): string => `http://127.0.0.1:${port}/giga`;
  const ways = new Map([['skein', ['--socks5-hostname', `127.0.0.1:${socks5.port}`, url(balance.port)]]]);
  for (const [index, size] of SOCATS.entries()) {
    const first = await startSocat(20_000 + (process.pid % 10_000) + 2 * index, http.port, size);
    const second = await startSocat(first + 1, first, size);
    ways.set(`socat -b ${size}`, [url(second)]);
  }

  const memory = watchMemory({ balance, socks5 });
  const download = join(folder, 'download');
  await curl('-o', download, ...ways.get('skein')!);
  const isIntact = sumOf(download) === sum;
  console.log(`${reactorName()}: a gigabyte came ${isIntact ? 'intact' : 'damaged'}`);
  rmSync(download);

  const rates = new Map<string, number[]>([...ways.keys()].map((way) => [way, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [way, args] of ways) rates.get(way)!.push(await rateOf(args));
  }
  const peaks = memory();
  const medians = new Map([...rates].map(([way, all]) => [way, all.toSorted((a, b) => a - b)[ROUNDS >> 1]!]));
  for (const [way, all] of rates) console.log(`${way}: ${all.map((rate) => inMega(rate)).join(', ')} MB/s`);
  for (const [name, peak] of peaks) console.log(`${name}: at most ${inMega(peak)} MB of memory`);
  const [own, ...others] = [...medians.values()];
  const ratio = own! / Math.max(...others);
  console.log(`${ratio.toFixed(2)} of the quicker socat`);
  if (isIntact && ratio >= LEAST_RATIO && peaks.every(([, peak]) => peak < MOST_MEMORY)) return;
  console.error(`expected it intact, at least ${LEAST_RATIO}, less than ${inMega(MOST_MEMORY)} MB`);
  process.exitCode = 1;
}

/** Makes the folder one in which the package is installed. */
function installSkein(): void {
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/skein'));
}

/** Writes random bytes, a piece of which is repeated with a number before it; gives their checksum. */
function makeFile(path: string): string {
  const hash = createHash('sha256');
  const piece = randomBytes(1e7);
  for (let n = 0; n < SIZE / piece.byteLength; n++) {
    piece.writeUInt32BE(n);
    hash.update(piece);
    appendFileSync(path, piece);
  }
  return hash.digest('hex');
}

function sumOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

async function startSample(
  name: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ pid: number; port: number }> {
  const child = spawn(process.execPath, [compile(name)], {
    env: { ...process.env, NODE_ENV: 'production', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { pid: child.pid!, port: Number(/listening on \S+:(\d+)/.exec(String(line))?.[1]) };
}

/** Compiles a sample into the folder; gives its file. */
function compile(name: string): string {
  const source = readFileSync(join(root, `samples/${name}.ts`), 'utf8');
  const options = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2022,
    rewriteRelativeImportExtensions: true,
  };
  const file = join(folder, `${name}.js`);
  writeFileSync(file, ts.transpile(source, options));
  return file;
}

async function startSocat(port: number, to: number, size: number): Promise<number> {
  const listen = `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`;
  children.push(spawn('socat', ['-b', String(size), listen, `TCP:127.0.0.1:${to}`], { stdio: 'inherit' }));
  let isThere = false;
  const look = async (): Promise<void> => {
    const socket = await connect({ port });
    socket.destroy();
    isThere = true;
  };
  const timer = setInterval(() => look().catch(() => {}), 50);
  await until(() => isThere, 'socat to listen').finally(() => clearInterval(timer));
  return port;
}

async function rateOf(args: readonly string[]): Promise<number> {
  const { stdout, stderr } = await curl('-o', '/dev/null', '-w', '%{size_download} %{time_total}', ...args);
  const [size, seconds] = String(stdout).split(' ').map(Number);
  if (size !== SIZE) throw new Error(`expected ${SIZE} bytes, got ${size} ${stderr}`);
  return size / seconds!;
}

/** Looks at what processes take again and again; gives a function that ends it, with the most of each. */
function watchMemory(processes: Record<string, { pid: number }>): () => [string, number][] {
  const most = Object.entries(processes).map(([name]): [string, number] => [name, 0]);
  const look = (): void => {
    for (const one of most) {
      const status = readFileSync(`/proc/${processes[one[0]]!.pid}/status`, 'utf8');
      one[1] = Math.max(one[1], Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024);
    }
  };
  const timer = setInterval(look, 20);
  return () => {
    clearInterval(timer);
    return most;
  };
}

function inMega(number: number): string {
  return (number / 1e6).toFixed();
}
