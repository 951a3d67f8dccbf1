// The results, as a Markdown table and as a list of goals that were missed.

import { type Benchmark, benchmarks, contestants } from './benchmarks.ts';
import {
  inUnits,
  markdownTable,
  missedGoals,
  provenance as provenanceOf,
  ratio,
  type Run,
} from '../shared/results.ts';
import type { Figures } from './programs/meter.ts';

export interface Results extends Run {
  versions: Record<string, string>;
  /** By program, then by contestant. */
  figures: Record<string, Record<string, Figures>>;
}

/** How much slower skein may be in a process that has used everything before. */
const MIXED = 1.3;

export function figureOf(results: Results, benchmark: Benchmark, contestant: string): number | undefined {
  return results.figures[benchmark.program]?.[contestant]?.[benchmark.figure];
}

export function table(results: Results): string {
  const others = contestants.filter(({ id }) => !id.startsWith('skein'));
  const named = others.map(({ id, title }) => `${title} ${results.versions[id]}`.trim());
  const rows = measured(results).map((benchmark) => {
    const at = (id: string): number | undefined => figureOf(results, benchmark, id);
    return [
      `${benchmark.title}, ${benchmark.unit}`,
      inUnits(at('skein')),
      ratio(at('skein'), at('go')),
      ratio(at('skein-mixed'), at('skein')),
      ...others.map(({ id }) => inUnits(at(id))),
    ];
  });
  const head = ['', 'skein', '× Go', 'mixed ÷ fresh', ...named];
  return `${markdownTable(head, rows)}\n${provenance(results)}\n`;
}

export function provenance(results: Results): string {
  return provenanceOf('Processor time per operation', results);
}

/** What skein means to reach and did not, a line each. */
export function misses(results: Results): string {
  const lines: string[] = [];
  for (const benchmark of measured(results)) {
    const { title, unit, timesGo, fasterThanEffect, atMost } = benchmark;
    const skein = figureOf(results, benchmark, 'skein');
    const mixed = figureOf(results, benchmark, 'skein-mixed');
    const go = figureOf(results, benchmark, 'go');
    if (skein === undefined) continue;
    if (timesGo !== undefined && go !== undefined && skein > timesGo * go) {
      lines.push(`${title}: ${ratio(skein, go)} × Go, meant to be at most ${timesGo}`);
    }
    const effect = figureOf(results, benchmark, 'effect');
    if (fasterThanEffect !== undefined && effect !== undefined && effect < fasterThanEffect * skein) {
      lines.push(`${title}: ${ratio(effect, skein)} × faster than Effect, meant to be ${fasterThanEffect}`);
    }
    if (atMost !== undefined && skein > atMost) {
      lines.push(`${title}: ${inUnits(skein)} ${unit}, meant to be at most ${atMost}`);
    }
    if (mixed !== undefined && mixed > MIXED * skein) {
      lines.push(`${title}: mixed ${ratio(mixed, skein)} × fresh, meant to be at most ${MIXED}`);
    }
  }
  return missedGoals(lines);
}

function measured(results: Results): readonly Benchmark[] {
  return benchmarks.filter(({ program }) => program in results.figures);
}
