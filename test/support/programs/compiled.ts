// Pieces of code that users read, compiled all at once as they stand and run without a compiler.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The output is a package of its own, which its examples import by name: so each starts without a compiler. */
const manifest = {
  name: 'skein',
  type: 'module',
  exports: {
    '.': './lib/index.js',
    './scheduler': './scheduler/index.js',
    './co': './scheduler/interop/co.js',
    './ws': './lib/ws/index.js',
    './testing': './lib/testing/index.js',
    './package.json': './package.json',
  },
};

/** Without what the test runner puts into every child, which is its coverage. */
const env = { ...process.env, NODE_OPTIONS: '' };

/** Milliseconds after which a program that does not end by itself is ended. */
const LONGEST = 30_000;

export interface Result {
  /** Null if it was ended. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Compiled {
  /** What the compiler had to say. */
  readonly errors: string;
  /** Where the programs run. */
  readonly folder: string;

  /** @param sources the code, by name; one may import another as './name.ts' */
  constructor(what: string, sources: ReadonlyMap<string, string>) {
    this.folder = join(root, 'test', 'types', `${what}-${process.pid}`);
    mkdirSync(this.folder);
    for (const [name, code] of sources) {
      writeFileSync(join(this.folder, `${name}.ts`), `${code}\nexport {};\n`);
    }
    const config = {
      extends: '../../../tsconfig.json',
      include: ['.'],
      compilerOptions: {
        rootDir: root,
        outDir: 'out',
        noEmit: false,
        noUnusedLocals: false,
      },
    };
    writeFileSync(join(this.folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    this.errors = spawnSync(process.execPath, [tsc, '-p', this.folder], { encoding: 'utf8' }).stdout;
    writeFileSync(join(this.folder, 'out', 'package.json'), JSON.stringify(manifest));
    symlinkSync(join(root, 'native'), join(this.folder, 'out', 'native'));
  }

  /** Runs programs, four at a time: each waits for others, and for time, more than for the processor. */
  async runAll(names: Iterable<string>, onEnd: (name: string, result: Result) => void): Promise<void> {
    const waiting = [...names];
    const work = async (): Promise<void> => {
      for (let name; (name = waiting.shift()) !== undefined;) onEnd(name, await this.#run(name));
    };
    await Promise.all(Array.from({ length: 4 }, work));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  #run(name: string): Promise<Result> {
    const path = join(this.folder, 'out', 'test', 'types', basename(this.folder), `${name}.js`);
    const child = spawn(process.execPath, [path], { env, cwd: this.folder, timeout: LONGEST });
    const printed = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].on('data', (data) => (printed[stream] += String(data)));
    }
    return new Promise((settle) => child.once('close', (status) => settle({ status, ...printed })));
  }
}
