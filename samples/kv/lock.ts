// One server to a file: two that append to the same one, or of which one repairs what the other is writing, would ruin
// it. The lock is flock(2) on a file beside it, which the kernel gives back when the process ends, however that happens.
// So it is never stale, two that start in the same moment cannot both have it, and it holds between containers: the
// kernel knows the file, whatever their processes, networks and folders are called.
//
// The lock file stays when the server ends. Removing it would take the lock from a server that has opened it just now.

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { FileError, isSystemError } from './errors.ts';

/** A flag of open(2) on macOS and the BSDs, for which Node has no name. */
const O_EXLOCK = 0x20;

export class FileLock {
  readonly #path: string;
  #fd: number;

  /**
   * Takes the lock of a file.
   *
   * @throws FileError that names who has it
   */
  constructor(path: string) {
    this.#path = path;
    this.#fd = take(path);
  }

  /** Takes the lock again if its file has gone, with its folder perhaps: what is there now may be another server's. */
  renew(): void {
    if (isAt(this.#fd, lockPath(this.#path))) return;
    const fd = take(this.#path);
    closeSync(this.#fd);
    this.#fd = fd;
  }

  release(): void {
    closeSync(this.#fd);
  }
}

function lockPath(path: string): string {
  return `${path}.lock`;
}

function take(path: string): number {
  const held = lockPath(path);
  for (;;) {
    const fd = openLocked(held);
    if (fd === null) throw new FileError(`${path} is in use by ${ownerIn(held)}, as ${held} says`);
    // Unless somebody has removed the file since it was opened: then others lock another one.
    if (isAt(fd, held)) {
      writeOwner(fd);
      return fd;
    }
    closeSync(fd);
  }
}

function isAt(fd: number, path: string): boolean {
  const [open, there] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })];
  return open.ino === there?.ino && open.dev === there.dev;
}

/** The file, open and locked; null if another process has the lock. */
function openLocked(path: string): number | null {
  const flags = constants.O_RDWR | constants.O_CREAT;
  if (process.platform === 'linux') return flock(openSync(path, flags, 0o644), path);
  try {
    return openSync(path, flags | constants.O_NONBLOCK | O_EXLOCK, 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
    throw error;
  }
}

/**
 * Node has no flock. But the lock belongs to the open file, which a child shares with us under the number 3: what the
 * program `flock` has locked there stays locked until we close it, or end.
 */
function flock(fd: number, path: string): number | null {
  const { status, error, stderr } = spawnSync('flock', ['-n', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
    encoding: 'utf8',
  });
  if (status === 0) return fd;
  closeSync(fd);
  if (status === 1) return null;
  throw new FileError(`${path} cannot be locked by the program flock: ${error?.message ?? stderr.trim()}`);
}

function writeOwner(fd: number): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `process ${process.pid} of ${hostname()}`, 0);
  } catch (error) {
    // A full disk is no reason not to start: the lock does not depend on what stands there.
    if (!isSystemError(error)) throw error;
  }
}

/** Empty until its owner has written it, if the disk has room for that. */
function ownerIn(path: string): string {
  return readFileSync(path, 'utf8') || 'another process';
}
