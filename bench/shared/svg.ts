// What the charts have in common. They bring their own background, and a dark one where that is preferred,
// so that they can stand anywhere.

export const WIDTH = 920;
export const MARGIN = 28;

const STYLE = `
  svg { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }
  .card { fill: #fff; stroke: #d0d7de }
  text { fill: #24292f }
  .title { font-size: 19px; font-weight: 600 }
  .heading { font-weight: 600 }
  .quiet { fill: #656d76; font-size: 12px }
  .grid { stroke: #eaeef2 }
  .span { stroke: #ced4da; stroke-width: 2 }
  .bar { fill: #ced4da }
  .mark { stroke: #fff; stroke-width: 1.5 }
  .hollow { fill: #fff; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #161b22; stroke: #30363d }
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .grid { stroke: #262c36 }
    .span { stroke: #444c56 }
    .bar { fill: #495057 }
    .mark { stroke: #161b22 }
    .hollow { fill: #161b22 }
  }
`;

/** A picture of so many pixels' height; `name` says what it shows to those who do not see it. */
export function picture(name: string, height: number, parts: readonly string[]): string {
  const card = `<rect class="card" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`;
  const size = `width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img"><title>${name}</title><style>${STYLE}</style>\n${[card, ...parts].join('\n')}\n</svg>\n`;
}

export function text(x: number, y: number, content: string, style = '', anchor = 'start'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" class="${style}" text-anchor="${anchor}">${escaped}</text>`;
}

/** A filled circle; what is meant to catch the eye is larger. */
export function dot(x: number, y: number, color: string, radius = 5.5): string {
  return `<circle class="mark" cx="${x}" cy="${y}" r="${radius}" fill="${color}"/>`;
}

export function ring(x: number, y: number, color: string): string {
  return `<circle class="hollow" cx="${x}" cy="${y}" r="5" stroke="${color}"/>`;
}

export function diamond(x: number, y: number, color: string): string {
  const points = `${x},${y - 6.5} ${x + 6.5},${y} ${x},${y + 6.5} ${x - 6.5},${y}`;
  return `<polygon class="mark" points="${points}" fill="${color}"/>`;
}

/** Sentences below each other, the first of them 36 pixels below `y`; gives the height of the picture. */
export function closing(y: number, sentences: string): { height: number; part: string } {
  const lines = sentences.split(/(?<=\.) (?=[A-Z])/);
  const parts = lines.map((sentence, i) => text(MARGIN, y + 36 + 17 * i, sentence, 'quiet'));
  return { height: y + 40 + 17 * lines.length, part: parts.join('\n') };
}

/** A value on a logarithmic axis that reaches from `from` to `to`. */
export interface Axis {
  from: number;
  to: number;
}

export function position({ from, to }: Axis, value: number, left: number, right: number): number {
  const part = Math.log(value / from) / Math.log(to / from);
  return Number((left + (right - left) * Math.min(1, Math.max(0, part))).toFixed(1));
}

/** A number on an axis. */
export function shortened(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`;
  return value >= 1e4 ? `${value / 1e3}k` : value.toLocaleString('en');
}
