// The results as a picture: a line for each benchmark, a mark for each contestant, on logarithmic axes.
// It brings its own background, and a dark one where that is preferred, so that it can stand anywhere.

import { type Benchmark, benchmarks, type Contestant, contestants } from './benchmarks.ts';
import { figureOf, inUnits, provenance, type Results } from './report.ts';

const WIDTH = 920;
const LEFT = 232;
const RIGHT = 718;
const ROW = 25;
const MARGIN = 28;

const STYLE = `
  svg { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }
  .card { fill: #fff; stroke: #d0d7de }
  text { fill: #24292f }
  .title { font-size: 19px; font-weight: 600 }
  .heading { font-weight: 600 }
  .quiet { fill: #656d76; font-size: 12px }
  .grid { stroke: #eaeef2 }
  .span { stroke: #ced4da; stroke-width: 2 }
  .mark { stroke: #fff; stroke-width: 1.5 }
  .hollow { fill: #fff; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #161b22; stroke: #30363d }
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .grid { stroke: #262c36 }
    .span { stroke: #444c56 }
    .mark { stroke: #161b22 }
    .hollow { fill: #161b22 }
  }
`;

interface Panel {
  heading: string;
  unit: Benchmark['unit'];
  from: number;
  to: number;
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
  y += 36;
  for (const sentence of provenance(results).split(/(?<=\.) (?=[A-Z])/)) {
    parts.push(text(MARGIN, y, sentence, 'quiet'));
    y += 17;
  }
  const card = `<rect class="card" x=".5" y=".5" width="${WIDTH - 1}" height="${y + 3}" rx="8"/>`;
  const size = `width="${WIDTH}" height="${y + 4}" viewBox="0 0 ${WIDTH} ${y + 4}"`;
  const name = '<title>What a coroutine costs: skein beside Go and other libraries for JavaScript</title>';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">${name}<style>${STYLE}</style>\n${[card, ...parts].join('\n')}\n</svg>\n`;
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
    const x = position(panel, value);
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
  const xs = marks.map(({ value }) => position(panel, value));
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
  if (id === 'skein') return `<circle class="mark" cx="${x}" cy="${y}" r="7" fill="${color}"/>`;
  if (id === 'skein-mixed') return `<circle class="hollow" cx="${x}" cy="${y}" r="5" stroke="${color}"/>`;
  if (id !== 'go') return `<circle class="mark" cx="${x}" cy="${y}" r="5.5" fill="${color}"/>`;
  const points = `${x},${y - 6.5} ${x + 6.5},${y} ${x},${y + 6.5} ${x - 6.5},${y}`;
  return `<polygon class="mark" points="${points}" fill="${color}"/>`;
}

function position({ from, to }: Panel, value: number): number {
  const part = Math.log(value / from) / Math.log(to / from);
  return Number((LEFT + (RIGHT - LEFT) * Math.min(1, Math.max(0, part))).toFixed(1));
}

function shortened(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`;
  return value >= 1e4 ? `${value / 1e3}k` : value.toLocaleString('en');
}

function text(x: number, y: number, content: string, style = '', anchor = 'start'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" class="${style}" text-anchor="${anchor}">${escaped}</text>`;
}
