import * as fc from 'fast-check';
import t from 'tap';
import { predict } from '../../support/scheduler/channel-model.ts';
import { execute, program } from '../../support/scheduler/channel-programs.ts';

/** Another seed each time; set SKEIN_SEED to the one in the name of a test that failed. */
const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);
const RUNS = Number(process.env['SKEIN_RUNS'] ?? 10_000);

t.test(`channels and select do as the model says in ${RUNS} programs (seed ${seed})`, async (t) => {
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(program, async (one) => {
      const { trace, ends, outcomes, complaints } = await execute(one);
      const expected = predict(one, outcomes);
      steps += trace.length;
      if (complaints.length > 0) throw new Error(complaints.join('; '));
      const line = trace.findIndex((text, index) => text !== expected.trace[index]);
      if (line >= 0) throw new Error(`line ${line} is "${trace[line]}", not "${expected.trace[line]}"`);
      if (trace.length < expected.trace.length)
        throw new Error(`"${expected.trace[trace.length]}" did not come`);
      if (ends.join() !== expected.ends.join())
        throw new Error(`ended ${ends.join()}, not ${expected.ends.join()}`);
    }),
    { seed, numRuns: RUNS },
  );
  t.comment(`${steps} steps`);
  t.ok(steps > RUNS);
});
