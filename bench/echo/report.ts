// The results, as Markdown tables and as a list of goals that were missed.

import {
  inShort,
  markdownTable,
  missedGoals,
  provenance as provenanceOf,
  ratio,
  type Run,
} from '../shared/results.ts';
import { type Contestant, contestants } from './contestants.ts';
import { type Goal, goals } from './goals.ts';
import { BASE, IDLE, type Scenario, scenarios } from './scenarios.ts';

export type Figures = Record<string, number>;

export interface Results extends Run {
  /** Of processor time, each time that a server was measured. */
  seconds: number;
  versions: Record<string, string>;
  /** Why some did not take part, by contestant. */
  absent: Record<string, string>;
  /** What went wrong. */
  failures: string[];
  /** By scenario, then by contestant. */
  figures: Record<string, Record<string, Figures>>;
}

/** The one that all are compared with. */
export const LIMIT = 'c';

export function figureOf(
  results: Results,
  scenario: string,
  contestant: string,
  figure: string,
): number | undefined {
  return results.figures[scenario]?.[contestant]?.[figure];
}

/** The name and the version of a contestant. */
export function named({ id, title }: Contestant, results: Results): string {
  return `${title} ${results.versions[id] ?? ''}`.trim();
}

export function tables(results: Results): string {
  const parts = ['# What a message costs'];
  if (BASE in results.figures) {
    parts.push('## 64 connections, 64 bytes', table(results, BASE, BASE_COLUMNS));
  }
  if (scenarios.some((scenario) => isSweep(scenario) && scenario.id in results.figures)) {
    parts.push('## All loads');
    for (const { title, cell } of SWEEPS) parts.push(`${title}:`, sweep(results, cell));
  }
  if (IDLE in results.figures) parts.push('## Idle connections', table(results, IDLE, IDLE_COLUMNS));
  parts.push(provenance(results));
  return `${parts.join('\n\n')}\n`;
}

/** What a cell of a table shows. */
type Cell = (results: Results, scenario: string, contestant: string) => string;

const plain =
  (figure: string): Cell =>
  (results, scenario, contestant) =>
    inShort(figureOf(results, scenario, contestant, figure));

const timesLimit: Cell = (results, scenario, contestant) =>
  ratio(figureOf(results, scenario, contestant, 'cpu'), figureOf(results, scenario, LIMIT, 'cpu'));

const BASE_COLUMNS: Readonly<Record<string, Cell>> = {
  'CPU per message, µs': plain('cpu'),
  '× C': timesLimit,
  'user, µs': plain('user'),
  'system, µs': plain('system'),
  'messages per second': plain('rate'),
  'p50, µs': plain('p50'),
  'p99, µs': plain('p99'),
  'p99.9, µs': plain('p999'),
};

const IDLE_COLUMNS: Readonly<Record<string, Cell>> = {
  'bytes each': plain('bytes'),
  'before garbage was collected': plain('uncollected'),
  'opening one, µs': plain('opening'),
};

const SWEEPS: readonly { title: string; cell: Cell }[] = [
  { title: 'Processor time of the server, as a multiple of C’s', cell: timesLimit },
  { title: 'Processor time of the server per message, in microseconds', cell: plain('cpu') },
  { title: 'Messages per second', cell: plain('rate') },
  { title: 'Median latency, in microseconds', cell: plain('p50') },
  { title: '99th percentile of latency, in microseconds', cell: plain('p99') },
];

function isSweep({ isIdle }: Scenario): boolean {
  return isIdle !== true;
}

/** One load: a line for each contestant. */
function table(results: Results, scenario: string, columns: Readonly<Record<string, Cell>>): string {
  const rows = contestants
    .filter(({ id }) => results.figures[scenario]?.[id] !== undefined)
    .map((one) => [
      named(one, results),
      ...Object.values(columns).map((cell) => cell(results, scenario, one.id)),
    ]);
  return markdownTable(['', ...Object.keys(columns)], rows).trim();
}

/** One figure: a line for each contestant, a column for each load. */
function sweep(results: Results, cell: Cell): string {
  const columns = scenarios.filter((scenario) => isSweep(scenario) && scenario.id in results.figures);
  const rows = contestants
    .filter(({ id }) => columns.some((scenario) => results.figures[scenario.id]?.[id] !== undefined))
    .map((one) => [named(one, results), ...columns.map((scenario) => cell(results, scenario.id, one.id))]);
  return markdownTable(['', ...columns.map(({ column }) => column)], rows).trim();
}

/** Where and how the figures were taken, and who was missing, in some sentences. */
export function provenance(results: Results): string {
  const missing = contestants.filter(({ id }) => id in results.absent).map(({ title }) => title);
  const absentees = missing.length === 0 ? '' : ` Absent: ${missing.join('; ')}.`;
  return `${provenanceOf('Processor time of the server, from the accounts of the system', results)}${absentees}`;
}

/** What went wrong, and what skein means to reach and did not, a line each. */
export function misses(results: Results): string {
  const judged = goals.filter((goal) => goal.scenario in results.figures && !(goal.of in results.absent));
  return missedGoals([...results.failures, ...judged.flatMap((goal) => missed(goal, results))]);
}

function titleOf(id: string): string {
  return contestants.find((one) => one.id === id)!.title;
}

function missed(goal: Goal, results: Results): string[] {
  const { scenario, figure, of, atMost, atLeast, times } = goal;
  const value = figureOf(results, scenario, of, figure);
  const base = times === undefined ? 1 : figureOf(results, scenario, times, figure);
  // A peer that is absent, or that was not asked for, is nothing to be measured against.
  if (value === undefined || base === undefined) return [];
  const found = value / base;
  if (found <= (atMost ?? Infinity) && found >= (atLeast ?? 0)) return [];
  const load = scenarios.find((one) => one.id === scenario)!.title;
  const bound = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  const than = times === undefined ? inShort(found) : `${found.toFixed(2)} × ${titleOf(times)}`;
  return [`${load}: ${titleOf(of)}, ${figure}: ${than}, meant to be ${bound}`];
}
