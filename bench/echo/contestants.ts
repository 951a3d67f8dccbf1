// Who takes part, and how each is started.

import { cServer, goBinary, peerBinary, serverFile } from './prepare.ts';
import type { Scenario, Work } from './scenarios.ts';

export interface Contestant {
  id: string;
  title: string;
  color: string;
  /** The npm package that has its version, if it is one. */
  package?: string;
  /** The reactor of skein that it runs on. */
  reactor?: 'node' | 'epoll';
  /** What a command begins with. */
  runtime: readonly string[];
  /** What follows if the server shall collect garbage on a signal. */
  collecting?: readonly string[];
  /** What ends the command, for each kind of work; `large` falls back to `echo`. */
  servers: Partial<Record<Work, readonly string[]>>;
}

export function commandOf({ runtime, collecting, servers }: Contestant, scenario: Scenario): string[] | null {
  const server = servers[scenario.work] ?? (scenario.work === 'large' ? servers.echo : undefined);
  return server === undefined
    ? null
    : [...runtime, ...(scenario.isIdle ? (collecting ?? []) : []), ...server];
}

/** Bytes of a message where each is answered by a write of its own. */
const MESSAGE = '64';

const COLLECT = serverFile('collect');

function onNode(
  id: string,
  title: string,
  color: string,
  echo: string,
  others: Contestant['servers'] = {},
): Contestant {
  return {
    id,
    title,
    color,
    runtime: [process.execPath],
    collecting: ['--expose-gc', '--import', COLLECT],
    servers: { ...(echo === '' ? {} : { echo: [serverFile(echo)] }), ...others },
  };
}

/** skein's servers on one of its reactors. */
function onReactor(reactor: 'node' | 'epoll', id: string, title: string, color: string): Contestant[] {
  return [
    onNode(id, title, color, 'skein-coroutines', { replies: [serverFile('skein-replies')] }),
    onNode(`${id}-callbacks`, `${title}, callbacks`, color, 'skein-callbacks'),
    onNode(`${id}-read-into`, `${title}, readInto`, color, '', { large: [serverFile('skein-read-into')] }),
  ].map((contestant) => ({ ...contestant, reactor }));
}

const bun = peerBinary('bun');
const deno = peerBinary('deno');

export const contestants: readonly Contestant[] = [
  ...onReactor('epoll', 'skein', 'skein', '#e8590c'),
  ...onReactor('node', 'skein-portable', 'skein, portable', '#e8590c'),
  {
    id: 'c',
    title: 'C on epoll',
    color: '#868e96',
    runtime: [cServer],
    servers: { echo: [], replies: [MESSAGE] },
  },
  { id: 'go', title: 'Go', color: '#1098ad', runtime: [goBinary], servers: { echo: [], replies: [MESSAGE] } },
  {
    id: 'bun',
    title: 'Bun',
    color: '#d6336c',
    package: bun.name,
    runtime: [bun.path],
    collecting: ['--preload', COLLECT],
    servers: { echo: [serverFile('bun')] },
  },
  {
    id: 'deno',
    title: 'Deno',
    color: '#1c7ed6',
    package: deno.name,
    runtime: [deno.path, 'run', '--quiet', '--allow-net'],
    collecting: ['--v8-flags=--expose-gc', '--preload', COLLECT],
    servers: { echo: [serverFile('deno')], large: [serverFile('deno'), '65536'] },
  },
  onNode('callbacks', 'node:net callbacks', '#2f9e44', 'callbacks', {
    replies: [serverFile('callbacks-replies')],
  }),
  onNode('for-await', 'for await', '#94d82d', 'for-await'),
  { ...onNode('co', 'co', '#fab005', 'co'), package: 'co' },
  { ...onNode('effect', 'Effect', '#5f3dc4', 'effect'), package: 'effect' },
];
