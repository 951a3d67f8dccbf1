// Rewriting the append-only file when it has doubled, while the server goes on. The new file is a snapshot of all
// data as it was at one moment, and then what was appended to the old one from that moment on.
//
//   old file   ══════════════════╪═════════════▶ appended meanwhile
//                             the moment         │ copied
//   new file   ── snapshot ──────┴───────────────▼──▶ takes the place of the old one
//
// The snapshot is taken in pieces, and between them clients change things. So whoever is about to change an entry that
// is not written yet has it written first (`snapshot.save`), as it was: each stands in there once, from that moment.
//
// Until the new file has the place of the old one nothing depends on it. So whatever fails before that costs nothing but
// the work: the old file stays in use, and the rewrite is tried again later.

import { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Channel, type Co, every, Latch, race, select, shield, sleep, wait } from 'skein';
import { log } from './append-only.ts';
import { FileError, isNoFault } from './errors.ts';
import { type Database, databases, type Entry, snapshot } from './keyspace.ts';
import { bulks } from './reply.ts';
import { appendOnlyPath, settings } from './settings.ts';
import { commandsFor } from './snapshot.ts';

/** Entries in one piece of a snapshot, and characters after which it is written. */
const PIECE = 64;
const MUCH = 262_144;
/** So many bytes are copied at once, and the last ones while nothing can be appended. */
const STRIDE = 1_048_576;
/** Milliseconds until one that has failed is tried again; each time twice as many. */
const SHORTEST_DELAY = 1_000;
const LONGEST_DELAY = 60_000;
/** To append, as the file before: what is written goes to the end. */
const FRESH = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND;

export function rewritePath(path: string): string {
  return `${path}.rewriting`;
}

class Rewrite {
  /** Bytes of the file after the last rewrite, or when the server started. */
  baseSize = 0;
  count = 0;
  isRunning = false;
  /** The last one has, and is tried again. */
  hasFailed = false;
  #delay = SHORTEST_DELAY;
  #tryAgainAt = 0;
  readonly #asked = new Channel<void>(1, { name: 'a rewrite that was asked for' });

  /** Has the file rewritten soon, grown or not. */
  ask(): void {
    this.#asked.trySend();
  }

  *whenDoubled(): Co<never> {
    this.baseSize = log.size;
    for (const second = every(1000); ;) {
      const { key } = yield* select({ asked: this.#asked.receive(), second });
      if (log.isOn && (key === 'asked' || this.#isDue())) yield* this.#try(appendOnlyPath());
    }
  }

  #isDue(): boolean {
    if (this.hasFailed) return performance.now() >= this.#tryAgainAt;
    const bound = Math.max(settings.rewriteMinSize, this.baseSize * (1 + settings.rewritePercentage / 100));
    return settings.rewritePercentage > 0 && log.size >= bound;
  }

  *#try(path: string): Co<void> {
    const roomIsNeeded = new Latch(1, { name: 'a need for room on the disk' });
    const ended = new Latch(1, { name: 'the end of a rewrite' });
    log.makeRoom = function* () {
      roomIsNeeded.countDown();
      yield* ended.wait();
    };
    this.isRunning = true;
    try {
      const error = yield* race([() => this.#attempt(path), () => giveUp(roomIsNeeded)]);
      this.hasFailed = error !== null;
      if (error === null) {
        this.count++;
        this.#delay = SHORTEST_DELAY;
      } else {
        this.#tryAgainAt = performance.now() + this.#delay;
        const again = `the file stays as it is, the next try is in ${this.#delay / 1000} s`;
        console.error(`kv: rewriting ${path} failed, ${again}: ${error.message}`);
        this.#delay = Math.min(2 * this.#delay, LONGEST_DELAY);
      }
    } finally {
      this.isRunning = false;
      log.makeRoom = null;
      ended.countDown();
    }
  }

  /** Gives what has kept it from success, unless that is a fault of the program. */
  *#attempt(path: string): Co<Error | null> {
    try {
      yield* this.#run(path);
      return null;
    } catch (error) {
      if (isNoFault(error)) return error;
      throw error;
    }
  }

  *#run(path: string): Co<void> {
    // Where the folder has gone another may have come, with the file of another server.
    yield* wait(expectOwn(path));
    log.lock?.renew();
    yield* wait(expectOwn(path));
    const fresh = yield* shield(() => wait(open(rewritePath(path), FRESH)));
    let isInPlace = false;
    try {
      const from = log.mark();
      let size = yield* writeSnapshot(fresh);
      let copied = from;
      // While it is copied more is appended, but less and less. What is being written just now is not in the file yet.
      for (let bytes = 1; bytes > 0 && log.written - copied > STRIDE; copied += bytes) {
        bytes = yield* copy(log.handle, copied, fresh);
        size += bytes;
      }
      yield* wait(fresh.datasync());
      using _ = yield* log.file.lock();
      for (let bytes; copied < log.written; copied += bytes) {
        bytes = yield* copy(log.handle, copied, fresh);
        size += bytes;
        if (bytes === 0) throw new FileError(`expected ${log.written} bytes in it, got ${copied}`);
      }
      yield* wait(fresh.sync());
      yield* shield(function* () {
        const folder = yield* wait(open(dirname(path), 'r'));
        try {
          yield* wait(rename(rewritePath(path), path));
          isInPlace = true;
          const old = log.replace(fresh, size);
          yield* confirm(folder);
          yield* wait(old.close().catch(() => {}));
        } finally {
          yield* wait(folder.close());
        }
      });
      this.baseSize = size;
    } finally {
      if (!isInPlace) yield* shield(() => wait(discard(fresh, path)));
    }
  }
}

export const rewrite = new Rewrite();

function* giveUp(roomIsNeeded: Latch): Co<Error> {
  yield* roomIsNeeded.wait();
  return new FileError('the disk has no room for it beside what clients change');
}

/** The file may have gone, but what is there is the one that is written to. */
async function expectOwn(path: string): Promise<void> {
  const [own, there] = await Promise.all([log.handle.stat(), stat(path).catch(onlyIfMissing)]);
  if (there !== null && (there.ino !== own.ino || there.dev !== own.dev)) {
    throw new FileError('another file has its place by now');
  }
}

function onlyIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/** Frees what an unfinished file takes on the disk. */
async function discard(fresh: FileHandle, path: string): Promise<void> {
  await fresh.close();
  // Gone with its folder, perhaps, or not to be removed: the next one writes over it.
  await rm(rewritePath(path), { force: true }).catch(() => {});
}

/** Writes all entries as they are now, whatever happens to them meanwhile; gives the size. */
function* writeSnapshot(file: FileHandle): Co<number> {
  let text = '';
  let size = 0;
  let selected = -1;
  let isTooLong = false;
  snapshot.number++;
  snapshot.save = (database: Database, entry: Entry) => {
    try {
      if (database.index !== selected) text += bulks(['SELECT', String(database.index)]);
      selected = database.index;
      text += commandsFor(entry);
    } catch (error) {
      // Whoever changes the entry has no part in this.
      if (!(error instanceof RangeError)) throw error;
      snapshot.save = null;
      isTooLong = true;
    }
  };
  function* writeText(): Co<void> {
    if (isTooLong) throw new FileError('what is to be written in one piece is too long for a text');
    const piece = Buffer.from(text, 'latin1');
    text = '';
    yield* write(file, piece);
    size += piece.length;
  }
  try {
    for (const database of databases) {
      let cursor = 0;
      do {
        cursor = database.scan(cursor, PIECE, (entry) => database.save(entry));
        if (text.length > MUCH) yield* writeText();
      } while (cursor > 0);
    }
  } finally {
    snapshot.save = null;
  }
  yield* writeText();
  return size;
}

/** Copies at most so many bytes from a place in one file to the end of another; gives how many. */
function* copy(source: FileHandle, from: number, target: FileHandle): Co<number> {
  const bytes = Buffer.allocUnsafe(STRIDE);
  const { bytesRead } = yield* wait(source.read(bytes, 0, STRIDE, from));
  yield* write(target, bytes.subarray(0, bytesRead));
  return bytesRead;
}

function* write(file: FileHandle, bytes: Buffer): Co<void> {
  for (let at = 0; at < bytes.length;) at += (yield* wait(file.write(bytes, at))).bytesWritten;
}

/**
 * The name of a file stands in its folder, which has to be on the disk as well. Until it is, nothing more is written:
 * after a crash the old file might be there again, without it.
 */
function* confirm(folder: FileHandle): Co<void> {
  for (;;) {
    try {
      return yield* wait(folder.sync());
    } catch (error) {
      console.error(
        `kv: ${error instanceof Error ? error.message : error}: nothing is written until the folder is`,
      );
      if (log.isEnding) {
        process.exitCode = 1;
        return;
      }
      yield* sleep(SHORTEST_DELAY);
    }
  }
}
