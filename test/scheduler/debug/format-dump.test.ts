import t from 'tap';
import {
  type Co,
  type CoroutineInfo,
  dump,
  formatDump,
  never,
  run,
  spawn,
} from '../../../scheduler/index.ts';

/** Some coroutines as a dump would give them; what is left out does not matter. */
function made(...infos: (Partial<CoroutineInfo> & { id: number })[]): CoroutineInfo[] {
  return infos.map((info) => ({
    name: `coroutine-${info.id}`,
    state: 'suspended',
    age: 10,
    waitingFor: undefined,
    parent: undefined,
    stack: [],
    ...info,
  }));
}

/** A tree in the source of a test, without its indentation. */
function tree(text: string): string {
  return text.replaceAll(/^ {4}/gm, '').trimStart();
}

t.test('a dump is printed as a tree, each with its wait and its place', async (t) => {
  const coroutines = made(
    { id: 1, name: 'main', state: 'running', age: 999 },
    { id: 2, name: 'left', parent: 1, age: 1000, waitingFor: 'joining right', stack: ['at left (a.ts:1:1)'] },
    {
      id: 4,
      parent: 2,
      age: 119_900,
      waitingFor: 'sleeping for 5 ms',
      stack: ['at in (b.ts:2:2)', 'at out (b.ts:3:3)'],
    },
    { id: 5, name: 'young', parent: 2, state: 'ready', age: 0 },
    { id: 3, name: 'right', parent: 1, age: 7_200_000, waitingFor: 'waiting for ever' },
    { id: 6, name: 'another root', waitingFor: 'pausing' },
  );
  t.equal(
    formatDump(coroutines),
    tree(`
    6 coroutines
    main #1, running, 999 ms old
    ├─ left #2, suspended, 1.0 s old: joining right
    │  │  at left (a.ts:1:1)
    │  ├─ coroutine #4, suspended, 119.9 s old: sleeping for 5 ms
    │  │     at in (b.ts:2:2)
    │  │     at out (b.ts:3:3)
    │  └─ young #5, ready, 0 ms old
    └─ right #3, suspended, 120 min old: waiting for ever
    another root #6, suspended, 10 ms old: pausing
`),
  );
});

t.test('coroutines of one parent at one place are printed once, with their count', async (t) => {
  const stack = ['at work (w.ts:1:1)'];
  const coroutines = made(
    { id: 1, name: 'main', state: 'running' },
    ...[2, 3, 4, 5].map((id) => ({
      id,
      name: 'worker',
      parent: 1,
      age: id,
      stack,
      waitingFor: 'receiving from jobs',
    })),
    { id: 6, name: 'worker', parent: 1, stack: ['at work (w.ts:2:1)'], waitingFor: 'receiving from jobs' },
    { id: 7, name: 'worker', parent: 1, state: 'ready' },
    { id: 8, name: 'worker', parent: 6, stack, waitingFor: 'receiving from jobs' },
  );
  t.equal(
    formatDump(coroutines),
    tree(`
    8 coroutines
    main #1, running, 10 ms old
    ├─ worker × 4 (#2 #3 #4 …), suspended, 2 ms to 5 ms old: receiving from jobs
    │     at work (w.ts:1:1)
    ├─ worker #6, suspended, 10 ms old: receiving from jobs
    │  │  at work (w.ts:2:1)
    │  └─ worker #8, suspended, 10 ms old: receiving from jobs
    │        at work (w.ts:1:1)
    └─ worker #7, ready, 10 ms old
`),
  );
});

t.test('clients are printed once though each has a name and a wait of its own', async (t) => {
  const clients = Array.from({ length: 10_000 }, (_, index) => ({
    id: index + 2,
    name: `client 10.0.0.1:${index}`,
    parent: 1,
    waitingFor: `reading from 10.0.0.1:${index}`,
    stack: ['at echo (echo.ts:1:1)'],
  }));
  t.equal(
    formatDump(made({ id: 1, name: 'server', waitingFor: 'accepting on 10.0.0.2:80' }, ...clients)),
    tree(`
    10,001 coroutines
    server #1, suspended, 10 ms old: accepting on 10.0.0.2:80
    └─ client 10.0.0.1:0 #2, client 10.0.0.1:1 #3, client 10.0.0.1:2 #4, … × 10,000, suspended, 10 ms old: reading from 10.0.0.1:0, and others
          at echo (echo.ts:1:1)
`),
  );
});

t.test('brothers are folded only if their children look alike, too', async (t) => {
  const stack = ['at serve (s.ts:1:1)'];
  const child = { name: 'child', stack: ['at child (s.ts:2:2)'], waitingFor: 'waiting for ever' };
  const brothers = [1, 2, 3].map((id) => ({ id, name: 'brother', stack }));
  const children = [
    { ...child, id: 4, parent: 1 },
    { ...child, id: 5, parent: 2 },
  ];
  t.equal(
    formatDump(made(...brothers, ...children)),
    tree(`
    5 coroutines
    brother × 2 (#1 #2), suspended, 10 ms old
    │  at serve (s.ts:1:1)
    └─ child #4, suspended, 10 ms old: waiting for ever
          at child (s.ts:2:2)
    brother #3, suspended, 10 ms old
       at serve (s.ts:1:1)
`),
  );
});

t.test('those without a stack are folded if they have the same name and wait', async (t) => {
  const waits = ['sleeping for 1 ms', 'sleeping for 2 ms', 'sleeping for 1 ms'];
  const coroutines = made(...waits.map((waitingFor, index) => ({ id: index + 1, waitingFor })));
  t.equal(
    formatDump(coroutines),
    tree(`
    3 coroutines
    coroutine × 2 (#1 #3), suspended, 10 ms old: sleeping for 1 ms
    coroutine #2, suspended, 10 ms old: sleeping for 2 ms
`),
  );
});

t.test('a part of a dump can be printed: whose parent is missing stands as a root', async (t) => {
  const coroutines = made({ id: 2, name: 'orphan', parent: 1 }, { id: 3, name: 'child', parent: 2 });
  t.equal(
    formatDump(coroutines),
    tree(`
    2 coroutines
    orphan #2, suspended, 10 ms old
    └─ child #3, suspended, 10 ms old
`),
  );
});

t.test('a hundred thousand coroutines inside each other can be dumped and printed', async (t) => {
  const depth = 100_000;
  const stop = new AbortController();
  const { promise: isDeep, resolve: onDeep } = deferred();
  let left = depth;
  const running = run(
    function* link(): Co<void> {
      if (--left > 0) {
        spawn(link);
        return;
      }
      onDeep();
      yield* never;
    },
    { signal: stop.signal },
  );
  await isDeep;
  const coroutines = dump();
  t.equal(coroutines.length, depth);
  t.equal(coroutines.at(-1)!.parent, coroutines.at(-2)!.id);
  const lines = formatDump(coroutines).split('\n');
  t.equal(lines[0], '100,000 coroutines');
  const { id, age } = coroutines[32]!;
  t.equal(lines[33], `${'   '.repeat(31)}└─ link #${id}, suspended, ${age} ms old: waiting for a child`);
  t.match(lines.at(-3), new RegExp(`^ {96}└─ \\[99999\\] link #${coroutines.at(-1)!.id}, `));
  t.match(lines.at(-2), /^ {99}at link \(/);
  stop.abort();
  t.equal(await running, undefined, 'its body had returned');
});

/** As Promise.withResolvers, which Node 20 does not have. */
function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
