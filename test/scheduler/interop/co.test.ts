import real from 'co';
import t from 'tap';
import ours from 'skein/co';
import { calls } from '../../support/co/calls.ts';
import { flow } from '../../support/co/flow.ts';
import { kinds } from '../../support/co/kinds.ts';
import { outcome } from '../../support/co/programs.ts';

const programs = { ...kinds, ...flow, ...calls };

for (const [name, program] of Object.entries(programs)) {
  t.test(`S6 as with co: ${name}`, async (t) => {
    t.strictSame(await outcome(program, ours as typeof real), await outcome(program, real));
  });
}
