// The code of docs/*.md. A `ts` block compiles as it stands. One that begins with the name of a file is a whole
// program: it runs and ends by itself, and prints what the `text` block behind it says. Blocks may import one another
// by their names, and a name stands for the same program in all documents. Other blocks are only shown, but for what
// `openssl` is asked to make.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { noOpenssl } from '../support/certificates.ts';
import { Compiled, root } from '../support/compiled.ts';

interface Program {
  readonly code: string;
  /** What it prints; undefined if the document does not say. */
  readonly prints: string | undefined;
}

const FENCE = /^```(\w*)\n([^]*?)^```$/gm;
const NAME = /^\/\/ ([\w-]+)\.ts\n/;

const sources = new Map<string, string>();
const programs = new Map<string, Program>();
const certificates: string[] = [];

for (const file of readdirSync(join(root, 'docs'))) {
  if (!file.endsWith('.md')) continue;
  const blocks = [...readFileSync(join(root, 'docs', file), 'utf8').matchAll(FENCE)];
  for (const [index, [, language, code]] of blocks.entries()) {
    if (language === 'sh' && code!.startsWith('openssl ')) certificates.push(code!);
    if (language !== 'ts') continue;
    const name = NAME.exec(code!)?.[1];
    if (name === undefined) {
      sources.set(`${file}-${index}`, code!);
      continue;
    }
    const next = blocks[index + 1];
    const prints = next?.[1] === 'text' ? next[2] : undefined;
    const known = programs.get(name);
    if (known !== undefined) {
      t.same({ code, prints }, known, `${name}.ts is in ${file} what it is elsewhere`);
      continue;
    }
    sources.set(name, code!);
    programs.set(name, { code: code!, prints });
  }
}

t.test('the documents’ code compiles, and their programs run', { timeout: 120_000 }, async (t) => {
  t.ok(programs.size > 10, `${programs.size} programs, ${sources.size} pieces of code`);
  const compiled = new Compiled('documents', sources);
  t.teardown(() => compiled.remove());
  t.equal(compiled.errors, '', 'no error of types');
  if (noOpenssl === false) {
    for (const command of certificates) {
      execFileSync('sh', ['-c', command], { cwd: compiled.folder, stdio: 'ignore' });
    }
  }
  const names = [...programs.keys()].filter(
    (name) => noOpenssl === false || !programs.get(name)!.code.includes('server.key'),
  );
  await compiled.runAll(names, (name, { status, stdout, stderr }) => {
    t.equal(status, 0, `${name} runs\n${stdout}${stderr}`);
    const { prints } = programs.get(name)!;
    if (prints !== undefined) t.equal(stdout, prints, `${name} prints what is said`);
  });
});
