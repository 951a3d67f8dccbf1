// The end of a process: who is called deadlocked, and what is kept although nobody can ask for it any more.
// Each program runs in a process of its own.

import t from 'tap';
import { runProgram } from '../../support/programs/program.ts';

interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

async function outcome(code: string, ...flags: string[]): Promise<Outcome> {
  const program = runProgram([...flags, '--input-type=module', '--eval', code]);
  const ends = [program.child.stdout!, program.child.stderr!].map(
    (stream) => new Promise((end) => stream.once('end', end)),
  );
  const status = await program.exited;
  await Promise.all(ends);
  return { status, output: program.output() };
}

t.test('a next of toAsyncIterable that nobody answers is no deadlock', async (t) => {
  const asking = `import { Channel, run, toAsyncIterable, never } from 'skein';
    const news = toAsyncIterable(new Channel())[Symbol.asyncIterator]();`;
  const programs: Record<string, [string, number, RegExp]> = {
    'asked for a while': [
      `await Promise.race([news.next(), new Promise((r) => setTimeout(r, 5))]); console.log('done');`,
      0,
      /^done\n$/,
    ],
    'asked beside a deadlock': [
      `void news.next(); await run(() => never).catch(({ code }) => console.log(code));`,
      2,
      /^deadlock: .*\n1 coroutine\n[^]*ERR_DEADLOCK\n$/,
    ],
  };
  await Promise.all(
    Object.entries(programs).map(async ([name, [code, status, output]]) => {
      const ended = await outcome(asking + code);
      t.equal(ended.status, status, name);
      t.match(ended.output, output, name);
    }),
  );
});

t.test('a listener of beforeExit may take several rounds to wake a coroutine', async (t) => {
  const listener = (rounds: number, later: string): string => `
    let round = 0;
    process.on('beforeExit', () => {
      if (++round > ${rounds}) return;
      ${later}(() => { if (round === ${rounds}) resume(null, 'woken'); });
    });`;
  const running = `console.log(await run(function* waiter() { return yield* suspend((r) => { resume = r; }); }));`;
  const programs: Record<string, string> = {
    'two rounds of a timer': `${listener(2, '((f) => setTimeout(f, 5))')}\n${running}`,
    'three rounds of a file': `${listener(3, '((f) => stat(".", f))')}\n${running}`,
    'three rounds of an immediate': `setTimeout(() => {${listener(3, 'setImmediate')}});\n${running}`,
  };
  await Promise.all(
    Object.entries(programs).map(async ([name, program]) => {
      const imports = `import { stat } from 'node:fs';\nimport { run, suspend } from 'skein';\nlet resume;\n`;
      t.strictSame(await outcome(imports + program), { status: 0, output: 'woken\n' }, name);
    }),
  );
});

t.test('a listener of beforeExit that wakes nobody keeps no deadlock secret', async (t) => {
  const listeners = [
    `let round = 0; process.on('beforeExit', () => { if (++round < 5) setTimeout(() => {}, 1); });`,
    `let round = 0; process.on('beforeExit', () => { if (++round < 5) setImmediate(() => {}); });`,
  ];
  await Promise.all(
    listeners.map(async (code) => {
      const { status, output } = await outcome(`import { run, never } from 'skein'; ${code}
        await run(() => never).catch(({ code }) => console.log(code));`);
      t.equal(status, 2, code);
      t.match(output, /^deadlock: nothing is left[^]*ERR_DEADLOCK\n$/);
    }),
  );
});

t.test('skein/co keeps no call alive that nothing else refers to', async (t) => {
  const kinds: Record<string, string> = {
    'a promise': 'yield new Promise(() => {})',
    'promises of an array': 'yield [new Promise(() => {}), new Promise(() => {})]',
    'a thunk': 'yield () => {}',
    'another generator': 'yield (function* () { yield new Promise(() => {}); })()',
    'an operation': 'yield* new Channel().receive()',
    'a wait': 'yield* wait(new Promise(() => {}))',
    'a child': 'spawn(() => suspend(() => {})); yield* never',
    'one that goes on after an early failure':
      'try { yield [Promise.reject(new Error("early")), function* () { yield new Promise(() => {}); }]; } catch {}' +
      'yield new Promise(() => {})',
    'another call': 'yield co(function* () { yield new Promise(() => {}); })',
  };
  const calls = Object.values(kinds)
    .map((wait) => `function* () { const page = new Array(100).fill(0); ${wait}; return page; }`)
    .join(',\n');
  const { status, output } = await outcome(
    `import { Channel, dump, never, spawn, suspend, wait } from 'skein';
     import co from 'skein/co';
     const megabytes = () => { gc(); gc(); return process.memoryUsage().heapUsed / 1e6; };
     const later = () => new Promise((resolve) => setTimeout(resolve, 10));
     for (const call of [${calls}]) {
       void co(call);
       await later();
       const before = megabytes();
       for (let count = 0; count < 5_000; count++) void co(call);
       let kept = Infinity;
       // What was spawned has to begin first, in turns that others have part in.
       for (let tries = 0; kept > 1 && tries < 100; tries++) {
         await later();
         kept = megabytes() - before;
       }
       console.log(kept);
     }
     let settle;
     void co(function* remembered() { yield new Promise((resolve) => (settle = resolve)); console.log('goes on'); });
     await later();
     gc();
     await later();
     console.log(dump().filter(({ name }) => name === 'remembered').length);
     settle();
     await later();
     console.log(dump().filter(({ name }) => name === 'remembered').length);`,
    '--expose-gc',
  );
  t.equal(status, 0);
  const lines = output.trim().split('\n');
  for (const [index, kind] of Object.keys(kinds).entries()) {
    const kept = Number(lines[index]);
    t.ok(kept < 1, `${kind}: ${kept.toFixed(2)} MB`);
  }
  t.same(lines.slice(Object.keys(kinds).length), ['1', 'goes on', '0'], 'one that is referred to is seen');
});
