import t from 'tap';
import { tryDocuments } from '../support/programs/documents.ts';

t.test('the code of the guide compiles, and its programs run', { timeout: 120_000 }, (t) =>
  tryDocuments(t, 'guide', ['guide.md']),
);
