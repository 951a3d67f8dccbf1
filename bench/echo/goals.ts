// What skein means to reach.

import { BASE, IDLE } from './scenarios.ts';

/** A figure of one contestant, which is to be so many times another's, or so much by itself. */
export interface Goal {
  scenario: string;
  figure: string;
  of: string;
  atMost?: number;
  atLeast?: number;
  /** Whose figure the bound is a multiple of. */
  times?: string;
}

/** The server's processor time per message. */
function cpu(of: string, atMost: number, times: string, scenario = BASE): Goal {
  return { scenario, figure: 'cpu', of, atMost, times };
}

export const goals: readonly Goal[] = [
  cpu('skein', 1.08, 'c'),
  cpu('skein', 0.9, 'go'),
  cpu('skein', 1, 'bun'),
  cpu('skein', 1, 'deno'),
  cpu('skein', 0.65, 'callbacks'),
  cpu('skein', 0.55, 'for-await'),
  cpu('skein', 1.05, 'skein-callbacks'),
  cpu('skein-portable', 1.05, 'callbacks'),
  cpu('skein-portable', 1.05, 'skein-portable-callbacks'),
  { scenario: 'one', figure: 'p50', of: 'skein', atMost: 1.1, times: 'callbacks' },
  cpu('skein', 1.15, 'c', 'ten-thousand'),
  { scenario: 'pipelined', figure: 'rate', of: 'skein', atLeast: 0.92, times: 'c' },
  { scenario: 'replies', figure: 'cpu', of: 'skein', atMost: 0.6 },
  cpu('skein-portable', 0.2, 'callbacks', 'replies'),
  { scenario: '64KiB', figure: 'yield', of: 'skein-read-into', atLeast: 0.92, times: 'c' },
  { scenario: '64KiB', figure: 'yield', of: 'skein', atLeast: 0.75, times: 'c' },
  { scenario: IDLE, figure: 'bytes', of: 'skein', atMost: 1800 },
];
