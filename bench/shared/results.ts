// Where a run took place, how its figures are printed, and where they are written.

import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, type } from 'node:os';
import { format, resolveConfig } from 'prettier';

/** A run, as it is kept beside its figures. */
export interface Run {
  date: string;
  machine: string;
  node: string;
  go: string | null;
  rounds: number;
}

export function thisRun(go: string | null, rounds: number): Run {
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} processors, ${type()} ${release().split('-')[0]}`,
    node: process.versions.node,
    go,
    rounds,
  };
}

/** Where and how the figures were taken, in a sentence or two; `what` begins it. */
export function provenance(what: string, { machine, node, go, rounds, date }: Run): string {
  const versions = go === null ? `Node ${node}, without Go` : `Node ${node}, Go ${go} with GOMAXPROCS=1`;
  return `${what}, ${rounds === 1 ? 'one round' : `medians of ${rounds} rounds`}. ${machine}; ${versions}; ${date}.`;
}

/** A Markdown table: the first column holds names, the others figures. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** The goals that were missed, a line each. */
export function missedGoals(lines: readonly string[]): string {
  return lines.length === 0 ? 'Every goal was reached.\n' : `Goals missed:\n- ${lines.join('\n- ')}\n`;
}

export function inUnits(value: number | undefined): string {
  if (value === undefined) return '–';
  const digits = value < 10 ? 1 : 0;
  return value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

/** Three digits, or all of a whole number that has more. */
export function inShort(value: number | undefined): string {
  if (value === undefined) return '–';
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

export function ratio(value: number | undefined, to: number | undefined): string {
  return value === undefined || to === undefined ? '–' : (value / to).toFixed(2);
}

/** Writes files by name, formatted as the rest of the project, so that a run leaves a tree that passes the checks. */
export async function writeResults(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const path = `${folder}/${name}`;
    const isPicture = name.endsWith('.svg');
    writeFileSync(
      path,
      isPicture ? text : await format(text, { ...(await resolveConfig(path)), filepath: path }),
    );
  }
  console.log(`written to ${folder}`);
}
