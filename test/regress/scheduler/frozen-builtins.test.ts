// Programs that freeze what the language has built in, and dumps where hardly any stack is left.

import t from 'tap';
import { type Co, dump, run, sleep, spawn } from '../../../scheduler/index.ts';
import { runProgram } from '../../support/programs/program.ts';

const CODE = `
  import { dump, formatDump, never, run, shield, sleep, spawn, timeout } from 'skein';
  if (process.env.FREEZE === 'Error') Object.freeze(Error);
  const log = [];
  await run(function* main() {
    const sleeper = spawn(function* sleeper() { yield* never; });
    yield* sleep(1);
    log.push(dump().find(({ name }) => name === 'sleeper').stack.some((line) => line.includes('sleeper')));
    log.push(formatDump().includes('waiting for ever'));
    sleeper.cancel('enough');
    try { yield* sleeper.join(); } catch (error) { log.push(error.name, error.cause); }
    try { yield* timeout(5, () => never); } catch (error) { log.push(error.name); }
    try { yield* shield(() => never, { timeout: 5 }); } catch (error) { log.push(error.name); }

  });
  console.log(log.join(' '));
`;
const EXPECTED = 'true true AbortError enough TimeoutError TimeoutError';

for (const [what, args, env] of [
  ['nothing is frozen', [], {}],
  ['Error is frozen', [], { FREEZE: 'Error' }],
  ['Node runs with --frozen-intrinsics', ['--frozen-intrinsics'], {}],
] as const) {
  t.test(`cancellation, deadlines and dumps work when ${what}`, async (t) => {
    const program = runProgram([...args, '--input-type=module', '--eval', CODE], { ...env });
    t.equal(await program.exited, 0);
    t.match(program.output(), EXPECTED, program.output());
  });
}

t.test('a server that cuts a client off works when Error is frozen', async (t) => {
  const program = runProgram(
    [
      '--input-type=module',
      '--eval',
      `
      import { dial, never, run, serve, sleep, spawn } from 'skein';
      Object.freeze(Error);
      const stop = new AbortController();
      const errors = [];
      await run(function* () {
        let port;
        spawn(() => serve(0, () => never, {
          signal: stop.signal, grace: 10, onListening: (address) => (port = address.port), onError: (error) => errors.push(error.name),
        }));
        while (port === undefined) yield* sleep(1);
        const conn = yield* dial(port);
        yield* sleep(20);
        stop.abort();
        try { yield* conn.read(); } catch (error) { errors.push(error.code); }
        conn.close();
      });
      console.log(errors.join(' '));
    `,
    ],
    {},
  );
  t.equal(await program.exited, 0);
  t.match(program.output(), /TimeoutError (ECONNRESET)?/);
});

t.test('a dump near the end of the stack ends no coroutine', async (t) => {
  let dumps = 0;
  let overflows = 0;
  await run(function* () {
    const nested = function* (levels: number): Co<string> {
      if (levels > 0) return yield* nested(levels - 1);
      yield* sleep(20);
      return 'goes on';
    };
    const sleepers = [0, 10, 100, 500].map((levels) => spawn(() => nested(levels)));
    yield* sleep(1);
    let depth = 0;
    const sink = (): void => {
      depth++;
      try {
        sink();
      } finally {
        // At each of the last frames, and then here and there down to the first.
        if (overflows < 200 || --depth % 200 === 0) {
          try {
            dump();
            dumps++;
          } catch {
            overflows++;
          }
        }
      }
    };
    t.throws(sink, RangeError);
    for (const sleeper of sleepers) t.equal(yield* sleeper.join(), 'goes on');
  });
  t.ok(dumps > 10, `${dumps} dumps`);
  t.ok(overflows > 0, `${overflows} of them had no stack`);
});
