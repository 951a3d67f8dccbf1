// Every `@example` and every TypeScript block of the README compiles as it stands, and the examples run.

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn, spawnSync } from 'node:child_process';
import t from 'tap';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const folder = join(root, 'test', 'types', `examples-${process.pid}`);

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

const manifest = {
  name: 'skein',
  type: 'module',
  exports: {
    '.': './lib/index.js',
    './scheduler': './scheduler/index.js',
    './co': './scheduler/co.js',
    './ws': './lib/ws.js',
    './package.json': './package.json',
  },
};

/** Without what the test runner puts into every child, which is its coverage. */
const env = { ...process.env, NODE_OPTIONS: '' };

function blocksOfReadme(): Map<string, string> {
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  const blocks = [...text.matchAll(/^```ts\n([^]*?)^```$/gm)];
  return new Map(blocks.map((match, index) => [`readme-${index}`, match[1]!]));
}

t.test('the examples and the README compile, and the examples run', { timeout: 120_000 }, async (t) => {
  mkdirSync(folder);
  t.teardown(() => rmSync(folder, { recursive: true }));
  const all = new Map([...examples(), ...blocksOfReadme()]);
  t.ok(all.size > 20, `${all.size} pieces of code`);
  for (const [name, code] of all) writeFileSync(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
  const config = {
    extends: '../../../tsconfig.json',
    include: ['.'],
    compilerOptions: {
      rootDir: root,
      outDir: 'out',
      noEmit: false,
      noUnusedLocals: false,
    },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const compiled = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
  t.equal(compiled.stdout, '', 'no error of types');
  // The output is a package of its own, which its examples import by name: so each starts without a compiler.
  writeFileSync(join(folder, 'out', 'package.json'), JSON.stringify(manifest));
  symlinkSync(join(root, 'native'), join(folder, 'out', 'native'));
  const names = [...examples().keys()];
  const work = async (): Promise<void> => {
    for (let name; (name = names.pop()) !== undefined;) {
      const path = join(folder, 'out', 'test', 'types', basename(folder), `${name}.js`);
      const { status, output } = await runNode(path);
      t.equal(status, 0, `${name} runs\n${output}`);
    }
  };
  // Each waits for others, and for time, more than for the processor.
  await Promise.all(Array.from({ length: 4 }, work));
});

function runNode(path: string): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, [path], { env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)));
  return new Promise((settle) => child.once('close', (status) => settle({ status, output })));
}
