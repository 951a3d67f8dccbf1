// Takes the locks of many files, one after another and each at its time, and keeps them: node locker.ts FOLDER COUNT AT
// A process of its own for the tests of the lock of samples/kv. It prints which of them it has, as JSON.

import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { FileError } from '../../../samples/kv/errors.ts';
import { FileLock } from '../../../samples/kv/lock.ts';

const [, , folder, count, at] = process.argv;
/** Milliseconds between two. */
const PERIOD = 20;

/** Never released: they are kept until this process ends. */
const locks: FileLock[] = [];
const taken: number[] = [];
for (let index = 0; index < Number(count); index++) {
  const due = Number(at) + index * PERIOD;
  await setTimeout(Math.max(0, due - Date.now() - 2));
  while (Date.now() < due);
  try {
    locks.push(new FileLock(join(folder!, `file${index}`)));
    taken.push(index);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
  }
}
console.log(JSON.stringify(taken));
await new Promise((resolve) => process.stdin.resume().once('end', resolve));
