import { fileURLToPath } from 'node:url';
import t from 'tap';
import { runProgram } from '../../support/programs/program.ts';

const SOAK = fileURLToPath(new URL('../../support/scheduler/soak.ts', import.meta.url));

t.test('two seconds of random work leave no coroutine, no timer and no memory behind', async (t) => {
  const soak = runProgram(['--expose-gc', SOAK], { SECONDS: '2' });
  t.equal(await soak.exited, 0);
  t.match(soak.output(), /operations in 2 s;.*left: nothing$/m);
  t.comment(soak.output());
});
