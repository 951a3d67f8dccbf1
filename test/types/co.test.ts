import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import co from 'skein/co';
import { runProgram } from '../support/programs/program.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');

/** True only if the two types are the same, `any` not being the same as another. */
type Same<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;

/** Checks the type of what a promise gives. */
function typed<Expected>() {
  return <Actual>(value: Promise<Actual>, _isSame: Same<Actual, Expected>): Promise<Actual> => value;
}

function* number(): Generator<undefined[], number, unknown> {
  yield [];
  return 1;
}

t.test(
  'a program compiles and runs with co and with skein/co in its place',
  { timeout: 120_000 },
  async (t) => {
    const folder = join(here, `co-${process.pid}`);
    mkdirSync(folder);
    t.teardown(() => rmSync(folder, { recursive: true }));
    const program = readFileSync(join(here, 'co-program.ts'), 'utf8');
    const imports = { 'co.ts': "from 'co';", 'skein.ts': "from 'skein/co';" };
    for (const [file, line] of Object.entries(imports)) {
      writeFileSync(join(folder, file), program.replace("from 'skein/co';", line));
    }
    const config = { extends: '../../../tsconfig.json', include: ['.'], compilerOptions: { rootDir: root } };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const compiled = spawnSync(process.execPath, [tsc, '--noEmit', '-p', folder], { encoding: 'utf8' });
    t.equal(compiled.stdout, '', 'no error of types');
    for (const file of Object.keys(imports)) {
      const { exited, output } = runProgram([join(folder, file)]);
      t.equal(await exited, 0, output());
      t.equal(output(), 'as expected\n', file);
    }
  },
);

t.test('skein/co has types for what co takes and @types/co does not know', async (t) => {
  t.equal(await typed<number>()(co(number), true), 1);
  t.equal(await typed<number>()(co(number()), true), 1, 'a generator');
  t.equal(
    await typed<string>()(
      co(async (text: string) => text, 'text'),
      true,
    ),
    'text',
    'an async function',
  );
  t.equal(await typed<string>()(co(Promise.resolve('text')), true), 'text', 'a promise');
  const nested = co(function* () {
    return Promise.resolve(1);
  });
  t.equal(await typed<number>()(nested, true), 1, 'a promise that is returned');
  const called = co.call(
    { name: 'self' },
    function* (this: { name: string }, age: number) {
      return `${this.name} ${age}`;
    },
    5,
  );
  t.equal(await typed<string>()(called, true), 'self 5');
  const wrapped = co.wrap(number);
  t.equal(await typed<number>()(wrapped(), true), 1);
  // oxlint-disable-next-line no-underscore-dangle -- the package's own name
  t.equal(wrapped.__generatorFunction__, number);
});

function* sized(this: Date, text: string): Generator<undefined[], number, unknown> {
  yield [];
  return this.getTime() + text.length;
}

t.test('skein/co refuses what is wrong', async (t) => {
  const wrapped = co.wrap(sized);
  t.equal(await wrapped.call(new Date(5), 'text'), 9);
  const wrong: (() => Promise<unknown>)[] = [
    // @ts-expect-error the argument is a string
    () => wrapped.call(new Date(5), null),
    // @ts-expect-error `this` is a Date
    () => wrapped.call('this', 'text'),
    // @ts-expect-error so it cannot be called without
    () => wrapped('text'),
    // @ts-expect-error an argument is missing
    () => co.call(new Date(5), sized),
    // @ts-expect-error `this` is a Date here, too
    () => co.call('this', sized, 'text'),
  ];
  for (const call of wrong) await t.rejects(call(), TypeError);
  // @ts-expect-error an argument is missing
  t.equal(await co((text: string) => text), undefined);
});
