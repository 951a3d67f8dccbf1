// One program under three drivers: `co`, `skein/co` and `run`.

import real from 'co';
import t from 'tap';
import co from 'skein/co';
import { Channel, type Co, pause, run, sleep, suspend } from '../../../scheduler/index.ts';
import { flow } from '../../support/co/flow.ts';
import { kinds } from '../../support/co/kinds.ts';
import { type Any, caught, inShort, one, outcome, type Program } from '../../support/co/programs.ts';

/** Programs of skein's operations, that `co` runs as well. */
const operations: Record<string, Program> = {
  'leafs, delegated and bare': (which, log) =>
    which(function* (): Any {
      log(yield* sleep(1), yield sleep(1), yield [sleep(3), sleep(1)], yield { a: sleep(1), b: [pause()] });
      log(
        yield* suspend<number>((resume) => resume(null, 1)),
        yield suspend<number>((resume) => resume(null, 2)),
      );
    }),
  'errors of leafs': (which, log) =>
    which(function* (): Any {
      const failing = () => suspend((resume) => setImmediate(resume, new Error('late')));
      for (const value of [failing(), [failing()], { a: failing() }]) {
        log(inShort(yield* caught(one(value))));
      }
      yield* failing();
    }).catch((error: Error) => log(error.message)),
  'channels between generators': (which, log) => {
    const channel = new Channel<number>();
    const producer = function* (): Co<string> {
      for (let value = 1; value <= 3; value++) yield* channel.send(value);
      channel.close();
      return 'sent';
    };
    const consumer = function* (): Any {
      for (let value; typeof (value = yield* channel.receive()) === 'number';) log(value);
      return 'received';
    };
    return which(function* (): Any {
      log(yield [producer(), consumer]);
    });
  },
};

for (const [name, program] of Object.entries(operations)) {
  t.test(`S6 under co, skein/co and run: ${name}`, async (t) => {
    const expected = await outcome(program, real);
    t.ok(expected.length > 1);
    t.strictSame(await outcome(program, co as typeof real), expected);
    t.strictSame(await outcome(program, under), expected);
    t.strictSame(await run(() => one(outcome(program, real))), expected, 'and inside a coroutine');
  });
}

/** `run` in the place of `co`. */
const under = ((body: (...args: unknown[]) => Any, ...args: unknown[]) =>
  run(() => body(...args))) as unknown as typeof real;

for (const [name, program] of Object.entries(kinds)) {
  t.test(`S6 under run as with co: ${name}`, async (t) => {
    t.strictSame(await outcome(program, under), await outcome(program, real));
  });
}
for (const name of ['a loop goes on after errors', 'very deep', 'many at once']) {
  t.test(`S6 under run as with co: ${name}`, async (t) => {
    t.strictSame(await outcome(flow[name]!, under), await outcome(flow[name]!, real));
  });
}
