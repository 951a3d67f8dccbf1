// The results as a picture: a line for each benchmark, a mark for each contestant, on logarithmic axes.

import { inUnits } from '../shared/results.ts';
import {
  type Axis,
  closing,
  diamond,
  dot,
  MARGIN,
  picture,
  position,
  ring,
  shortened,
  text,
  WIDTH,
} from '../shared/svg.ts';
import { type Benchmark, benchmarks, type Contestant, contestants } from './benchmarks.ts';
import { figureOf, provenance, type Results } from './report.ts';

const LEFT = 232;
const RIGHT = 718;
const ROW = 25;

interface Panel extends Axis {
  heading: string;
  unit: Benchmark['unit'];
}

const panels: readonly Panel[] = [
  { heading: 'Nanoseconds per operation', unit: 'ns', from: 10, to: 1_000_000 },
  { heading: 'Bytes, one of a million', unit: 'bytes', from: 100, to: 10_000 },
  { heading: 'Milliseconds, all together', unit: 'ms', from: 10, to: 10_000 },
];

export function chart(results: Results): string {
  const parts: string[] = [];
  let y = MARGIN + 8;
  parts.push(text(MARGIN, y, 'What a coroutine costs', 'title'));
  parts.push(
    text(
      MARGIN,
      (y += 22),
      'Processor time and memory on logarithmic scales: further left is better.',
      'quiet',
    ),
  );
  y += 26;
  parts.push(legend(y, results));
  y += 12;
  for (const panel of panels) {
    const rows = benchmarks.filter((one) => one.unit === panel.unit && one.program in results.figures);
    if (rows.length === 0) continue;
    y += panel === panels[0] ? 30 : 44;
    parts.push(text(MARGIN, y, panel.heading, 'heading'), axis(panel, y, rows.length));
    parts.push(text(WIDTH - MARGIN - 82, y, 'skein', 'quiet', 'end'));
    for (const benchmark of rows) parts.push(line(panel, benchmark, results, (y += ROW)));
  }
  const { height, part } = closing(y, provenance(results));
  return picture('What a coroutine costs: skein beside Go and other libraries for JavaScript', height, [
    ...parts,
    part,
  ]);
}

function legend(y: number, results: Results): string {
  let x = MARGIN + 6;
  const parts: string[] = [];
  for (const contestant of contestants) {
    if (contestant.id === 'go' && results.go === null) continue;
    const version = results.versions[contestant.id] ?? '';
    const label =
      contestant.id === 'skein-mixed' ? 'skein after mixed use' : `${contestant.title} ${version}`;
    parts.push(mark(contestant, x, y), text(x + 11, y + 4.5, label.trim()));
    x += 36 + label.length * 6.6;
  }
  return parts.join('');
}

function axis(panel: Panel, y: number, rows: number): string {
  const parts: string[] = [];
  for (let value = panel.from; value <= panel.to; value *= 10) {
    const x = position(panel, value, LEFT, RIGHT);
    parts.push(`<line class="grid" x1="${x}" x2="${x}" y1="${y + 7}" y2="${y + rows * ROW + 9}"/>`);
    parts.push(text(x, y, shortened(value), 'quiet', 'middle'));
  }
  return parts.join('');
}

function line(panel: Panel, benchmark: Benchmark, results: Results, y: number): string {
  // Skein lies on top of all but Go, whose mark is smaller.
  const marks = contestants
    .map((contestant) => ({ contestant, value: figureOf(results, benchmark, contestant.id) }))
    .filter((one): one is { contestant: Contestant; value: number } => one.value !== undefined)
    .toSorted((a, b) => layer(a.contestant) - layer(b.contestant));
  const xs = marks.map(({ value }) => position(panel, value, LEFT, RIGHT));
  const skein = figureOf(results, benchmark, 'skein');
  const go = figureOf(results, benchmark, 'go');
  const figure = skein === undefined ? '' : `${inUnits(skein)} ${benchmark.unit}`;
  const beside = skein === undefined || go === undefined ? '' : `${(skein / go).toFixed(2)} × Go`;
  return [
    text(MARGIN, y + 4.5, benchmark.title),
    `<line class="span" x1="${Math.min(...xs)}" x2="${Math.max(...xs)}" y1="${y}" y2="${y}"/>`,
    ...marks.map(({ contestant }, i) => mark(contestant, xs[i]!, y)),
    text(WIDTH - MARGIN - 82, y + 4.5, figure, 'heading', 'end'),
    text(WIDTH - MARGIN, y + 4.5, beside, 'quiet', 'end'),
  ].join('');
}

function layer({ id }: Contestant): number {
  return ['skein-mixed', 'skein', 'go'].indexOf(id);
}

function mark({ id, color }: Contestant, x: number, y: number): string {
  if (id === 'skein') return dot(x, y, color, 7);
  if (id === 'skein-mixed') return ring(x, y, color);
  return id === 'go' ? diamond(x, y, color) : dot(x, y, color);
}
