// The code of README.md and docs/*.md. A `ts` block compiles as it stands. One that begins with the name of a file is a whole
// program: it runs and ends by itself, and prints what the `text` block behind it says; what others import by that
// name only compiles. A name stands for one program: in several documents it is the same, and `echo-co.ts`, which is
// `echo.ts` in another style, prints what that does. Other blocks are shown, but for what `openssl` is asked to make.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Test } from 'tap';
import { noOpenssl } from '../connection/certificates.ts';
import { Compiled, root } from './compiled.ts';

interface Program {
  readonly code: string;
  /** What it prints; undefined if the document does not say. */
  readonly prints: string | undefined;
}

const FENCE = /^```(\w*)\n([^]*?)^```$/gm;
const NAME = /^\/\/ ([\w-]+)\.ts\n/;

/** What the documents hold. */
export class Blocks {
  readonly sources = new Map<string, string>();
  readonly programs = new Map<string, Program>();
  /** Commands that make what the programs read. */
  readonly commands: string[] = [];

  /** The programs that are to be run. */
  get names(): string[] {
    const all = [...this.sources.values()].join('\n');
    const isRun = ([name, { code }]: [string, Program]): boolean =>
      !all.includes(`from './${name}.ts'`) && (noOpenssl === false || !code.includes('server.key'));
    return [...this.programs].filter(isRun).map(([name]) => name);
  }

  read(t: Pick<Test, 'same'>, file: string): void {
    const blocks = [...readFileSync(join(root, 'docs', file), 'utf8').matchAll(FENCE)];
    for (const [index, [, language, code]] of blocks.entries()) {
      if (language === 'sh' && code!.startsWith('openssl ')) this.commands.push(code!);
      if (language !== 'ts') continue;
      const name = NAME.exec(code!)?.[1];
      this.sources.set(name ?? `${basename(file, '.md')}-${index}`, code!);
      if (name === undefined) continue;
      const next = blocks[index + 1];
      const program = { code: code!, prints: next?.[1] === 'text' ? next[2] : undefined };
      const known = this.programs.get(name);
      if (known !== undefined) t.same(program, known, `${name}.ts is in ${file} what it is elsewhere`);
      this.programs.set(name, program);
    }
  }

  whatPrints(name: string): string | undefined {
    const inAnotherStyle = name.replace(/-[a-z]+$/, '');
    return this.programs.get(name)!.prints ?? this.programs.get(inAnotherStyle)?.prints;
  }
}

/** Compiles and runs the code of documents. */
export async function tryDocuments(t: Test, what: string, files: readonly string[]): Promise<void> {
  const blocks = new Blocks();
  for (const file of files) blocks.read(t, file);
  const { names, sources } = blocks;
  t.ok(names.length > 10, `${names.length} programs, ${sources.size} pieces of code`);
  const compiled = new Compiled(what, sources);
  t.teardown(() => compiled.remove());
  t.equal(compiled.errors, '', 'no error of types');
  if (noOpenssl === false) {
    for (const command of blocks.commands) {
      execFileSync('sh', ['-c', command], { cwd: compiled.folder, stdio: 'ignore' });
    }
  }
  await compiled.runAll(names, (name, { status, stdout, stderr }) => {
    t.equal(status, 0, `${name} runs\n${stdout}${stderr}`);
    const prints = blocks.whatPrints(name);
    if (prints !== undefined) t.equal(stdout, prints, `${name} prints what is said`);
  });
}
