// Builds `dist/`: the bundle by rolldown, the declarations by the compiler. The entries are those of `exports` in
// package.json. Invariants: each module of ours is in one file only, so that all entries have the same `Channel` and
// the same scheduler, and each class is declared once; ours are the files of `dist/`, by whose folder
// scheduler/debug/stack.ts knows our frames; names and line ends stay, for the stacks that people read.
//
//   dist/index.js  scheduler.js  co.js  …   the entries, with what no other entry needs
//   dist/skein/kernel.js                    scheduler/
//   dist/skein/network.js                   of lib/ what several entries need
//   dist/types/                             a declaration for each module

import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('.', import.meta.url));
const out = resolve(process.argv[2] ?? join(root, 'dist'));

/** What only one entry needs is in the file of that entry, so that nobody loads `ws` who does not ask for it. */
const CHUNKS = [
  { name: 'kernel', folder: 'scheduler/', minShareCount: 1 },
  { name: 'network', folder: 'lib/', minShareCount: 2 },
];

/**
 * What V8 makes more of: a source in half of the memory if it is all of one byte (what is not is in strings only, as no
 * comment is left), and classes as constants, of which it knows in compiled code what they are. As variables, which
 * rolldown makes of them, a `select` cost 5 % more.
 */
const FOR_V8 = {
  name: 'for-v8',
  renderChunk: (code) => ({
    code: code
      .replace(/^var (?=[\w$]+ = class\b)/gm, 'const ')
      .replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
    map: null,
  }),
};

/** The sources of the entries, by the names of their files. */
function entries() {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const built = Object.values(exports).filter((entry) => entry['skein-source'] !== undefined);
  return Object.fromEntries(
    built.map((entry) => [basename(entry.default, '.js'), join(root, entry['skein-source'])]),
  );
}

async function bundle() {
  const bundling = await rolldown({
    cwd: root,
    input: entries(),
    platform: 'node',
    // Only our own modules: whatever is imported by a name is the user's, or Node's.
    external: (id) => !/^[./]|^[a-z]:[\\/]/i.test(id),
    onwarn(warning) {
      throw new Error(warning.message);
    },
  });
  await bundling.write({
    dir: out,
    chunkFileNames: 'skein/[name].js',
    codeSplitting: {
      groups: CHUNKS.map(({ name, folder, minShareCount }) => ({
        name,
        minShareCount,
        test: (id) => id.startsWith(join(root, folder)),
      })),
    },
    // They are read by machines only: the source maps lead to lib/ and scheduler/, which are in the package too.
    comments: { legal: true, annotation: true, jsdoc: false },
    minify: false,
    minifyInternalExports: false,
    sourcemap: true,
    sourcemapExcludeSources: true,
    plugins: [FOR_V8],
  });
  await bundling.close();
}

function declare() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const project = join(root, 'tsconfig.build.json');
  execFileSync(process.execPath, [tsc, '-p', project, '--outDir', join(out, 'types')], { stdio: 'inherit' });
}

rmSync(out, { recursive: true, force: true });
await bundle();
declare();
