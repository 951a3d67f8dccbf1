// Who is measured, under which loads, and what skein means to reach.

export interface Contestant {
  readonly id: string;
  readonly title: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const KV = ['node', '{here}dist/samples/kv/server.js'];
const REDIS = ['redis-server', '--port', '{port}', '--save', '', '--appendonly', 'no'];

export const contestants: readonly Contestant[] = [
  { id: 'redis', title: 'redis-server', command: REDIS, env: {} },
  {
    id: 'redis-file',
    title: 'redis-server, append-only file',
    command: [...REDIS.slice(0, -1), 'yes', '--appendfsync', 'no'],
    env: {},
  },
  { id: 'kv', title: 'kv', command: KV, env: {} },
  {
    id: 'kv-file',
    title: 'kv, append-only file',
    command: KV,
    env: { APPENDONLY: 'yes', APPENDFSYNC: 'no' },
  },
];

/** The commands, as redis-benchmark names them. */
export const TESTS = ['set', 'get', 'incr', 'lpush', 'rpop'];

export const loads = [
  { id: 'single', flags: [] },
  { id: 'pipelined', flags: ['-P', '16'] },
] as const;

interface Goal {
  readonly load: string;
  readonly figure: 'rate' | 'cpu';
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** As multiples of what redis-server does. */
export const goals: readonly Goal[] = [
  { load: 'single', figure: 'rate', atLeast: 0.9 },
  { load: 'pipelined', figure: 'rate', atLeast: 0.75 },
  { load: 'single', figure: 'cpu', atMost: 1.3 },
  { load: 'pipelined', figure: 'cpu', atMost: 1.3 },
];
