// Rewriting the append-only file when it has doubled, while the server goes on. The new file is a snapshot of all
// data as it was at one moment, and then what was appended to the old one from that moment on.
//
//   old file   ══════════════════╪═════════════▶ appended meanwhile
//                             the moment         │ copied
//   new file   ── snapshot ──────┴───────────────▼──▶ takes the place of the old one
//
// The snapshot is taken in pieces, and between them clients change things. So whoever is about to change an entry that
// is not written yet has it written first (`snapshot.save`), as it was: each stands in there once, from that moment.

import { Buffer } from 'node:buffer';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Channel, type Co, every, select, wait } from 'skein';
import { log } from './append-only.ts';
import { type Database, databases, type Entry, snapshot } from './keyspace.ts';
import { bulks } from './reply.ts';
import { appendOnlyPath, settings } from './settings.ts';
import { commandsFor } from './snapshot.ts';

/** Entries in one piece of a snapshot, and characters after which it is written. */
const PIECE = 64;
const MUCH = 262_144;
/** So many bytes are copied at once, and the last ones while nothing can be appended. */
const STRIDE = 1_048_576;

export function rewritePath(path: string): string {
  return `${path}.rewriting`;
}

class Rewrite {
  /** Bytes of the file after the last rewrite, or when the server started. */
  baseSize = 0;
  count = 0;
  isRunning = false;
  readonly #asked = new Channel<void>(1, { name: 'a rewrite that was asked for' });

  /** Has the file rewritten soon, grown or not. */
  ask(): void {
    this.#asked.trySend();
  }

  *whenDoubled(): Co<never> {
    this.baseSize = log.size;
    for (const second = every(1000); ;) {
      const { key } = yield* select({ asked: this.#asked.receive(), second });
      const bound = Math.max(settings.rewriteMinSize, this.baseSize * (1 + settings.rewritePercentage / 100));
      if (!log.isOn || (key === 'second' && (settings.rewritePercentage === 0 || log.size < bound))) continue;
      this.isRunning = true;
      try {
        yield* this.#run(appendOnlyPath());
        this.count++;
      } finally {
        this.isRunning = false;
      }
    }
  }

  *#run(path: string): Co<void> {
    const fresh = yield* wait(open(rewritePath(path), 'w+'));
    const from = log.mark();
    let size = yield* writeSnapshot(fresh);
    let copied = from;
    // While it is copied more is appended, but less and less.
    while (log.written - copied > STRIDE) {
      const bytes = yield* copy(log.handle, copied, fresh, size);
      copied += bytes;
      size += bytes;
    }
    yield* wait(fresh.datasync());
    using _ = yield* log.file.lock();
    while (log.written > copied) {
      const bytes = yield* copy(log.handle, copied, fresh, size);
      copied += bytes;
      size += bytes;
    }
    yield* wait(fresh.sync());
    yield* wait(rename(rewritePath(path), path));
    yield* syncFolder(dirname(path));
    // From a handle that appends, as the one before: what is written goes to the end.
    const old = log.replace(yield* wait(open(path, 'a+')), size);
    this.baseSize = size;
    yield* wait(Promise.all([old.close(), fresh.close()]));
  }
}

export const rewrite = new Rewrite();

/** Writes all entries as they are now, whatever happens to them meanwhile; gives the size. */
function* writeSnapshot(file: FileHandle): Co<number> {
  let text = '';
  let size = 0;
  let selected = -1;
  snapshot.number++;
  snapshot.save = (database: Database, entry: Entry) => {
    if (database.index !== selected) text += bulks(['SELECT', String(database.index)]);
    selected = database.index;
    text += commandsFor(entry);
  };
  try {
    for (const database of databases) {
      let cursor = 0;
      do {
        cursor = database.scan(cursor, PIECE, (entry) => database.save(entry));
        if (text.length > MUCH) {
          const piece = text;
          text = '';
          size += yield* write(file, Buffer.from(piece, 'latin1'), size);
        }
      } while (cursor > 0);
    }
  } finally {
    snapshot.save = null;
  }
  return size + (yield* write(file, Buffer.from(text, 'latin1'), size));
}

/** Copies at most so many bytes from one file to another; gives how many. */
function* copy(source: FileHandle, from: number, target: FileHandle, to: number): Co<number> {
  const bytes = Buffer.allocUnsafe(STRIDE);
  const { bytesRead } = yield* wait(source.read(bytes, 0, STRIDE, from));
  return yield* write(target, bytes.subarray(0, bytesRead), to);
}

function* write(file: FileHandle, bytes: Buffer, position: number): Co<number> {
  for (let at = 0; at < bytes.length;) {
    at += (yield* wait(file.write(bytes, at, bytes.length - at, position + at))).bytesWritten;
  }
  return bytes.length;
}

/** The name of a file stands in its folder, which has to be on the disk as well. */
function* syncFolder(path: string): Co<void> {
  const folder = yield* wait(open(path, 'r'));
  yield* wait(folder.sync());
  yield* wait(folder.close());
}
