// README.md and docs/ but for the guide, which has a file of its own: each has to end within the limit of the test runner.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/programs/compiled.ts';
import { tryDocuments } from '../support/programs/documents.ts';

t.test('the code of the documents compiles, and their programs run', { timeout: 120_000 }, (t) => {
  const files = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md') && name !== 'guide.md');
  return tryDocuments(t, 'documents', ['../README.md', ...files]);
});
