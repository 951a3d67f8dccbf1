import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** What the files of a folder import: each file, and each of its imports as a path from the root. */
function imports(folder: string): [file: string, imported: string][] {
  const found: [string, string][] = [];
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const file = join(folder, name);
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, imported] of text.matchAll(/^(?:(?:import|export)\b[^;'"(]*|\} )from '([^']+)';$/gm)) {
      const isRelative = imported!.startsWith('.');
      found.push([file, isRelative ? relative(root, resolve(root, dirname(file), imported!)) : imported!]);
    }
  }
  return found;
}

function breaches(folder: string, isAllowed: (imported: string) => boolean): string[] {
  const all = imports(folder);
  t.ok(all.length > 0, `${folder} imports something`);
  return all
    .filter(([, imported]) => !isAllowed(imported))
    .map(([file, imported]) => `${file} imports ${imported}`);
}

t.test('imports run one way: samples, bench, test, lib, scheduler', async (t) => {
  t.same(
    breaches('scheduler', (imported) => imported.startsWith('scheduler/')),
    [
      'scheduler/kernel/async-context.ts imports node:async_hooks',
      'scheduler/kernel/signals.ts imports node:events',
    ],
    'the scheduler imports nothing outside itself, but for contexts and the number of listeners of a signal',
  );
  t.same(
    breaches('lib', (imported) => /^(lib|scheduler)\/|^node:/.test(imported)),
    ['lib/ws/index.ts imports ws', 'lib/ws/web-socket.ts imports ws'],
    'what the user may not have installed has an entry of its own',
  );
  t.same(
    breaches('lib/reactor', (imported) => /^lib\/reactor\/|^node:/.test(imported)),
    [],
    'a reactor knows no coroutine',
  );
  t.same(
    breaches('samples', (imported) => /^(skein|co|cli-progress|node:.*|samples\/.*)$/.test(imported)),
    [],
    'samples import by the package’s name',
  );
});
