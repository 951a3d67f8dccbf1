// Every `@example` of the doc comments compiles as it stands, and runs.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Compiled, root } from '../support/programs/compiled.ts';

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

t.test('the examples compile and run', { timeout: 120_000 }, async (t) => {
  const all = examples();
  t.ok(all.size > 20, `${all.size} examples`);
  const compiled = new Compiled('examples', all);
  t.teardown(() => compiled.remove());
  t.equal(compiled.errors, '', 'no error of types');
  await compiled.runAll(all.keys(), (name, { status, stdout, stderr }) => {
    t.equal(status, 0, `${name} runs\n${stdout}${stderr}`);
  });
});
