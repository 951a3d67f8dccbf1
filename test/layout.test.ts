// How the sources are laid out: which folder may import which, where files may import each other in a circle, how many
// files stand side by side, how long the kernel is, and whether the documents know each file and each rule. Imports of
// types count like any other. What still breaks a rule is listed beside it; the lists are compared exactly, so that one
// that is no longer needed fails, too.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** A folder, or a file that stands above the folders, with those nearest to it that it may import; it may import what these may. */
const order: Record<string, readonly string[]> = {
  'scheduler/index': ['scheduler/run'],
  'scheduler/run': ['scheduler/interop', 'scheduler/combinators', 'scheduler/sync'],
  'scheduler/interop': ['scheduler/channel', 'scheduler/time'],
  'scheduler/combinators': ['scheduler/channel', 'scheduler/time'],
  'scheduler/sync': ['scheduler/channel', 'scheduler/time'],
  'scheduler/channel': ['scheduler/debug'],
  'scheduler/time': ['scheduler/debug'],
  'scheduler/debug': ['scheduler/kernel'],
  'scheduler/kernel': [],
  'lib/testing': ['lib/index', 'lib/ws'],
  'lib/index': ['lib/event-loop', 'lib/http', 'lib/udp'],
  'lib/event-loop': ['lib/serve'],
  'lib/ws': ['lib/http'],
  'lib/http': ['lib/serve'],
  'lib/serve': ['lib/listen', 'lib/dial', 'lib/streams'],
  'lib/listen': ['lib/connection'],
  'lib/dial': ['lib/connection'],
  'lib/streams': ['lib/connection'],
  'lib/connection': ['lib/tls'],
  'lib/tls': ['lib/common'],
  'lib/udp': ['lib/common'],
  'lib/common': ['lib/reactor'],
  'lib/reactor': [],
};

/** Of lib/, only the reactors know no coroutine. */
const knowsScheduler = (part: string): boolean => part.startsWith('lib/') && part !== 'lib/reactor';

interface Import {
  readonly from: string;
  /** A path from the root, or the name of a package. */
  readonly to: string;
  /** Whether the module is there only for the compiler, or is loaded later than the one that imports it. */
  readonly isTypeOnly: boolean;
}

/** The TypeScript files of a folder, at any depth. */
function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
    .toSorted();
}

function importsOf(from: string): Import[] {
  const text = readFileSync(join(root, from), 'utf8').replaceAll(/^ *(?:\*|\/\/|\/\*\*).*$/gm, '');
  const found: Import[] = [];
  const add = (to: string, isTypeOnly: boolean): void => {
    found.push({ from, to: to.startsWith('.') ? join(dirname(from), to) : to, isTypeOnly });
  };
  for (const [, type, names, to] of text.matchAll(
    /^(?:import|export) (type )?(?:([^;'"()=]*?) from )?'([^']+)';$/gm,
  )) {
    const listed = /^\{([^}]*)\}$/.exec(names ?? '')?.[1]?.split(',') ?? ['all'];
    const isEachType = listed.every((name) => name.trim() === '' || name.trim().startsWith('type '));
    add(to!, type !== undefined || isEachType);
  }
  for (const [, to] of text.matchAll(/\bimport\(\s*'([^']+)'/g)) add(to!, true);
  return found;
}

/** `lib/reactor` of `lib/reactor/node/reactor.ts`; `lib/index` of `lib/index.ts`. */
const partOf = (file: string): string => file.split('/').slice(0, 2).join('/').replace(/\.ts$/, '');

/** All that a part may import, near and far. */
function reach(part: string, reached = new Set([part])): Set<string> {
  for (const next of order[part] ?? []) {
    if (!reached.has(next)) reach(next, reached.add(next));
  }
  return reached;
}

/** Each set of files that reach each other, itself and all of them in the order of their names. */
function circles(files: readonly string[], imports: readonly Import[]): string[] {
  const next = new Map(files.map((file) => [file, new Set<string>()]));
  for (const { from, to } of imports) next.get(from)?.add(to);
  const reachable = (file: string): Set<string> => {
    const seen = new Set<string>();
    const waiting = [file];
    for (let at; (at = waiting.pop()) !== undefined;) {
      for (const to of next.get(at) ?? []) {
        if (!seen.has(to)) waiting.push(to);
        seen.add(to);
      }
    }
    return seen;
  };
  const reached = new Map(files.map((file) => [file, reachable(file)]));
  const found = new Set<string>();
  for (const file of files) {
    const circle = files.filter((other) => reached.get(file)!.has(other) && reached.get(other)!.has(file));
    if (circle.length > 0) found.add(circle.join(' '));
  }
  return [...found];
}

const sources = [...filesOf('scheduler'), ...filesOf('lib')];
const imports = sources.flatMap(importsOf);
const within = imports.filter(({ to }) => sources.includes(to));

t.test('each folder imports only those that stand below it', async (t) => {
  t.ok(within.length > 300, `${within.length} imports were found`);
  const relative = imports.filter(({ to }) => /^(scheduler|lib|\.\.)/.test(to));
  t.same(
    relative.filter(({ to }) => !sources.includes(to)),
    [],
    'each of them leads to a file',
  );
  t.same(
    sources.map(partOf).filter((part) => order[part] === undefined),
    [],
    'each folder has its place',
  );
  const breaches = within
    .filter(({ from, to }) => {
      const [part, imported] = [partOf(from), partOf(to)];
      return !(imported.startsWith('scheduler/') && knowsScheduler(part)) && !reach(part).has(imported);
    })
    .map(({ from, to }) => `${from} imports ${to}`);
  t.same(breaches, []);
});

t.test('no file imports itself through others', async (t) => {
  t.same(
    circles(
      sources,
      within.filter(({ isTypeOnly }) => !isTypeOnly),
    ),
    [],
    'when the modules are loaded',
  );
  // One circle of types is the kernel: a coroutine stands in a scope of a scheduler, each of which runs coroutines.
  const kernel = new Set(
    ['bare-yield', 'coroutine', 'inner-scope', 'scheduler', 'scope'].map(
      (name) => `scheduler/kernel/${name}.ts`,
    ),
  );
  const isKernel = (circle: string): boolean => circle.split(' ').every((file) => kernel.has(file));
  t.same(
    circles(sources, within).filter((circle) => !isKernel(circle)),
    [],
    'when types count, too',
  );
});

t.test('at most 15 files stand side by side', async (t) => {
  const count = new Map<string, number>();
  for (const file of [...sources, ...filesOf('test')]) {
    count.set(dirname(file), (count.get(dirname(file)) ?? 0) + 1);
  }
  const crowded = [...count].filter(([, files]) => files > 15).map(([folder]) => folder);
  t.same(crowded, []);
});

t.test('the kernel does not grow', async (t) => {
  const kernel = ['operation', 'coroutine', 'scheduler', 'scope', 'inner-scope'].map(
    (name) => `scheduler/kernel/${name}.ts`,
  );
  const lines = [...kernel, 'scheduler/run.ts'].map(
    (file) => readFileSync(join(root, file), 'utf8').split('\n').length - 1,
  );
  const sum = lines.reduce((total, each) => total + each, 0);
  t.ok(sum <= 1_816, `${sum} lines`);
});

t.test('what is not ours is imported where it belongs', async (t) => {
  const outside = imports.filter(({ to }) => !/^(scheduler|lib)\//.test(to));
  const of = (folder: string): string[] =>
    outside
      .filter(({ from }) => from.startsWith(folder))
      .map(({ from, to }) => `${basename(dirname(from))}/${basename(from)} imports ${to}`);
  t.same(
    of('scheduler/'),
    ['kernel/async-context.ts imports node:async_hooks', 'kernel/signals.ts imports node:events'],
    'the scheduler has contexts and the number of listeners of a signal from Node, and nothing else',
  );
  t.same(
    of('lib/').filter((line) => !/ imports node:/.test(line)),
    ['ws/index.ts imports ws', 'ws/web-socket.ts imports ws'],
    'what the user may not have installed has an entry of its own',
  );
  t.same(
    filesOf('samples')
      .flatMap(importsOf)
      .filter(({ to }) => !/^(skein|co|cli-progress|node:.*|samples\/.*)$/.test(to)),
    [],
    'samples import by the package’s name',
  );
});

t.test('W2 nothing reads time or chance past the scheduler', async (t) => {
  // As code, not as words in a comment, nor as the method of a stream that is called so.
  const past =
    /^(?! *(?:\*|\/\/)).*(?:performance\.now|Date\.now|new Date|Math\.random|hrtime|\bset(?:Timeout|Interval)\((?!ms: ))/m;
  t.same(
    sources.filter((file) => past.test(readFileSync(join(root, file), 'utf8'))),
    [
      // Where the scheduler has them from.
      'scheduler/kernel/clock.ts',
      'scheduler/kernel/random.ts',
      // A timer that keeps no process alive, for the clock of the system only.
      'lib/listen/deadline.ts',
      // The reactors of the system, which know no scheduler.
      'lib/reactor/attempt.ts',
      'lib/reactor/descriptors.ts',
      'lib/reactor/epoll/listener.ts',
      'lib/reactor/node/stream-host.ts',
      'lib/reactor/peers.ts',
    ].toSorted((a, b) => sources.indexOf(a) - sources.indexOf(b)),
  );
});

t.test('each source has its line in the map of ARCHITECTURE.md', async (t) => {
  const map = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const listed = ['scheduler', 'lib'].flatMap((half) => {
    const [, table = ''] = map
      .split(`\n### ${half}/\n`)[1]!
      .split('\n### ')[0]!
      .split(/\n\| -+ \|[^\n]*/);
    return [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => `${half}/${name}`);
  });
  t.same(listed.toSorted(), sources.toSorted());
});

t.test('each link of the documents leads to a file, and to a title of it', async (t) => {
  const documents = [
    ...['README', 'ARCHITECTURE', 'CONTRIBUTING', 'CHANGELOG'].map((name) => `${name}.md`),
    ...readdirSync(join(root, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name)),
    'samples/kv/README.md',
    ...['echo', 'kv', 'micro'].map((name) => `bench/${name}/README.md`),
  ];
  const text = (file: string): string => readFileSync(join(root, file), 'utf8');
  // As GitHub makes them of a title.
  const anchors = (file: string): string[] =>
    [...text(file).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
  const leadsSomewhere = (from: string, link: string): boolean => {
    const [path = '', anchor] = link.split('#');
    const to = path === '' ? from : join(dirname(from), path);
    if (!existsSync(join(root, to))) return false;
    return anchor === undefined || !to.endsWith('.md') || anchors(to).includes(anchor);
  };
  const links = documents.flatMap((from) =>
    [...text(from).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => ({ from, link: link! })),
  );
  const ours = links.filter(({ link }) => !/^[a-z]+:/.test(link));
  t.ok(ours.length > 60, `${ours.length} links`);
  t.same(
    ours.filter(({ from, link }) => !leadsSomewhere(from, link)),
    [],
  );
});

t.test('each rule that is named has its line in docs/rules.md, and tests', async (t) => {
  const rules = new Map<string, string[]>();
  for (const line of readFileSync(join(root, 'docs/rules.md'), 'utf8').split('\n')) {
    const [, rule, tests] = /^\| ([A-Z]\d+a?) +\|.*\| ([^|]*)\|$/.exec(line) ?? [];
    if (rule !== undefined)
      rules.set(
        rule,
        [...tests!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
      );
  }
  t.ok(rules.size > 60, `${rules.size} rules`);
  const named = [...sources, ...filesOf('test'), 'native/skein.c', 'ARCHITECTURE.md'].flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/\b[SCHNTIWR]\d{1,2}a?\b/g)].map(([rule]) => rule),
  );
  t.same([...new Set(named)].filter((rule) => !rules.has(rule)).toSorted(), [], 'none is without a line');
  const shows = (rule: string, name: string): boolean => {
    const file = join(root, 'test', name);
    return existsSync(file) && new RegExp(`\\b${rule}\\b`).test(readFileSync(file, 'utf8'));
  };
  t.same(
    [...rules].flatMap(([rule, tests]) =>
      tests.filter((name) => !shows(rule, name)).map((name) => `${rule} ${name}`),
    ),
    [],
    'each test is there, and names its rule',
  );
  t.same(
    [...rules].filter(([, each]) => each.length === 0).map(([rule]) => rule),
    [],
    'each has one',
  );
});
