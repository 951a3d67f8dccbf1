// Makes everything ready to run: the peers, skein and the programs as compiled JavaScript, and the Go
// binary.

import { fileURLToPath } from 'node:url';
import { build, buildGo } from '../shared/build.ts';

export const here = fileURLToPath(new URL('.', import.meta.url));
export const main = `${here}dist/micro/programs/main.js`;
export const goBinary = `${here}dist/go-bench`;

/** Compiles and installs; says which Go there is, if any. */
export function prepare(): { go: string | null } {
  build(here);
  const go = buildGo(`${here}go`, goBinary);
  if (go === null) console.log('There is no Go here: its column stays empty.');
  return { go };
}
