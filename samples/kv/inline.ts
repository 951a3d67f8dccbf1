// Requests as one types them: words between spaces, some of them in quotes. The rules are those of redis-cli: in double
// quotes there are escapes (\n, \xff, \"), in single quotes only \', and a closing quote ends its word.

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };
const isSpace = (char: string | undefined): boolean => char !== undefined && /[ \t\n\r\v\f\0]/.test(char);

/** The words of a line; null if its quotes are not balanced. */
export function splitInline(line: string): string[] | null {
  if (!/["']/.test(line)) return line.split(/[ \t\n\r\v\f\0]+/).filter((word) => word !== '');
  const words: string[] = [];
  for (let at = 0; ;) {
    while (isSpace(line[at])) at++;
    if (at >= line.length) return words;
    let word = '';
    let quote = '';
    for (; at < line.length && (quote !== '' || !isSpace(line[at])); at++) {
      const char = line[at]!;
      if (quote === '') {
        if (char === '"' || char === "'") quote = char;
        else word += char;
      } else if (char === quote) {
        if (at + 1 < line.length && !isSpace(line[at + 1])) return null;
        quote = '';
      } else if (char === '\\' && quote === '"' && /^x[0-9a-f]{2}/i.test(line.slice(at + 1, at + 4))) {
        word += String.fromCharCode(parseInt(line.slice(at + 2, at + 4), 16));
        at += 3;
      } else if (char === '\\' && at + 1 < line.length && (quote === '"' || line[at + 1] === "'")) {
        const next = line[++at]!;
        word += quote === '"' ? (ESCAPES[next] ?? next) : next;
      } else {
        word += char;
      }
    }
    if (quote !== '') return null;
    words.push(word);
  }
}
