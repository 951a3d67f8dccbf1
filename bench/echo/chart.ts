// The results as a picture: bars for the load that stands for all and for idle connections; for the other
// loads a line each, with a mark for each contestant. skein is what is orange.

import { inShort, ratio } from '../shared/results.ts';
import {
  type Axis,
  closing,
  diamond,
  dot,
  MARGIN,
  picture,
  position,
  ring,
  text,
  WIDTH,
} from '../shared/svg.ts';
import { type Contestant, contestants } from './contestants.ts';
import { figureOf, LIMIT, named, provenance, type Results } from './report.ts';
import { BASE, IDLE, scenarios } from './scenarios.ts';

const LEFT = 232;
const RIGHT = 718;
const ROW = 25;
const BAR = 14;
/** Where the figures end that stand beside the bars. */
const FIGURES = WIDTH - MARGIN - 74;
/** A bar may be so many times as long as the shortest of skein's; what is longer is cut. */
const LONGEST = 3.5;

export function chart(results: Results): string {
  const parts: string[] = [];
  let y = MARGIN + 8;
  parts.push(text(MARGIN, y, 'What a message costs', 'title'));
  parts.push(
    text(
      MARGIN,
      (y += 22),
      'Echo servers on one processor: shorter bars are better, and marks further left.',
      'quiet',
    ),
  );
  for (const panel of [
    bars(results, BASE, 'cpu', 'Microseconds of processor time per message: 64 connections, 64 bytes', 'µs'),
    marks(
      results,
      'Processor time per message under other loads, as a multiple of that of C, on a logarithmic scale',
    ),
    bars(results, IDLE, 'bytes', 'Bytes of memory per idle connection, of 19,000', 'bytes'),
  ]) {
    if (panel === null) continue;
    parts.push(`<g transform="translate(0 ${(y += 40)})">${panel.part}</g>`);
    y += panel.height;
  }
  const { height, part } = closing(y, provenance(results));
  return picture('What a message costs: skein beside C, Go, Bun, Deno, node:net, co and Effect', height, [
    ...parts,
    part,
  ]);
}

interface Panel {
  height: number;
  part: string;
}

/** A bar for each contestant, the shortest first. */
function bars(
  results: Results,
  scenario: string,
  figure: string,
  heading: string,
  unit: string,
): Panel | null {
  const valueOf = ({ id }: Contestant): number => figureOf(results, scenario, id, figure) ?? Infinity;
  const rows = contestants
    .filter((one) => valueOf(one) < Infinity)
    .toSorted((a, b) => valueOf(a) - valueOf(b));
  if (rows.length === 0) return null;
  const ours = rows.filter((one) => one.reactor !== undefined).map(valueOf);
  const longest = Math.min(valueOf(rows.at(-1)!), LONGEST * Math.min(...ours));
  const limit = figureOf(results, scenario, LIMIT, figure);
  const lines = rows.map((one, i) => {
    const y = ROW * (i + 1);
    const value = valueOf(one);
    const isCut = value > longest;
    const length = Number((((RIGHT - LEFT) * Math.min(value, longest)) / longest).toFixed(1));
    const isOurs = one.reactor !== undefined;
    const fill = isOurs ? `fill="${one.color}"` : 'class="bar"';
    const opacity = one.reactor === 'node' ? ' fill-opacity=".5"' : '';
    return [
      text(MARGIN, y + 4.5, named(one, results), isOurs ? 'heading' : ''),
      `<rect x="${LEFT}" y="${y - BAR / 2}" width="${length}" height="${BAR}" rx="2" ${fill}${opacity}/>`,
      isCut ? cut(RIGHT - 26, y) : '',
      text(FIGURES, y + 4.5, `${inShort(value)} ${unit}`, isOurs ? 'heading' : '', 'end'),
      figure === 'cpu' ? text(WIDTH - MARGIN, y + 4.5, `${ratio(value, limit)} × C`, 'quiet', 'end') : '',
    ].join('');
  });
  return { height: ROW * rows.length, part: [text(MARGIN, 0, heading, 'heading'), ...lines].join('\n') };
}

/** Says of a bar that it would go on. */
function cut(x: number, y: number): string {
  return `<path class="card" style="stroke: none" d="M${x},${y + 9} l7,-18 h6 l-7,18 z"/>`;
}

const AXIS: Axis = { from: 0.2, to: 15 };
const TICKS = [0.2, 0.5, 1, 2, 5, 10];

/** A line for each load, a mark for each contestant, on a logarithmic axis. */
function marks(results: Results, heading: string): Panel | null {
  const rows = scenarios.filter(({ id, isIdle }) => id !== BASE && !isIdle && id in results.figures);
  if (rows.length === 0) return null;
  const top = 62;
  const bottom = top + ROW * rows.length - 6;
  const parts = [text(MARGIN, 0, heading, 'heading'), legend(26, results)];
  for (const tick of TICKS) {
    const x = position(AXIS, tick, LEFT, RIGHT);
    const style = tick === 1 ? 'span' : 'grid';
    parts.push(`<line class="${style}" x1="${x}" x2="${x}" y1="${top - 6}" y2="${bottom}"/>`);
    parts.push(text(x, top - 12, tick === 1 ? 'C' : `${tick} ×`, 'quiet', 'middle'));
  }
  const shown = leader(results);
  parts.push(text(FIGURES, top - 12, shown.title, 'quiet', 'end'));
  rows.forEach(({ id, title }, i) => {
    const y = top + 8 + ROW * i;
    const limit = figureOf(results, id, LIMIT, 'cpu') ?? NaN;
    const found = compared
      .map((one) => ({ one, value: (figureOf(results, id, one.id, 'cpu') ?? NaN) / limit }))
      .filter(({ value }) => !Number.isNaN(value));
    const ours = figureOf(results, id, shown.id, 'cpu');
    parts.push(
      text(MARGIN, y + 4.5, title),
      ...found.map(({ one, value }) => mark(one, position(AXIS, value, LEFT, RIGHT), y)),
      text(FIGURES, y + 4.5, `${inShort(ours)} µs`, 'heading', 'end'),
      text(WIDTH - MARGIN, y + 4.5, `${ratio(ours, limit)} × C`, 'quiet', 'end'),
    );
  });
  return { height: bottom, part: parts.join('\n') };
}

/** Skein lies on top: its marks come last. */
const compared = contestants
  .filter(({ id }) => id !== LIMIT && !/^skein.*-(callbacks|read-into)$/.test(id))
  .toReversed();

/** The one whose figures are printed: skein, as far as it is there. */
function leader(results: Results): Contestant {
  return compared.findLast(({ id }) => !(id in results.absent))!;
}

function legend(y: number, results: Results): string {
  let x = MARGIN + 6;
  const parts: string[] = [];
  for (const one of compared.toReversed()) {
    if (one.id in results.absent) continue;
    parts.push(mark(one, x, y), text(x + 11, y + 4.5, one.title));
    x += 34 + one.title.length * 6.6;
  }
  return parts.join('');
}

function mark({ id, color, reactor }: Contestant, x: number, y: number): string {
  if (reactor !== undefined) return reactor === 'node' ? ring(x, y, color) : dot(x, y, color, 7);
  return id === 'go' ? diamond(x, y, color) : dot(x, y, color);
}
