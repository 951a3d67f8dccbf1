import * as fc from 'fast-check';
import t from 'tap';
import { play, program } from '../../support/scheduler/hostile-programs.ts';

/** Another seed each time; set SKEIN_SEED to the one in the name of a test that failed. */
const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);
const RUNS = Number(process.env['SKEIN_RUNS'] ?? 10_000);

// Coroutines that swallow their cancellation are what some of these programs are about.
process.on('warning', () => {});

t.setTimeout(160_000);

t.test(
  `no ending stops the scheduler, leaves a child or loses an error, in ${RUNS} programs (seed ${seed})`,
  async (t) => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(program, async (steps) => {
        count++;
        const complaints = await play(steps);
        if (complaints.length > 0) throw new Error(complaints.join('; '));
      }),
      { seed, numRuns: RUNS },
    );
    t.ok(count >= RUNS, `${count} programs`);
  },
);
