// One server to a file: two that append to the same one, or of which one repairs what the other is writing, would ruin
// it. The lock is a file beside it that says who has it. Who was killed leaves it behind, so it counts only as long as
// that process lives; and since a number is given to another process in time, it says when that began, where the
// system tells. Of two that find the same left-over lock in the same moment both may take it.

import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Takes the lock of a file, and gives a function that gives it back.
 *
 * @throws Error that names who has it
 */
export function lock(path: string): () => void {
  const held = `${path}.lock`;
  const own = `${held}.${process.pid}`;
  const me = identify(process.pid);
  writeFileSync(own, me);
  try {
    for (;;) {
      try {
        // A name for what is written already: nobody finds a lock that does not say whose it is.
        linkSync(own, held);
        return () => rmSync(held, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = read(held);
      const pid = Number.parseInt(owner, 10);
      if (owner !== me && isAlive(pid) && identify(pid) === owner) {
        throw new Error(`${path} is in use by process ${pid}, as ${held} says`);
      }
      rmSync(held, { force: true });
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** A process, and no other that has its number later. */
function identify(pid: number): string {
  // The name, in parentheses, may have spaces; the time is the 20th word behind it.
  return `${pid} ${read(`/proc/${pid}/stat`).split(') ').at(-1)!.split(' ')[19] ?? ''}`;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // It lives, and is somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
