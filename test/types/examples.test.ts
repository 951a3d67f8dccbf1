// Every `@example` and every TypeScript block of the README compiles as it stands, and the examples run.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Compiled, root } from '../support/compiled.ts';

/** The code of the examples, by the place where each stands. */
function examples(): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of ['lib', 'scheduler']) {
    for (const name of readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue;
      const text = readFileSync(join(root, part, name), 'utf8');
      for (const [index, match] of [...text.matchAll(/^ *\* ```ts\n([^]*?)^ *\* ```$/gm)].entries()) {
        found.set(`${part}-${name.replaceAll('/', '-')}-${index}`, match[1]!.replaceAll(/^ *\* ?/gm, ''));
      }
    }
  }
  return found;
}

function blocksOfReadme(): Map<string, string> {
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  const blocks = [...text.matchAll(/^```ts\n([^]*?)^```$/gm)];
  return new Map(blocks.map((match, index) => [`readme-${index}`, match[1]!]));
}

t.test('the examples and the README compile, and the examples run', { timeout: 120_000 }, async (t) => {
  const all = new Map([...examples(), ...blocksOfReadme()]);
  t.ok(all.size > 20, `${all.size} pieces of code`);
  const compiled = new Compiled('examples', all);
  t.teardown(() => compiled.remove());
  t.equal(compiled.errors, '', 'no error of types');
  await compiled.runAll(examples().keys(), (name, { status, stdout, stderr }) => {
    t.equal(status, 0, `${name} runs\n${stdout}${stderr}`);
  });
});
