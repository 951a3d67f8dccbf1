// The loads that every server is put under.

/** What a server does with messages; in the end all have come back. */
export type Work =
  /** It writes what it has read, however many messages that are. */
  | 'echo'
  /** The same with messages so large that it may pay to read them another way. */
  | 'large'
  /** It answers each message by a write of its own; the messages come in bursts. */
  | 'replies';

export interface Scenario {
  id: string;
  title: string;
  /** The head of its column. */
  column: string;
  work: Work;
  connections: number;
  /** Bytes of a message. */
  size: number;
  /** Messages in flight on each connection. */
  depth: number;
  /** The connections are held and do nothing. */
  isIdle?: true;
  /** At most so many rounds. */
  rounds: number;
}

/** The load that stands for all. */
export const BASE = 'base';
export const IDLE = 'idle';

const base: Scenario = {
  id: BASE,
  title: '64 connections, 64 B',
  column: '64 connections',
  work: 'echo',
  connections: 64,
  size: 64,
  depth: 1,
  rounds: 5,
};

/** The same but for one thing. */
function other(id: string, title: string, different: Partial<Scenario>): Scenario {
  return { ...base, id, title, column: title, rounds: 3, ...different };
}

export const scenarios: readonly Scenario[] = [
  base,
  other('one', '1 connection', { connections: 1 }),
  other('ten', '10 connections', { connections: 10 }),
  other('thousand', '1,000 connections', { connections: 1000 }),
  other('ten-thousand', '10,000 connections', { connections: 10_000 }),
  other('1KiB', '1 KiB messages', { size: 1024 }),
  other('64KiB', '64 KiB messages', { size: 65_536, work: 'large' }),
  other('pipelined', '16 in flight on each', { depth: 16 }),
  other('replies', '16, a write for each', { depth: 16, work: 'replies' }),
  other(IDLE, '19,000 idle connections', { connections: 19_000, isIdle: true }),
];
