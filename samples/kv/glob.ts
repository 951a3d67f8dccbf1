// Patterns as KEYS, SCAN and PSUBSCRIBE take them: * ? [a-z] [^a] and \ before what is meant literally. A star that
// turns out to have taken too little takes one more and the rest is tried again, and only the last star ever has to:
// so the time is at most pattern times text, where trying all stars would be exponential.

export function globMatches(pattern: string, text: string): boolean {
  if (pattern === '*') return true;
  let p = 0;
  let t = 0;
  /** Behind the last star, and where the text was that the rest is tried from. */
  let afterStar = -1;
  let retryAt = 0;
  while (t < text.length) {
    if (pattern[p] === '*') {
      afterStar = ++p;
      retryAt = t;
      continue;
    }
    const next = matchOne(pattern, p, text.charCodeAt(t));
    if (next > 0) {
      p = next;
      t++;
    } else if (afterStar >= 0) {
      p = afterStar;
      t = ++retryAt;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p >= pattern.length;
}

/** Behind the element of the pattern that stands at `p`, if it matches the character; else 0. */
function matchOne(pattern: string, p: number, code: number): number {
  if (p >= pattern.length) return 0;
  const char = pattern[p]!;
  if (char === '?') return p + 1;
  if (char === '[') return matchClass(pattern, p + 1, code);
  const at = char === '\\' && p + 1 < pattern.length ? p + 1 : p;
  return pattern.charCodeAt(at) === code ? at + 1 : 0;
}

function matchClass(pattern: string, from: number, code: number): number {
  const isNegated = pattern[from] === '^';
  let found = false;
  let at = isNegated ? from + 1 : from;
  for (; at < pattern.length && pattern[at] !== ']'; at++) {
    if (pattern[at] === '\\' && at + 1 < pattern.length) {
      at++;
      found ||= pattern.charCodeAt(at) === code;
    } else if (pattern[at + 1] === '-' && at + 2 < pattern.length) {
      const ends = [pattern.charCodeAt(at), pattern.charCodeAt(at + 2)];
      found ||= code >= Math.min(...ends) && code <= Math.max(...ends);
      at += 2;
    } else {
      found ||= pattern.charCodeAt(at) === code;
    }
  }
  return found === isNegated ? 0 : at + 1;
}
